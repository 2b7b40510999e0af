"""Test scores with intervals, and differences that are paired."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_rare_class_is_in_every_resample():
    """Three of 400 rows: one resample in twenty would have none of them."""
    y = (np.arange(400) < 3).astype(np.int64)
    outputs = np.column_stack([np.zeros(400), y + RNG.standard_normal(400)])
    frame = judged({"found": outputs}, y, TrainingObjective(metric="roc-auc"))
    assert frame["test low"][0] < frame["test"][0] < frame["test high"][0]
