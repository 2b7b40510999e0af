"""Intervals of few runs, by simulation: they cover what they estimate about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from naslab.analysis.intervals import (
    bootstrap_interval,
    bootstrap_intervals,
    bootstrap_weights,
    iqm,
    mean_interval,
    probability_of_improvement,
    widening,
)

ROUNDS = 300
# Three standard errors of a share of 0.95 in so many rounds.
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / ROUNDS)


def coverage(interval, draw, truth, n):
    rng = np.random.default_rng(n)
    inside = 0
    for _ in range(ROUNDS):
        _, low, high = interval([draw(rng, n) for _ in range(2)], rng)
        inside += low - 1e-9 <= truth <= high + 1e-9
    return inside / ROUNDS


def normal(rng, n):
    return rng.normal(size=n)


def skewed(rng, n):
    """As accuracies are: most runs near the optimum, a few far below."""
    return -rng.exponential(size=n)


SKEWED_IQM = float(iqm(skewed(np.random.default_rng(0), 1_000_000)))


@pytest.mark.parametrize("n", [3, 5, 10, 20])
@pytest.mark.parametrize(("draw", "truth"), [(normal, 0.0), (skewed, SKEWED_IQM)], ids=["normal", "skewed"])
def test_the_interval_of_an_iqm_covers_it(n, draw, truth):
    def interval(samples, rng):
        return bootstrap_interval(samples[:1], rng, n_resamples=400)

    assert coverage(interval, draw, truth, n) >= LEAST - (0.02 if draw is skewed else 0)  # percentile: 0.75 at n = 3


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_the_interval_of_an_average_over_tasks_covers_it(n):
    def interval(samples, rng):
        return bootstrap_interval([samples[0], 5 + 3 * samples[1]], rng, per_stratum=True, n_resamples=400)

    assert coverage(interval, normal, 2.5, n) >= LEAST


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_equal_methods_are_not_told_apart_by_the_probability_of_improvement(n):
    def interval(samples, rng):
        return probability_of_improvement(samples[:1], samples[1:], rng, n_resamples=400)

    assert coverage(interval, normal, 0.5, n) >= LEAST  # percentile: 0.80 at n = 3


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("shift", [1.0, 2.5])
def test_the_probability_of_improvement_of_unequal_methods_is_covered(n, shift):
    def interval(samples, rng):
        return probability_of_improvement([samples[0] + shift], samples[1:], rng, n_resamples=400)

    assert coverage(interval, normal, stats.norm.cdf(shift / np.sqrt(2)), n) >= LEAST


def test_students_interval_is_scipys():
    values = np.array([1.0, 2.0, 4.0])
    expected = stats.t.interval(0.95, 2, loc=7 / 3, scale=np.std(values, ddof=1) / np.sqrt(3))
    assert mean_interval(values)[1:] == pytest.approx(expected)
    assert mean_interval(values).high == pytest.approx(7 / 3 + 4.302653 * 1.527525 / np.sqrt(3), rel=1e-6)


def test_widening_by_hand():
    # t(0.975, 2) = 4.303, t(0.975, 9) = 2.262, t(0.975, 4) = 2.776, z = 1.960
    assert widening([3]) == pytest.approx(np.sqrt(3 / 2) * 4.303 / 1.960, rel=1e-3)
    assert widening([10]) == pytest.approx(np.sqrt(10 / 9) * 2.262 / 1.960, rel=1e-3)
    assert widening([3, 3]) == pytest.approx(np.sqrt(3 / 2) * 2.776 / 1.960, rel=1e-3)
    assert widening([100_000]) == pytest.approx(1, abs=1e-4)


def test_strata_of_different_sizes_have_welchs_degrees_of_freedom():
    a, b = np.array([1.0, 4.0, 2.0]), np.random.default_rng(0).normal(0, 2, 12)
    welch = stats.ttest_ind(a, b, equal_var=False).df
    ours = bootstrap_interval([a, b], np.random.default_rng(3), statistic=np.mean, per_stratum=True)

    def average(x, y, axis):
        return (x.mean(axis=axis) + y.mean(axis=axis)) / 2

    theirs = stats.bootstrap(
        (a, b), average, method="percentile", n_resamples=2000, vectorized=True, rng=np.random.default_rng(3)
    ).confidence_interval
    wider = np.sqrt(3 / 2) * stats.t.ppf(0.975, welch) / stats.norm.ppf(0.975)
    assert ours.low == pytest.approx(ours.value + wider * (theirs.low - ours.value))
    assert ours.high == pytest.approx(ours.value + wider * (theirs.high - ours.value))


def test_a_bootstrap_interval_of_a_mean_of_few_is_about_students(rng):
    values = np.array([90.0, 91.0, 93.0, 93.5, 94.0])
    ours, students = bootstrap_interval([values], rng, statistic=np.mean), mean_interval(values)
    assert ours.high - ours.low == pytest.approx(students.high - students.low, rel=0.06)


def test_both_bounds_of_the_probability_of_improvement_by_hand():
    # Newcombe 2006, method 5, with t(0.975, 8) = 2.306: |p - 1| = 2.306 sqrt(V(p)); nothing is above 1.
    better = [np.array([5.0, 6, 7, 8, 9])]
    than = [np.array([0.0, 1, 2, 3, 4])]
    value, low, high = probability_of_improvement(better, than, np.random.default_rng(0))
    p = low
    variance = p * (1 - p) * (1 + 4 * ((1 - p) / (2 - p) + p / (1 + p))) / 25
    assert (value, high) == (1, 1)
    assert 1 - p == pytest.approx(2.306 * np.sqrt(variance), abs=2e-3)
    mirrored = probability_of_improvement(than, better, np.random.default_rng(0))
    assert mirrored == pytest.approx((0, 0, 1 - low))


def test_the_bounds_of_many_runs_are_the_quantiles_of_the_bootstrap():
    # One hardly varies: then the bootstrap is the wider of the two intervals, and gives the bounds.
    x, y = np.random.default_rng(1).normal(0.1, 0.1, 60), np.random.default_rng(2).normal(0, 1, 60)
    value, low, high = probability_of_improvement([x], [y], np.random.default_rng(3))
    rng, drawn = np.random.default_rng(4), []
    for _ in range(6000):
        a, b = rng.choice(x, 60), rng.choice(y, 60)
        drawn.append((a[:, None] > b).mean())
    wider = widening([60, 60])
    assert low == pytest.approx(value + wider * (np.quantile(drawn, 0.025) - value), abs=0.009)
    assert high == pytest.approx(value + wider * (np.quantile(drawn, 0.975) - value), abs=0.009)
    assert abs(np.quantile(drawn, 0.05) - np.quantile(drawn, 0.025)) > 0.015  # it could be told from another quantile


def test_a_bound_that_would_be_a_failed_run_is_not_given(rng):
    value, low, high = bootstrap_interval([np.array([1.0, 2, 3, -np.inf])], rng)
    assert value == 1.5
    assert np.isnan([low, high]).all()
    nothing = bootstrap_interval([np.full(4, -np.inf)], rng)
    assert nothing.value == -np.inf
    assert np.isnan(nothing.low)


@pytest.mark.parametrize("batches", [1, 40])
def test_several_statistics_of_the_same_rows_have_the_quantiles_of_the_same_resamples(batches, monkeypatch):
    values = np.random.default_rng(0).exponential(size=30)
    strata = [np.arange(10), np.arange(10, 30)]
    monkeypatch.setattr("naslab.analysis.intervals.MOST_DRAWN", 30 * 1000 // batches)

    def of_rows(rows):
        return values[rows].mean(), values[rows].max()

    found = bootstrap_intervals(strata, np.random.default_rng(1), of_rows, n_resamples=1000, level=0.8)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(batches):
        rows = np.hstack([each[rng.integers(0, len(each), (1000 // batches, len(each)))] for each in strata])
        drawn.append(values[rows])
    for interval, statistic in zip(found, (np.mean, np.max), strict=True):
        ends = np.quantile(statistic(np.vstack(drawn), axis=1), [0.1, 0.9])
        assert interval == pytest.approx((statistic(values), *ends))
    assert np.isnan(bootstrap_intervals([*strata, np.array([3])], rng, of_rows)[0].low)


def test_weights_that_are_kept_are_those_that_would_be_drawn():
    """The same array, and the generator goes on from where it would be; with and without numbers in between."""
    for kind in (np.random.PCG64, np.random.MT19937):
        first, again, plain = (np.random.Generator(kind(7)) for _ in range(3))
        for n in (5, 30, 5):
            wanted = plain.multinomial(n, np.full(n, 1 / n), size=40) / n
            for rng in (first, again):
                found = bootstrap_weights(n, rng, 40)
                assert np.array_equal(found, wanted)
                assert not found.flags.writeable
            assert first.random() == again.random() == plain.random()
