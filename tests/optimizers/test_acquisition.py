"""Acquisition functions against integrals and samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from naslab.errors import NaslabError
from naslab.optimizers.acquisition import ACQUISITIONS, acquire

MEAN, DEVIATION = np.array([0.3, -1.0, 2.0, 0.5]), np.array([1.0, 2.5, 0.1, 0.0])


def values(name: str, beta: float = 0.5, seed: int = 0, incumbent: float = 0.4) -> np.ndarray:
    return acquire(name, MEAN, DEVIATION, incumbent=incumbent, beta=beta, rng=np.random.default_rng(seed))


def test_expected_improvement_is_the_integral_of_the_improvement() -> None:
    found = values("expected-improvement")
    for value, mean, deviation in zip(found[:3], MEAN, DEVIATION, strict=False):
        density = stats.norm(mean, deviation).pdf
        ends = (0.4, mean + 12 * deviation)
        wanted, _ = integrate.quad(lambda x, f=density: (x - 0.4) * f(x), *ends, points=[max(mean, 0.4)])
        assert value == pytest.approx(wanted, rel=1e-6)


def test_without_deviation_the_improvement_is_what_is_predicted() -> None:
    assert values("expected-improvement")[3] == pytest.approx(0.1)
    assert values("expected-improvement", incumbent=0.9)[3] == 0.0


def test_the_upper_bound_is_so_many_deviations_up() -> None:
    np.testing.assert_allclose(values("ucb"), [0.8, 0.25, 2.05, 0.5])
    np.testing.assert_allclose(values("ucb", beta=2.0), [2.3, 4.0, 2.2, 0.5])


def test_the_mean_alone() -> None:
    np.testing.assert_array_equal(values("mean"), MEAN)
    np.testing.assert_array_equal(
        acquire("mean", MEAN, None, incumbent=math.inf, beta=0.5, rng=np.random.default_rng(0)), MEAN
    )


def test_thompson_draws_each_from_its_own_normal_distribution() -> None:
    drawn = np.stack([values("independent-thompson", seed=seed) for seed in range(4000)])
    assert (np.abs(drawn.mean(axis=0) - MEAN) <= 4.5 * DEVIATION / 4000**0.5).all()
    np.testing.assert_allclose(drawn.std(axis=0), DEVIATION, rtol=0.06)
    correlation = np.corrcoef(drawn[:, :3].T) - np.eye(3)
    assert np.abs(correlation).max() < 0.07


@pytest.mark.parametrize("name", [name for name in ACQUISITIONS if name != "mean"])
def test_the_others_need_deviations(name: str) -> None:
    with pytest.raises(NaslabError, match=f"acquisition={name} of a predictor that has no deviations"):
        acquire(name, MEAN, None, incumbent=0.0, beta=0.5, rng=np.random.default_rng(0))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(NaslabError, match="Did you mean 'expected-improvement'"):
        acquire("expected-improvment", MEAN, None, incumbent=0.0, beta=0.5, rng=np.random.default_rng(0))
