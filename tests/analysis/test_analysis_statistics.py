import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from naslab.analysis.statistics import (
    bootstrap_interval,
    bootstrap_weights,
    friedman_nemenyi,
    holm,
    iqm,
    mann_whitney_holm,
    probability_of_improvement,
    wilcoxon_over_tasks,
)
from naslab.errors import InvalidValue


def test_iqm_cuts_a_quarter_at_each_end_as_rliable_does():
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, 100])
    assert iqm(values) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm(values) == stats.trim_mean(values, 0.25)
    assert iqm(np.array([7.0])) == 7
    assert np.isnan(iqm(np.array([])))


def test_iqm_of_rows():
    rows = np.arange(24.0).reshape(3, 8)
    assert iqm(rows, axis=1) == pytest.approx([3.5, 11.5, 19.5])


def test_interval_agrees_with_scipy_and_is_reproducible():
    values = np.random.default_rng(0).normal(size=20)
    ours = bootstrap_interval([values], np.random.default_rng(3))
    theirs = stats.bootstrap((values,), iqm, method="percentile", n_resamples=2000, rng=np.random.default_rng(3))
    assert (ours.low, ours.high) == tuple(theirs.confidence_interval)
    assert ours == bootstrap_interval([values], np.random.default_rng(3))
    assert ours.low < ours.value < ours.high


def test_interval_is_stratified(rng):
    # Two constant tasks far apart: resampled within tasks nothing varies, pooled nearly everything would.
    strata = [np.full(10, 1.0), np.full(10, 50.0)]
    assert bootstrap_interval(strata, rng) == (25.5, 25.5, 25.5)
    strata[0][0] = 1.5
    interval = bootstrap_interval(strata, rng, statistic=np.mean)
    assert interval.high - interval.low < 0.2


def test_interval_of_one_run_of_none_and_of_equal_ones(rng):
    value, low, high = bootstrap_interval([np.array([3.0])], rng)
    assert value == 3
    assert np.isnan([low, high]).all()
    assert np.isnan(bootstrap_interval([np.array([])], rng)).all()
    assert np.isnan(bootstrap_interval([], rng)).all()
    assert bootstrap_interval([np.full(5, 2.0)], rng, method="BCa") == (2, 2, 2)


def test_bca_is_scipys_and_falls_back_where_undefined(rng):
    values = np.random.default_rng(0).exponential(size=25)
    ours = bootstrap_interval([values], np.random.default_rng(3), statistic=np.mean, method="BCa")
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=2000, rng=np.random.default_rng(3))
    assert ours[1:] == pytest.approx(tuple(theirs.confidence_interval))
    outlier = np.array([1.0] * 12 + [9.0])  # leaving one out never changes this IQM
    assert np.isfinite(bootstrap_interval([outlier], rng, method="BCa")).all()


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        interval = bootstrap_interval([rng.normal(size=30)], rng, statistic=np.mean, n_resamples=300)
        hits += interval.low <= 0 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_weights_are_shares_of_the_runs(rng):
    weights = bootstrap_weights(7, rng, 50)
    assert weights.shape == (50, 7)
    assert weights.sum(axis=1) == pytest.approx(1)
    assert (weights * 7) % 1 == pytest.approx(0, abs=1e-9)


def test_probability_of_improvement_is_mann_whitneys(rng):
    x, y = np.array([1.0, 2, 2, 5]), np.array([2.0, 0, 3])
    value, low, high = probability_of_improvement([x], [y], rng)
    assert value == pytest.approx(stats.mannwhitneyu(x, y).statistic / 12)
    assert 0 <= low <= value <= high <= 1


def test_probability_of_improvement_averages_tasks_and_takes_failures_as_worst(rng):
    fails, works = np.full(4, -np.inf), np.arange(4.0)
    assert probability_of_improvement([works], [fails], rng) == (1, 1, 1)
    assert probability_of_improvement([fails], [fails], rng) == (0.5, 0.5, 0.5)
    assert probability_of_improvement([works, fails], [fails, fails], rng).value == 0.75


