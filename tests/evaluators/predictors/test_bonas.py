"""BONAS' Bayesian head."""

from __future__ import annotations

import numpy as np
import pytest

import naslab
from naslab.evaluators.predictors.bonas import BONAS

SPACE = naslab.search_space("nasbench201")


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    cells = [SPACE.sample(rng) for _ in range(300)]
    scores = np.array([sum(option == 3 for option in cell) for cell in cells]) + rng.normal(0, 1, 300)
    made = BONAS(SPACE, target="raw", epochs=30)
    made.fit(cells[:100], scores[:100], rng=rng)
    return made, cells, scores


def test_the_head_is_bayesian_linear_regression(fitted):
    """Bishop 2006, equations 3.53, 3.54 and 3.59, with the precisions that were found; targets are centred."""
    made, cells, scores = fitted
    known = made._embedded(made.model, made._tensors(cells[:100], None))
    asked = made._embedded(made.model, made._tensors(cells[100:150], None))
    head = made._regression
    center = known.mean(axis=0)
    covariance = np.linalg.inv(
        head.lambda_ * np.eye(known.shape[1]) + head.alpha_ * (known - center).T @ (known - center)
    )
    targets = (scores[:100] - scores[:100].mean()) / scores[:100].std()
    weights = head.alpha_ * covariance @ (known - center).T @ targets
    mean, deviation = made.predict(cells[100:150])
    np.testing.assert_allclose(mean, (asked - center) @ weights, atol=1e-3)
    spread = ((asked - center) @ covariance * (asked - center)).sum(axis=1)
    np.testing.assert_allclose(deviation, np.sqrt(1 / head.alpha_ + spread), rtol=0.05)


def test_deviations_hold_the_noise(fitted):
    made, cells, scores = fitted
    mean, deviation = made.predict(cells[100:])
    targets = (scores[100:] - scores[:100].mean()) / scores[:100].std()
    covered = (np.abs(mean - targets) < 1.96 * deviation).mean()
    assert 0.85 < covered <= 1
    assert 0.3 < deviation.mean() < 1.2
