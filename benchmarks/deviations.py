"""What the deviations of named strategies from their authors' code change, and the orders and steps that are options.

On `pocket-cell/mnist`, with published settings scaled to the data as in `naslab reproduce one-shot-pocket`: regret of
the cell returned (points of test accuracy behind the best cell), mean and standard error over seeds, and Mann-Whitney's
p against the first of each group.

    python benchmarks/deviations.py [--epochs 20] [--seeds 10] [GROUP ...]
"""

import argparse
from typing import Any

import numpy as np
import torch
from scipy import stats

from naslab.optimizers import optimizer_spec
from naslab.optimizers.gradient.search import OneShotSearch
from naslab.optimizers.gradient.strategies import SPOS, ProxylessNAS
from naslab.running import constrained_task
from naslab.studies.one_shot.searches import BATCH, written
from naslab.tasks import Constraint

TASK = "pocket-cell/mnist"


class LineAndSmoothing(SPOS):
    """SPOS' released schedule, a line, and label smoothing of 0.1."""

    def rate(self) -> float:
        return self.learning_rate * (1 - self.epoch / self.epochs)

    def _train(self, x: torch.Tensor, y: torch.Tensor) -> float:
        usual = torch.nn.functional.cross_entropy
        torch.nn.functional.cross_entropy = lambda out, labels: usual(out, labels, label_smoothing=0.1)
        try:
            return super()._train(x, y)
        finally:
            torch.nn.functional.cross_entropy = usual


class EveryFifth(ProxylessNAS):
    """Logits learn in every fifth step, as in the released code."""

    def prepare(self, rng: np.random.Generator) -> None:
        usual, self.made = self.update.update, 0

        def update(*args: Any) -> float:
            self.made += 1
            return usual(*args) if self.made % 5 == 0 else 0.0

        self.update.update = update  # type: ignore[method-assign]


GROUPS = {
    "darts": ("darts", "darts[order=weights-first]"),
    "gdas": ("gdas", "gdas[order=logits-first]"),
    "setn": ("setn", "setn[order=logits-first]"),
    "darts-v2": ("darts-v2", "darts-v2[unroll=taken]"),
    "pc-darts": ("pc-darts", "pc-darts[nesterov=true]"),
    "proxylessnas": ("proxylessnas", "proxylessnas[relaxation=two-path]", f"{__file__}:EveryFifth"),
    "spos": ("spos", f"{__file__}:LineAndSmoothing"),
}


def regret(name: str, seed: int, epochs: int) -> float:
    task = constrained_task(TASK, Constraint())
    assert task.optimum is not None
    search = optimizer_spec(written(name, epochs, len(task.problem.train) // BATCH)).build(
        task.problem, np.random.default_rng(seed)
    )
    assert isinstance(search, OneShotSearch)
    while search.step() is not None:
        pass
    return task.optimum - task.true_value(search.best())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", default=list(GROUPS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    for group in args.groups:
        first: list[float] = []
        for name in GROUPS[group]:
            found = [regret(name, seed, args.epochs) for seed in range(args.seeds)]
            first = first or found
            p = stats.mannwhitneyu(found, first).pvalue
            spread = f"{np.mean(found):6.2f} +- {stats.sem(found):5.2f}"
            print(f"{name.rpartition(':')[2]:>36} {spread}  p {p:.2g}", flush=True)


if __name__ == "__main__":
    main()
