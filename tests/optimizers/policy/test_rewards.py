"""Resource-aware rewards: values and signs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from naslab.optimizers.policy.rewards import REWARDS, Quality

BETA = {"soft": -0.5, "hard": -0.5, "absolute": -0.4, "linear": -0.25, "indicator": 0.0}
# By hand, for a quality of 0.8 and T/T0 = 1/2, 1 and 2.
EXPECTED = {
    "soft": (0.8 * 2**0.5, 0.8, 0.8 / 2**0.5),
    "hard": (0.8, 0.8, 0.8 / 2**0.5),
    "absolute": (0.8 - 0.4 * 0.5, 0.8, 0.8 - 0.4),
    "linear": (0.75 * 0.8 - 0.25 * 0.5, 0.75 * 0.8 - 0.25, 0.75 * 0.8 - 0.5),
    "indicator": (0.8, 0.8, 0.0),
}


@pytest.mark.parametrize("name", REWARDS)
def test_values(name):
    found = [REWARDS[name](0.8, ratio, BETA[name]) for ratio in (0.5, 1.0, 2.0)]
    assert found == pytest.approx(EXPECTED[name])


@pytest.mark.parametrize("name", REWARDS)
def test_more_quality_is_better_and_more_than_the_limit_is_worse(name):
    reward, beta = REWARDS[name], BETA[name]
    assert reward(0.9, 0.7, beta) > reward(0.8, 0.7, beta)
    assert reward(0.8, 1.0, beta) > reward(0.8, 1.5, beta)
    assert reward(0.8, 1.5, beta) >= reward(0.8, 3.0, beta)


def test_below_the_limit():
    """Where rewards differ: a bonus (soft, linear), nothing (hard, indicator), punishment (absolute)."""
    change = {name: REWARDS[name](0.8, 0.5, BETA[name]) - REWARDS[name](0.8, 1.0, BETA[name]) for name in REWARDS}
    assert change["soft"] > 0 < change["linear"]
    assert change["hard"] == 0 == change["indicator"]
    assert change["absolute"] < 0


def test_the_slides_erratum():
    """With max for min, as the TabNAS slides print it, exceeding the limit would cost nothing."""
    assert 0.8 * max(2.0**-0.5, 1.0) == 0.8 > REWARDS["hard"](0.8, 2.0, -0.5)


@pytest.mark.parametrize("first", [-5000.0, -0.3, 0.0, 0.4, 90.0])
@pytest.mark.parametrize("name", REWARDS)
def test_whatever_the_scores_more_quality_is_better_and_more_resource_worse(name, first):
    """Errors are scored negatively: a product with the resource must not turn its sign."""
    quality, reward, beta = Quality(0.01), REWARDS[name], BETA[name]
    quality(first)
    scores = sorted({first, *(sign * size for sign in (-1, 1) for size in (1e-3, 0.1, 1, 50, 1e4))})
    qualities = [quality(score) for score in scores]
    assert all(low < high for low, high in pairwise(qualities))
    assert qualities[0] > 0
    for each in qualities:
        assert reward(each, 0.9, beta) > reward(each, 1.5, beta) >= reward(each, 3.0, beta)


def test_an_accuracy_is_its_own_quality():
    assert [Quality(0.01)(score) for score in (1.0, 10.0, 93.5, 100.0)] == [0.01, 0.1, 0.935, 1.0]
