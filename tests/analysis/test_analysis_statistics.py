import itertools
from math import comb

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from naslab.analysis.data import GRAIN, without_noise
from naslab.analysis.statistics import (
    bootstrap_interval,
    bootstrap_weights,
    friedman_nemenyi,
    holm,
    iqm,
    mann_whitney_holm,
    probability_of_improvement,
    van_elteren,
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
    low, high = theirs.confidence_interval
    wider = np.sqrt(20 / 19) * stats.t.ppf(0.975, 19) / stats.norm.ppf(0.975)
    assert ours.low == pytest.approx(ours.value + wider * (low - ours.value))
    assert ours.high == pytest.approx(ours.value + wider * (high - ours.value))
    assert ours == bootstrap_interval([values], np.random.default_rng(3))
    assert ours.low < ours.value < ours.high


def test_interval_is_stratified(rng):
    # Two constant tasks far apart: resampled within tasks nothing varies, pooled nearly everything would.
    strata = [np.full(10, 1.0), np.full(10, 50.0)]
    assert bootstrap_interval(strata, rng) == (25.5, 25.5, 25.5)
    strata[0][0] = 1.5
    interval = bootstrap_interval(strata, rng, statistic=np.mean)
    assert interval.high - interval.low < 0.2


def test_an_average_per_stratum_keeps_the_order_of_strata(rng):
    # Better in both strata; pooled, the interquartile mean of 'a' loses its best stratum and that of 'b' does not.
    a, b = [np.array([1.0, 1, 1, 1]), np.array([9.0, 9, 9, 9])], [np.array([0.9] * 4), np.array([3.0, 8, 8, 8])]
    assert bootstrap_interval(a, rng, per_stratum=True).value == 5
    assert bootstrap_interval(b, rng, per_stratum=True).value == pytest.approx((0.9 + 8) / 2)
    assert np.isnan(bootstrap_interval([a[0], np.empty(0)], rng, per_stratum=True)).all()


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
    value, low, high = probability_of_improvement([works], [fails], rng)
    assert (value, high) == (1, 1)
    assert 0.4 < low < 0.6  # four against four are no certainty
    value, low, high = probability_of_improvement([fails], [fails], rng)
    assert value == 0.5
    assert low == pytest.approx(1 - high)
    assert low < 0.3
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
    assert result.statistic == pytest.approx(expected.statistic)
    f = 7 * expected.statistic / (8 * 3 - expected.statistic)  # Demsar 2006, section 3.2.2
    assert result.p == pytest.approx(stats.f.sf(f, 3, 21))
    assert result.test == "Iman-Davenport's F"
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(scores)
    for a, b, _, p in result.pairs.itertuples(index=False):
        assert p == pytest.approx(nemenyi.loc[a, b], abs=1e-9)
    # Demsar 2006, table 5: q at 0.05 for four classifiers is 2.569.
    assert result.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 8)), abs=1e-3)
    assert result.ranks.index[0] == "d"
    assert result.ranks.sum() == pytest.approx(10)


@pytest.mark.parametrize(
    ("rows", "p"),
    [
        # Exact probabilities of Friedman's statistic for three methods (Hollander & Wolfe, table A.22).
        ([[3.0, 2, 1]] * 3, 0.028),
        ([[3.0, 2, 1], [3, 2, 1], [3, 1, 2]], 0.194),
        ([[3.0, 2, 1]] * 4, 0.0046),
        ([[3.0, 2, 1]] * 5, 0.00077),
    ],
)
def test_friedmans_p_is_exact_for_few_tasks(rows, p):
    result = friedman_nemenyi(pd.DataFrame(rows, columns=list("abc")))
    assert result.p == pytest.approx(p, rel=0.02)
    assert result.test == "exact permutations"


def test_friedmans_p_of_many_methods_is_drawn_and_the_same_each_time():
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(5, 6)))
    result = friedman_nemenyi(scores)
    assert result.test == "random permutations"
    assert result.p == friedman_nemenyi(scores).p
    assert result.p == pytest.approx(stats.friedmanchisquare(*scores.to_numpy().T).pvalue, abs=0.05)


def test_friedmans_p_is_never_zero():
    assert friedman_nemenyi(pd.DataFrame([[3.0, 2, 1]] * 7)).p == pytest.approx(6.0**-6)


def test_friedman_takes_float_noise_for_a_tie():
    base = np.array([0.1, 0.2, 0.3])
    sums = [base[list(order)].cumsum()[-1] / 3 for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))]
    assert len(set(sums)) > 1  # the same runs in another order
    result = friedman_nemenyi(pd.DataFrame([sums] * 3, columns=list("abc")))
    assert result.ranks.tolist() == [2, 2, 2]
    assert result.p == 1


@pytest.mark.parametrize("tasks", [3, 4, 5])
def test_nemenyis_difference_is_rarely_exceeded_by_equal_methods(tasks):
    rng = np.random.default_rng(tasks)
    critical = friedman_nemenyi(pd.DataFrame(rng.normal(size=(tasks, 4)))).critical_difference
    ranks = rng.permuted(np.tile(np.arange(4.0), (2000, tasks, 1)), axis=2).mean(axis=1)
    wrong = (np.ptp(ranks, axis=1) > critical).mean()
    assert wrong <= 0.05


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


