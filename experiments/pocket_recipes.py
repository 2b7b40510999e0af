"""How the recipes of the pocket benchmarks were chosen: which of some candidates ranks architectures most reliably.

Trains a random sample of connected architectures with three seeds under each candidate recipe and prints, as Markdown,
how well two seeds agree on their order. The chosen recipe is the one in naslab/pocket/benchmarks.py.

    python experiments/pocket_recipes.py [--architectures 64] [--only pocket-mlp/segments]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from itertools import combinations

import numpy as np
import torch
from scipy import stats

from naslab.compiler import compile_network
from naslab.compiler.population import stack_networks
from naslab.evaluators.fitting import fit
from naslab.pocket.benchmarks import POCKETS, Pocket

SEEDS = (1, 2, 3)
CANDIDATES: dict[str, list[dict[str, object]]] = {
    "pocket-cell/mnist": [
        {},
        {"learning_rate": 0.02},
        {"learning_rate": 0.1},
        {"epochs": 6},
        {"epochs": 12},
        {"augmentation": "shift"},
        {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 1e-2},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 1e-2},
    ],
    "pocket-mlp/mnist": [
        {},
        {"epochs": 8},
        {"learning_rate": 4e-3},
        {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 1e-3},
    ],
    "pocket-mlp/segments": [
        {},
        {"epochs": 10},
        {"learning_rate": 4e-3},
        {"learning_rate": 1e-2, "epochs": 80},
        {"optimizer": "sgd", "learning_rate": 0.03, "weight_decay": 1e-4},
    ],
}


def accuracies(pocket: Pocket, architectures: list[tuple[int, ...]], seed: int) -> np.ndarray:
    """Final test accuracies in percent, ``(N,)``."""
    found = []
    for start in range(0, len(architectures), pocket.block):
        block = architectures[start : start + pocket.block]
        networks = [compile_network(pocket.search_space, a, generator=pocket.weights(a, seed)) for a in block]
        population = stack_networks(pocket.search_space, block, networks)
        done = fit(population, pocket.data.train, pocket.recipe, pocket.batches(seed), {"test": pocket.data.test})
        found.append(100 * done.scored["test"][-1] / len(pocket.data.test))
    return np.concatenate(found)


def agreement(scores: np.ndarray) -> float:
    """Mean Spearman correlation over pairs of seeds; ``(N, seeds)``."""
    return float(np.mean([stats.spearmanr(scores[:, i], scores[:, j])[0] for i, j in combinations(range(3), 2)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", type=int, default=64)
    parser.add_argument("--only", choices=list(POCKETS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| benchmark | recipe | Spearman between seeds [95 %] | median accuracy, % | sd between, within | s |")
    print("|---|---|---|---|---|---|")
    for name, candidates in CANDIDATES.items():
        if arguments.only not in (None, name):
            continue
        chosen = POCKETS[name]
        connected = [a for a in chosen.trained if chosen.search_space.is_connected(a)]
        rng = np.random.default_rng(0)
        rows = sorted(rng.choice(len(connected), arguments.architectures, replace=False))
        for changes in candidates:
            pocket = dataclasses.replace(chosen, recipe=dataclasses.replace(chosen.recipe, **changes))
            started = time.process_time()
            scores = np.stack([accuracies(pocket, [connected[i] for i in rows], seed) for seed in SEEDS], axis=1)
            taken = (time.process_time() - started) / scores.size
            drawn = [agreement(scores[rng.integers(len(scores), size=len(scores))]) for _ in range(500)]
            low, high = np.quantile(drawn, [0.025, 0.975])
            recipe = ", ".join(f"{key}={value}" for key, value in changes.items()) or "**as chosen**"
            print(
                f"| {name} | {recipe} | {agreement(scores):.3f} [{low:.3f}, {high:.3f}] | {np.median(scores):.1f} | "
                f"{scores.mean(axis=1).std():.1f}, {scores.std(axis=1, ddof=1).mean():.1f} | {taken:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
