"""Test scores with intervals, and differences that are paired."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from naslab.evaluators.training_objective import ACCURACY, TrainingObjective
from naslab.tabular.scoring import judged

RNG = np.random.default_rng(0)
LABELS = RNG.integers(2, size=400)


def answers(share: float, seed: int) -> np.ndarray:
    """Logits that are right on about this share of the rows."""
    right = np.random.default_rng(seed).random(400) < share
    says = np.where(right, LABELS, 1 - LABELS)
    return np.eye(2)[says]


def test_an_interval_of_a_share_is_the_binomial_one():
    frame = judged({"found": answers(0.8, 1)}, LABELS, ACCURACY)
    share = frame["test"][0] / 100
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert frame["test low"][0] / 100 == pytest.approx(share - half, abs=0.008)
    assert frame["test high"][0] / 100 == pytest.approx(share + half, abs=0.008)
    assert np.isnan(frame["found is better by"][0])


def test_differences_are_paired():
    """Two networks that differ in five rows: the difference is far more certain than either score."""
    one = answers(0.8, 1)
    other = one.copy()
    changed = np.flatnonzero(one.argmax(1) == LABELS)[:5]
    other[changed] = 1 - other[changed]
    frame = judged({"found": one, "other": other}, LABELS, ACCURACY).iloc[1]
    assert frame["found is better by"] == pytest.approx(100 * 5 / 400)
    assert 0 < frame["found is better by low"] < 1.25 < frame["found is better by high"] < 3
    assert frame["test high"] - frame["test low"] > 6


def test_errors_are_shown_as_they_are_and_less_is_better():
    y = RNG.standard_normal(400)
    small, large = ((y + error * RNG.standard_normal(400))[:, None] for error in (0.1, 0.5))
    frame = judged({"found": small, "other": large}, y, TrainingObjective("regression", "rmse", scale=10.0))
    assert frame["test"].tolist() == pytest.approx([1.0, 5.0], rel=0.1)
    assert (frame["test low"] < frame["test"]).all()
    assert (frame["test"] < frame["test high"]).all()
    assert frame["found is better by"][1] == pytest.approx(frame["test"][1] - frame["test"][0])
    assert frame["found is better by low"][1] > 0


def test_a_large_test_takes_little_memory_and_time():
    """65,000 rows took 2 GB: all resamples were held at once."""
    y = RNG.integers(2, size=65_000)
    outputs = {
        name: np.eye(2)[np.where(RNG.random(65_000) < share, y, 1 - y)] for name, share in (("a", 0.8), ("b", 0.7))
    }
    tracemalloc.start()
    try:
        frame = judged(outputs, y, ACCURACY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6
    half = 196 * np.sqrt(0.8 * 0.2 / 65_000)
    assert frame["test high"][0] - frame["test low"][0] == pytest.approx(2 * half, rel=0.1)


@pytest.mark.parametrize("metric", ["accuracy", "balanced-accuracy", "log-loss", "roc-auc", "r2", "rmse", "mae"])
def test_batches_change_nothing_and_resamples_are_scored_as_rows(metric, monkeypatch):
    """Against scipy's bootstrap of the metric itself."""
    kind = "regression" if metric in ("r2", "rmse", "mae") else "classification"
    objective = TrainingObjective(kind, metric)
    y = RNG.standard_normal(40) if kind == "regression" else RNG.integers(2, size=40)
    outputs = RNG.standard_normal((40, 1 if kind == "regression" else 2))
    found = judged({"found": outputs}, y, objective)
    if metric not in ("roc-auc", "balanced-accuracy"):  # strata are drawn one after the other in every batch
        monkeypatch.setattr("naslab.analysis.intervals.MOST_DRAWN", 100)
        pd.testing.assert_frame_equal(judged({"found": outputs}, y, objective), found)

    def score(*rows: np.ndarray, axis: int) -> np.ndarray:
        return np.apply_along_axis(lambda r: objective.score(outputs[r], y[r]), axis, np.concatenate(rows, axis=axis))

    strata = [np.flatnonzero(y == c) for c in (0, 1)] if metric in ("roc-auc", "balanced-accuracy") else [np.arange(40)]
    low, high = stats.bootstrap(
        strata, score, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    ends = sorted((objective.sign * low, objective.sign * high))
    assert [found["test low"][0], found["test high"][0]] == pytest.approx(ends, rel=1e-12)


def test_a_rare_class_is_in_every_resample():
    """Three of 400 rows: one resample in twenty would have none of them."""
    y = (np.arange(400) < 3).astype(np.int64)
    outputs = np.column_stack([np.zeros(400), y + RNG.standard_normal(400)])
    frame = judged({"found": outputs}, y, TrainingObjective(metric="roc-auc"))
    assert frame["test low"][0] < frame["test"][0] < frame["test high"][0]
