"""Our scores beside those that NAS-Bench-Suite-Zero stored (Krishnakumar et al. 2022), cell by cell.

Four proxies need no data, so their scores must agree; the others were computed on CIFAR-10, which is not here.
"""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import suite_zero
from scipy import stats

import naslab
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.space import Architecture

LEAST = {"params": 1.0, "flops": 0.99, "synflow": 0.99, "l2-norm": 0.9}


@pytest.fixture(scope="module")
def stored(shared_data: Path) -> dict[Architecture, dict[str, Any]]:
    return suite_zero.stored(shared_data / "nb_suite_zero_nasbench201.json")


def agree(stored: dict[Architecture, dict[str, Any]], cells: list[Architecture]) -> None:
    evaluator = ZeroCost(naslab.search_space("nasbench201"), proxies=list(LEAST), batch=2)
    found = [evaluator.evaluate(cell, rng=np.random.default_rng(row)).metrics for row, cell in enumerate(cells)]
    for name, least in LEAST.items():
        theirs = [suite_zero.theirs(stored[cell], name) for cell in cells]
        pairs = [(scores[name], score) for scores, score in zip(found, theirs, strict=True) if not math.isnan(score)]
        assert len(pairs) >= len(cells) - 1  # one cell lacks its synflow
        correlation = stats.spearmanr(*zip(*pairs, strict=True)).statistic
        assert correlation >= least - 1e-12, (name, correlation)


def test_cells_are_translated(stored: dict[Architecture, dict[str, Any]], shared_data: Path) -> None:
    space = naslab.search_space("nasbench201")
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt") as lines:
        accuracy = {row["arch"]: float(row["cifar10/valid200"]) for row in csv.DictReader(lines)}
    assert len(stored) == 725
    away = []
    for cell, entry in stored.items():
        assert entry["params"]["score"] * 1e6 == pytest.approx(space.cost(cell).params, abs=1)
        away.append(abs(entry["val_accuracy"] - accuracy[space.to_string(cell)]))
    assert np.percentile(away, 90) < 1.5  # points; one seed against the mean of several


def test_scores_agree_on_a_sample(stored: dict[Architecture, dict[str, Any]]) -> None:
    cells = sorted(stored)
    chosen = np.random.default_rng(0).choice(len(cells), 40, replace=False)
    agree(stored, [cells[i] for i in chosen])


@pytest.mark.slow
def test_scores_agree_on_all_cells(stored: dict[Architecture, dict[str, Any]]) -> None:
    agree(stored, sorted(stored))
