"""Agreement of scores with a truth: against scipy, by hand, and what ties and failures do."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from naslab.analysis.correlation import STATISTICS, agreement, bias, ceiling, counts, difference, matrix
from naslab.analysis.correlation_plots import plot_agreement, plot_matrix
from naslab.errors import InvalidValue


def value_of(scores, truth, statistic, rng, **options):
    frame = agreement(pd.DataFrame({"a": scores}), np.asarray(truth, float), rng, resamples=0, **options)
    return float(frame.loc[frame["statistic"] == statistic, "value"].iloc[0])


def noisy(n, rng, noise=1.0):
    truth = rng.normal(size=n)
    return truth + noise * rng.normal(size=n), truth


@pytest.mark.parametrize(
    ("statistic", "theirs"),
    [("Spearman", stats.spearmanr), ("Kendall tau-b", stats.kendalltau), ("weighted tau", stats.weightedtau)],
)
def test_rank_correlations_are_those_of_scipy_ties_included(statistic, theirs, rng):
    scores, truth = (np.round(values, 1) for values in noisy(200, rng))
    assert len(np.unique(truth)) < 100
    expected = theirs(scores, truth).statistic
    assert value_of(scores, truth, statistic, rng) == pytest.approx(expected)
    assert value_of(-scores, truth, "Spearman", rng) < 0  # signed


def test_an_interval_covers_the_population_about_as_often_as_it_says(rng):
    inside = 0
    for _ in range(40):
        scores, truth = noisy(60, rng)
        low, high = bias(pd.DataFrame({"a": scores}), truth, rng)[["Spearman low", "Spearman high"]].iloc[0]
        inside += low <= 6 / np.pi * np.arcsin(0.5 / np.sqrt(2)) <= high  # of normals with correlation 1 / sqrt(2)
    assert inside >= 34


def test_the_top_by_hand(rng):
    truth = np.arange(100.0)
    scores = truth.copy()
    scores[[99, 95]] = [-1, 200]  # the best comes last, the fifth best first
    assert value_of(scores, truth, "precision at 1%", rng) == 0
    assert value_of(scores, truth, "precision at 5%", rng) == 4 / 5
    assert value_of(scores, truth, "best rank at 1%", rng) == 5 / 100
    assert value_of(scores, truth, "best rank at 5%", rng) == 2 / 100
    assert value_of(scores, truth, "regret", rng) == 4
    top = slice(90, 100)
    expected = stats.kendalltau(scores[top], truth[top]).statistic
    assert value_of(scores, truth, "tau in top 10%", rng) == pytest.approx(expected)


def test_ndcg_by_hand(rng):
    truth = np.arange(30.0)
    scores = rng.permutation(30).astype(float)
    gains = 2 ** (10 * truth / 29) - 1
    discounts = 1 / np.log2(np.arange(2, 5))
    gained, ideal = (float((gains[np.argsort(-by)][:3] * discounts).sum()) for by in (scores, truth))
    assert value_of(scores, truth, "nDCG at 10%", rng) == pytest.approx(gained / ideal)
    assert value_of(truth, truth, "nDCG at 10%", rng) == pytest.approx(1)


def test_the_order_of_rows_decides_no_tie(rng):
    truth = np.arange(1000.0)
    shares = [value_of(np.zeros(1000), truth[::step], "precision at 10%", rng) for step in (1, -1)]
    assert shares == pytest.approx([0.1, 0.1], abs=0.02)
    assert value_of(np.zeros(1000), truth, "regret", rng) == pytest.approx(500, abs=4 * 289 / np.sqrt(20))
    assert np.isnan(value_of(np.zeros(1000), truth, "Spearman", rng))


def test_what_is_not_finite_is_the_worst_and_counted(rng):
    truth = np.arange(8.0)
    broken = np.array([np.nan, -np.inf, 2, 3, 4, 5, 6, 7.0])
    worst = np.array([-9, -9, 2, 3, 4, 5, 6, 7.0])
    for statistic in STATISTICS[:4]:
        assert value_of(broken, truth, statistic, rng) == value_of(worst, truth, statistic, rng)
    counted = counts(pd.DataFrame({"a": broken, "b": truth})).set_index("evaluator")
    assert counted.loc["a"].tolist() == pytest.approx([8, 2, 1 / 28])
    assert counted.loc["b"].tolist() == [8, 0, 0]


def test_a_truth_that_is_missing_is_refused(rng):
    scores = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    with pytest.raises(InvalidValue, match="1 truths are not finite"):
        agreement(scores, np.array([1.0, np.nan, 2.0]), rng)
    with pytest.raises(InvalidValue, match="one truth per row"):
        agreement(scores, np.ones(4), rng)


def test_matrix_and_bias_are_spearman(rng):
    scores, truth = noisy(80, rng)
    frame = pd.DataFrame({"a": scores, "minus": -scores, "truth": truth, "flat": np.ones(80)})
    found = matrix(frame)
    assert found.loc["a", "minus"] == pytest.approx(-1)
    assert found.loc["truth", "a"] == pytest.approx(stats.spearmanr(scores, truth).statistic)
    assert found.loc["flat"].isna().all()
    row = bias(frame[["a"]], truth, rng).iloc[0]
    assert row["Spearman low"] < row["Spearman"] < row["Spearman high"]
    assert row["Spearman"] == pytest.approx(found.loc["truth", "a"])


def test_a_difference_of_two_correlations_is_paired(rng):
    scores, truth = noisy(300, rng)
    frame = pd.DataFrame({"a": scores, "almost": scores + 0.01 * rng.normal(size=300), "worse": -truth})
    value, low, high = difference(frame, truth, "a", "almost", rng)
    assert value == pytest.approx(0, abs=0.01)
    assert high - low < 0.02
    value, low, high = difference(frame, truth, "a", "worse", rng)
    assert low < value < high
    assert value == pytest.approx(stats.spearmanr(scores, truth).statistic + 1)


def test_the_ceiling_is_what_a_perfect_predictor_reaches(rng):
    quality = rng.normal(size=3000)
    trainings = quality[:, None] + 0.8 * rng.normal(size=(3000, 3))
    trainings[::10, 1:] = np.nan  # one training says nothing about noise
    found = ceiling(trainings, rng, resamples=50)
    assert set(found["architectures"]) == {2700}
    perfect = found.loc[found["evaluator"] == "any predictor"].iloc[0]
    kept = np.isfinite(trainings[:, 1])
    reached = stats.spearmanr(quality[kept], trainings[kept].mean(axis=1)).statistic
    assert perfect["value"] == pytest.approx(reached, abs=0.02)
    another = found[(found["evaluator"] == "another training") & (found["statistic"] == "Spearman")].iloc[0]
    expected = stats.spearmanr(trainings[kept, 0], trainings[kept, 1:].mean(axis=1)).statistic
    assert another["value"] == pytest.approx(expected, abs=0.03)
    assert ceiling(trainings[:, :1], rng).empty


def test_figures_show_every_evaluator_and_number(rng):
    scores, truth = noisy(50, rng)
    frame = pd.DataFrame({"good": scores, "bad": -scores, "flat": np.ones(50)})
    ax = plot_agreement(agreement(frame, truth, rng, resamples=20), ceiling=0.9)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["good", "bad", "flat"]
    ax = plot_matrix(matrix(frame.assign(truth=truth)))
    written = {text.get_text() for text in ax.texts}
    rho = stats.spearmanr(scores, truth).statistic
    assert f"{rho:.2f}".removeprefix("0") in written
    assert f"\N{MINUS SIGN}{rho:.2f}".replace("0.", ".") in written
    assert len(ax.texts) == 16
    assert isinstance(ax.figure, mpl.figure.Figure)
