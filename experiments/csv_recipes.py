"""How the recipe for one's own table (``naslab/tabular/defaults.py``) was chosen: on five tables of other studies.

Every combination of learning rate, weight decay and steps, two constant widths and four splits each: the test score
after the last epoch, and after the epoch with the best validation score. None of the tables is in the study
``tabnas-csv``.

    python experiments/csv_recipes.py
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from river import datasets as streams
from sklearn import datasets

import naslab
from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.evaluators.fitting import fit, torch_generator
from naslab.evaluators.threads import one_thread
from naslab.evaluators.training_objective import TrainingObjective
from naslab.space import Recipe
from naslab.tabular.defaults import batch_size
from naslab.tabular.splitting import split

RATES, DECAYS, STEPS, WIDTHS, SEEDS = (1e-3, 3e-3), (0.01, 1.0), (750, 3000), (12, 48), range(4)


def tables() -> Iterator[tuple[str, Any, Any]]:
    """Name, features and target."""
    for name in ("breast_cancer", "digits", "diabetes"):
        bundle = getattr(datasets, f"load_{name}")()
        yield name, bundle.data.astype(float), bundle.target
    phishing = list(streams.Phishing())
    yield "phishing", np.array([list(x.values()) for x, _ in phishing], float), np.array([int(y) for _, y in phishing])
    chicks = list(streams.ChickWeights())
    diets = np.eye(4)[[x["diet"] - 1 for x, _ in chicks]]
    yield "chick", np.column_stack([[x["time"] for x, _ in chicks], diets]), np.array([float(y) for _, y in chicks])


def main() -> None:
    rows = []
    for name, x, y in tables():
        regression = name in ("diabetes", "chick")
        objective = TrainingObjective("regression", "r2") if regression else TrainingObjective()
        for seed in SEEDS:
            parts = split(y, objective.kind, np.random.default_rng(seed))
            train = parts[0]
            scale = x[train].std(axis=0)
            inputs = np.clip((x - x[train].mean(axis=0)) / np.where(scale > 0, scale, 1), -10, 10).astype(np.float32)
            targets = ((y - y[train].mean()) / y[train].std()).astype(np.float32) if regression else y.astype(np.int64)
            fitted, validation, test = (Rows(inputs[part], targets[part]) for part in parts)
            outputs = 1 if regression else int(y.max()) + 1
            space = naslab.search_space("mlp", in_features=x.shape[1], out_features=outputs, depth=3, widths=WIDTHS)
            batch = batch_size(len(train))
            for option, rate, decay, steps in itertools.product(range(len(WIDTHS)), RATES, DECAYS, STEPS):
                epochs = min(200, math.ceil(steps / (len(train) // batch)))
                recipe = Recipe(epochs, batch, learning_rate=rate, optimizer="adamw", weight_decay=decay)
                rng = np.random.default_rng(seed)
                network = compile_network(space, (option,) * 3, generator=torch_generator(rng))
                held = {"validation": validation, "test": test}
                done = fit(network, fitted, recipe, torch_generator(rng), held, None, objective).scored
                size = 1.0 if regression else 100 / len(test)
                best = int(np.argmax(done["validation"][:, 0]))
                row = {"table": name, "rate": rate, "decay": decay, "steps": steps}
                rows.append(row | {"last": size * done["test"][-1, 0], "best": size * done["test"][best, 0]})
    frame = pd.DataFrame(rows).groupby(["rate", "decay", "steps", "table"])[["last", "best"]].mean().unstack("table")
    print(frame.round(2).to_string())


if __name__ == "__main__":
    with one_thread():
        main()