def test_wilcoxon_takes_differences_that_differ_by_float_noise_for_equal():
    # In hundredths of a percent: differences of 1, 1, 1, 1, 1, 1, -1; in binary no two are equal.
    a = np.array([94.4, 94.3, 94.2, 94.1, 93.9, 93.7, 93.5])
    b = np.array([94.3, 94.2, 94.1, 94.0, 93.8, 93.6, 93.6])
    assert len(np.unique(np.abs(a - b))) > 1
    hundredths = np.array([1.0, 1, 1, 1, 1, 1, -1])
    # All of equal size: the signs decide, seven or six of one kind among 2^7.
    assert wilcoxon_over_tasks(a, b) == pytest.approx(2 * (1 + 7) / 2**7)
    assert wilcoxon_over_tasks(hundredths, np.zeros(7)) == pytest.approx(2 * (1 + 7) / 2**7)
    assert wilcoxon_over_tasks(a, a + 1e-13) == 1
    rng = np.random.default_rng(0)
    shaken = {round(wilcoxon_over_tasks(a + 1e-12 * rng.normal(size=7), b), 12) for _ in range(20)}
    assert len(shaken) == 1


def test_wilcoxon_with_ties_counts_the_signs_of_up_to_13_tasks():
    one_dissents = np.r_[np.ones(12), -1.0]
    assert wilcoxon_over_tasks(one_dissents, np.zeros(13)) == pytest.approx(2 * (1 + 13) / 2**13)
    more = np.r_[one_dissents, 1.0]
    assert wilcoxon_over_tasks(more, np.zeros(14)) == stats.wilcoxon(more, method="approx").pvalue


def test_noise_is_removed_without_borders():
    values = np.array([0.1 + 0.2, 0.3, 0.5, -np.inf, 0.3 + 1e-16, np.inf])
    found = without_noise(values)
    assert found.tolist() == [0.3, 0.3, 0.5, -np.inf, 0.3, np.inf]
    grains = np.array([93.12, 93.12 + 1 / 300])
    assert len(set(without_noise(grains, grain=GRAIN))) == 2
    assert len(set(without_noise(np.array([93.12, float(np.float32(93.12))]), grain=GRAIN))) == 1
    assert without_noise(np.empty(0)).size == 0


def test_van_elteren_of_one_task_is_the_rank_sum_test(rng):
    x, y = rng.normal(size=20), rng.normal(0.8, 1, size=25)
    expected = stats.mannwhitneyu(x, y, method="asymptotic", use_continuity=False).pvalue
    assert van_elteren([x], [y], rng) == pytest.approx(expected)
    few = stats.mannwhitneyu(x[:5], y[:6], method="exact").pvalue
    assert van_elteren([x[:5]], [y[:6]], rng) == pytest.approx(few, abs=0.015)


def test_van_elteren_of_many_runs_against_few_is_permuted_not_approximated(rng):
    many, few = np.arange(30.0) + 3, np.arange(3.0)
    exact = 2 / comb(33, 3)  # 0.0004; the normal distribution says 0.005
    for x, y in ((many, few), (few, many)):
        assert van_elteren([x], [y], rng) == pytest.approx(exact, abs=0.001)


def test_van_elteren_over_two_tasks_by_enumeration(rng):
    x, y = [np.array([3.0, 5, 5]), np.array([10.0, 30])], [np.array([1.0, 2, 5]), np.array([5.0, 20, 40])]
    drawn = []
    first, second = (stats.rankdata(np.concatenate([a, b])) / (len(a) + len(b) + 1) for a, b in zip(x, y, strict=True))
    for one in itertools.combinations(range(6), 3):
        for two in itertools.combinations(range(5), 2):
            drawn.append(first[list(one)].sum() + second[list(two)].sum())
    centred = np.array(drawn) - np.mean(drawn)
    observed = first[:3].sum() + second[:2].sum() - np.mean(drawn)
    exact = (np.abs(centred) >= abs(observed) - 1e-9).mean()
    assert van_elteren(x, y, rng) == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("n", [5, 10])
def test_van_elteren_rarely_rejects_equal_methods(n):
    rng, rejected = np.random.default_rng(n), 0
    rounds = 150 if n == 5 else 600
    for _ in range(rounds):
        tasks = [rng.normal(10 * t, 1 + t, size=(2, n)).round(1) for t in range(3)]
        rejected += van_elteren([t[0] for t in tasks], [t[1] for t in tasks], rng) < 0.05
    assert rejected / rounds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / rounds)


def test_van_elteren_sees_what_no_task_shows_alone(rng):
    x = [np.array([3.0, 5, 7, 9, 11, 13]) + 100 * t for t in range(4)]
    y = [np.array([2.0, 4, 6, 8, 3.5, 5.5]) + 100 * t for t in range(4)]
    assert all(stats.mannwhitneyu(a, b).pvalue > 0.05 for a, b in zip(x, y, strict=True))
    assert van_elteren(x, y, rng) < 0.01
    assert van_elteren(x, x, rng) == pytest.approx(1, abs=0.01)
    assert van_elteren([np.ones(9)], [np.ones(9)], rng) == 1
    assert np.isnan(van_elteren([], [], rng))
    assert np.isnan(van_elteren([np.empty(0)], [np.ones(3)], rng))
    with pytest.raises(InvalidValue, match="1 tasks against 0"):
        van_elteren([np.ones(2)], [], rng)


def test_mann_whitney_of_few_with_ties_is_permuted_not_approximated():
    x, y = np.array([3.0, 3, 3, 3, 2]), np.array([2.0, 1, 1, 1, 1])
    pooled = np.concatenate([x, y])
    ranks = stats.rankdata(pooled)
    sums = np.array([ranks[list(chosen)].sum() for chosen in itertools.combinations(range(10), 5)])
    exact = (np.abs(sums - sums.mean()) >= abs(ranks[:5].sum() - sums.mean()) - 1e-9).mean()
    found = mann_whitney_holm({"a": x, "b": y})["p"].item()
    assert found == pytest.approx(exact, rel=0.25)
    assert abs(found - exact) < abs(stats.mannwhitneyu(x, y).pvalue - exact)
