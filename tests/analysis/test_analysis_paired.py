"""Runs paired by seed: the test of signed ranks, the share of seeds won, and what the report makes of them."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
from scipy import stats
from toy_runs import comparison, info

from naslab.analysis import tables
from naslab.analysis.data import ResultsData
from naslab.analysis.paired import paired_improvement, signed_rank, signed_rank_tests
from naslab.analysis.sections.comparison import content
from naslab.analysis.statistics import mann_whitney_holm


def enumerated(xs: list[np.ndarray], ys: list[np.ndarray]) -> float:
    """p by giving every sign to every rank."""
    parts = []
    for x, y in zip(xs, ys, strict=True):
        d = (x - y)[x != y]
        parts.append(np.sign(d) * stats.rankdata(np.abs(d)))
    signed = np.concatenate(parts)
    sums = [abs(np.dot(signs, np.abs(signed))) for signs in product([-1, 1], repeat=len(signed))]
    return float(np.mean(np.array(sums) >= abs(signed.sum()) - 1e-9))


@pytest.mark.parametrize("seed", range(3))
def test_the_test_is_wilcoxons(seed: int) -> None:
    x, y = np.random.default_rng(seed).normal(size=(2, 11))
    p, lean = signed_rank([x], [y])
    known = stats.wilcoxon(x, y, method="exact")
    assert p == pytest.approx(known.pvalue)
    assert lean == np.sign(stats.wilcoxon(x, y, alternative="greater").statistic - 33)


@pytest.mark.parametrize("seed", range(4))
def test_ties_and_tasks_are_counted_exactly(seed: int) -> None:
    xs, ys = np.random.default_rng(seed).integers(0, 5, (2, 2, 7)).astype(float)
    assert signed_rank([*xs], [*ys])[0] == pytest.approx(enumerated([*xs], [*ys]))


@pytest.mark.parametrize(
    ("better", "than", "p", "lean"),
    [
        ([1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5], 2 / 64, 1),
        ([0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], 2 / 64, -1),
        ([1, 2, 3], [1, 2, 3], 1.0, 0),
        ([94.4, 94.1, 3], [94.3, 94.0, 3], 0.5, 1),
        ([94.4, 94.1], [94.3, 94.2], 1.0, 0),  # 0.1 up and 0.1 down: no float noise decides
        ([-np.inf, -np.inf, 1], [-np.inf, 50, 0.5], 1.0, -1),  # a failed run loses by more than any other
        ([1, np.nan, 3], [0, 5, np.nan], 1.0, 1),  # what is missing is left out
        ([np.nan, 1], [1, np.nan], np.nan, 0),
        ([], [], np.nan, 0),
    ],
)
def test_cases_by_hand(better: list[float], than: list[float], p: float, lean: int) -> None:
    found = signed_rank([np.array(better, float)], [np.array(than, float)])
    assert found == (pytest.approx(p, nan_ok=True), lean)


def test_thousands_of_pairs_take_the_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 600))
    y = x + rng.normal(0.05, 1, size=(3, 600))
    p, lean = signed_rank([*x], [*y])
    assert lean == -1
    ranks = [stats.rankdata(np.abs(a - b)) * np.sign(a - b) for a, b in zip(x, y, strict=True)]
    flipped = np.random.default_rng(1).choice([-1, 1], (5_000, 1800)) @ np.abs(np.concatenate(ranks))
    assert p == pytest.approx(np.mean(np.abs(flipped) >= abs(np.concatenate(ranks).sum())), abs=0.02)


def test_where_nothing_differs_p_is_uniform() -> None:
    """Paired runs share most of what they have: independent tests would hardly ever reject."""
    rng = np.random.default_rng(0)
    paired, independent = [], []
    for _ in range(400):
        common = rng.normal(0, 5, size=12)
        x, y = common + rng.normal(size=12), common + rng.normal(size=12)
        paired.append(signed_rank([x], [y])[0])
        independent.append(float(mann_whitney_holm({"x": x, "y": y})["p"].iloc[0]))
    assert 0.02 < np.mean(np.array(paired) < 0.05) < 0.08
    assert np.mean(np.array(independent) < 0.05) < 0.01


@pytest.mark.parametrize(("pairs", "share"), [(6, 0.5), (10, 0.5), (10, 0.8), (20, 0.8)])
def test_the_interval_covers_the_share_of_seeds_won(pairs: int, share: float) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        won = (rng.random(pairs) < share).astype(float)
        found = paired_improvement([won], [1 - won], rng, n_resamples=200)
        assert found.value == won.mean()
        covered += found.low <= share <= found.high
    assert covered / 400 > 0.94


def runs(*, paired: bool, seeds: int = 8, missing: list[tuple[str, str, int]] | None = None) -> ResultsData:
    """`b` is a little better than `a` on every seed; seeds differ a lot, and so do tasks."""
    made = comparison(
        [info("toy/a"), info("toy/b")], ["a", "b"], seeds, truth=lambda place, seed, _: 80.0 + 2 * seed + 0.1 * place,
        missing=missing or [],
    )  # fmt: skip
    return dataclasses.replace(made, paired=paired)


def test_what_is_better_on_every_seed_is_found_by_pairs_alone() -> None:
    for paired, better, value, p in ((True, "b", 0.0, 2 / 2**16), (False, "none shown", 0.4375, 0.4)):
        (headline,) = tables.improvement(runs(paired=paired), np.random.default_rng(0)).to_dict("records")
        assert headline["better"] == better
        assert headline["P(a > b)"] == value
        assert headline["p"] >= p if not paired else headline["p"] == pytest.approx(p)
        each = tables.significance(runs(paired=paired), np.random.default_rng(0))
        assert list(each.columns) == [
            "task", "a", "b", "n a", "n b", "P(a > b)", "P(a > b) low", "P(a > b) high", "p", "p Holm", "better"
        ]  # fmt: skip
        assert list(each["better"]) == [better] * 2
    assert list(each["n a"]) == [8, 8]


def test_ranks_of_pairs_are_resampled_by_seed() -> None:
    """`b` has rank 1 in every resample of seeds; resampled apart, the two change places."""
    widths = {}
    for paired in (True, False):
        found = tables.ranks(runs(paired=paired), np.random.default_rng(0))
        widths[paired] = float((found["average rank high"] - found["average rank low"]).max())
    assert widths[True] == 0.0
    assert widths[False] > 0.5


def test_ranks_that_lean_the_other_way_make_nobody_better() -> None:
    """`a` wins thirty seeds by little, `b` nineteen by much."""
    won = np.concatenate([np.full(30, -0.1), np.full(19, 5.0)]) + np.linspace(0, 0.01, 49)
    made = comparison([info()], ["a", "b"], 49, truth=lambda place, seed, _: 80.0 + place * float(won[seed]))
    (found,) = tables.significance(dataclasses.replace(made, paired=True), np.random.default_rng(0)).to_dict("records")
    assert found["P(a > b)"] > 0.5
    p, lean = signed_rank([np.zeros(49)], [won])
    assert lean == -1
    assert found["p"] == pytest.approx(p)
    assert found["better"] == "none shown"


@pytest.mark.parametrize(
    ("seeds", "missing", "said"), [(5, [], "too few runs"), (6, [], "b"), (6, [("toy/a", "b", 3)], "runs missing")]
)
def test_too_few_pairs_and_missing_runs(seeds: int, missing: list[tuple[str, str, int]], said: str) -> None:
    found = tables.significance(runs(paired=True, seeds=seeds, missing=missing), np.random.default_rng(0))
    assert found["better"].iloc[0] == ("none shown" if said == "b" else said)  # Holm: two tests of p = 1/32
    assert np.isnan(found["p"].iloc[0]) == (said != "b")
    if missing:
        assert np.isnan(found["P(a > b)"].iloc[0])
        assert list(signed_rank_tests({"a": np.array([1, np.nan]), "b": np.array([1.0, 2])})["n a"]) == [1]


@pytest.mark.parametrize("paired", [True, False])
def test_the_report_says_which_test_it_was(paired: bool) -> None:
    made = content(runs(paired=paired), 0).sections
    text = " ".join(
        [*(s for each in made for s in each.says), *(getattr(i, "caption", "") for each in made for i in each.items)]
    )
    assert ("Runs are paired: on each task" in text) == paired
    assert ("Wilcoxon's signed-rank test of runs paired by seed, stratified by task" in text) == paired
    assert ("Wilson's score interval" in text) == paired
    for of_independent in ("van Elteren's test", "Mann-Whitney", "Newcombe's", "resampled within task and optimizer"):
        assert (of_independent in text) != paired, of_independent