def test_probability_of_improvement_without_enough_runs(rng):
    value, low, high = probability_of_improvement([np.array([1.0])], [np.array([0.0])], rng)
    assert value == 1
    assert np.isnan([low, high]).all()
    assert np.isnan(probability_of_improvement([np.array([])], [np.array([0.0])], rng)).all()
    with pytest.raises(InvalidValue, match="2 tasks against 1"):
        probability_of_improvement([np.ones(2)] * 2, [np.ones(2)], rng)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    adjusted = holm([np.nan, 0.01, 0.5])
    assert np.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.5])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_mann_whitney_for_all_pairs():
    samples = {"a": np.array([1.0, 2, 3, 4]), "b": np.array([5.0, 6, 7, 8]), "c": np.array([1.0])}
    frame = mann_whitney_holm(samples).set_index(["a", "b"])
    assert frame.loc[("a", "b"), "p"] == stats.mannwhitneyu(samples["a"], samples["b"]).pvalue
    assert frame["p"].isna().tolist() == [False, True, True]
    assert frame.loc[("a", "b"), "p Holm"] == frame.loc[("a", "b"), "p"]  # the only test that was made
    assert mann_whitney_holm({"a": samples["a"]}).empty


def test_mann_whitney_of_equal_values():
    frame = mann_whitney_holm({"a": np.ones(5), "b": np.ones(6)})
    assert frame.loc[0, ["U", "p", "p Holm"]].tolist() == [15, 1, 1]


def test_friedman_and_nemenyi_agree_with_libraries():
    scores = pd.DataFrame(np.random.default_rng(2).normal(np.arange(4), size=(8, 4)), columns=list("abcd"))
    result = friedman_nemenyi(scores)
    expected = stats.friedmanchisquare(*scores.to_numpy().T)
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(scores)
    for a, b, _, p in result.pairs.itertuples(index=False):
        assert p == pytest.approx(nemenyi.loc[a, b], abs=1e-9)
    # Demsar 2006, table 5: q at 0.05 for four classifiers is 2.569.
    assert result.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 8)), abs=1e-3)
    assert result.ranks.index[0] == "d"
    assert result.ranks.sum() == pytest.approx(10)


def test_friedman_groups_are_the_largest_sets_within_the_critical_difference():
    scores = pd.DataFrame([[4.0, 3, 2, 1]] * 30, columns=list("abcd"))
    assert friedman_nemenyi(scores).groups == []
    scores = pd.DataFrame([[4.0, 3, 2, 1]] * 8, columns=list("abcd"))
    assert friedman_nemenyi(scores).groups == [("a", "b"), ("b", "c"), ("c", "d")]
    scores = pd.DataFrame([[4.0, 3, 2, 1]] * 3, columns=list("abcd"))
    assert friedman_nemenyi(scores).groups == [("a", "b", "c"), ("b", "c", "d")]


def test_friedman_of_equal_scores_and_of_failures():
    equal = friedman_nemenyi(pd.DataFrame(np.ones((4, 3)), columns=list("abc")))
    assert (equal.statistic, equal.p) == (0, 1)
    assert equal.ranks.tolist() == [2, 2, 2]
    assert equal.groups == [("a", "b", "c")]
    failing = friedman_nemenyi(pd.DataFrame([[1.0, 2, -np.inf]] * 4, columns=list("abc")))
    assert failing.ranks["c"] == 3


@pytest.mark.parametrize("shape", [(2, 3), (3, 2)])
def test_friedman_refuses_too_little(shape):
    with pytest.raises(InvalidValue, match="at least 3 of each"):
        friedman_nemenyi(pd.DataFrame(np.ones(shape)))


def test_friedman_refuses_gaps():
    with pytest.raises(InvalidValue, match="missing score"):
        friedman_nemenyi(pd.DataFrame([[1.0, 2, np.nan]] * 3))


def test_wilcoxon_over_tasks():
    a, b = np.arange(8.0), np.arange(8.0) * 1.1 + 0.1
    assert wilcoxon_over_tasks(a, b) == stats.wilcoxon(a, b, method="exact").pvalue == pytest.approx(2 / 2**8)
    assert np.isnan(wilcoxon_over_tasks(a[:5], b[:5]))
    assert wilcoxon_over_tasks(a, a) == 1
    tied = wilcoxon_over_tasks(a, a + (a > 0))
    assert 0 < tied < 0.05
