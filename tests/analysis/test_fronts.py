"""Indicators of fronts: by hand, against brute force, and against moocore."""

from __future__ import annotations

import itertools

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naslab.analysis import fronts

POINTS = st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=8).map(
    lambda rows: np.array(rows, float).reshape(-1, 3)
)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a >= b).all() and (a > b).any())


@given(POINTS)
def test_the_front_and_ranks_by_their_definition(points: np.ndarray) -> None:
    expected = [not any(dominates(q, p) for q in points) for p in points]
    assert fronts.non_dominated(points).tolist() == expected
    ranks = fronts.ranks(points)
    for p, rank in zip(points, ranks, strict=True):
        better = [r for q, r in zip(points, ranks, strict=True) if dominates(q, p)]
        assert rank == max(better, default=-1) + 1


def test_what_is_not_a_number_is_in_nobodys_way() -> None:
    points = np.array([[np.nan, 9.0], [1.0, 1.0], [1.0, 1.0], [0.0, 2.0], [0.0, 1.0]])
    assert fronts.non_dominated(points).tolist() == [False, True, True, True, False]
    assert fronts.non_dominated(np.empty((0, 2))).tolist() == []


@given(POINTS)
def test_the_hypervolume_counts_dominated_cells(points: np.ndarray) -> None:
    cells = sum(any((p > cell).all() for p in points) for cell in itertools.product(range(4), repeat=3))
    assert fronts.hypervolume(points, np.zeros(3)) == cells


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_indicators_are_moocores(k: int, seed: int) -> None:
    rng = np.random.default_rng([k, seed])
    points, target, corner = rng.normal(size=(40, k)), rng.normal(size=(30, k)) + 0.3, np.full(k, -1.5)
    assert fronts.hypervolume(points, corner) == pytest.approx(moocore.hypervolume(-points, ref=-corner))
    assert fronts.igd_plus(points, target) == pytest.approx(moocore.igd_plus(-points, -target))
    assert fronts.epsilon(points, target) == pytest.approx(moocore.epsilon_additive(-points, ref=-target))
    assert fronts.ranks(points).tolist() == moocore.pareto_rank(-points).tolist()


def test_indicators_of_nothing() -> None:
    none, one = np.empty((0, 2)), np.array([[1.0, 1.0]])
    assert fronts.hypervolume(none, np.zeros(2)) == 0
    assert (fronts.igd_plus(none, one), fronts.epsilon(none, one)) == (np.inf, np.inf)
    assert np.isnan([fronts.igd_plus(one, none), fronts.epsilon(one, none)]).all()
    assert (fronts.igd_plus(one, one), fronts.epsilon(one, one)) == (0, 0)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("runs", [1, 4, 7])
def test_attainment_surfaces_are_moocores(runs: int, share: float) -> None:
    rng = np.random.default_rng(runs)
    found = [rng.integers(0, 30, (5, 2)).astype(float) for _ in range(runs)]
    sets = np.concatenate([np.full(5, i) for i in range(runs)])
    expected = moocore.eaf(-np.concatenate(found), sets=sets, percentiles=[100 * share])
    corners = fronts.attainment(found, share)
    assert sorted(map(tuple, corners)) == sorted(map(tuple, -expected[:, :2] + 0.0))


def test_a_run_without_a_front_attains_nothing() -> None:
    one = np.array([[1.0, 2.0]])
    none = np.empty((0, 2))
    assert fronts.attainment([one, none], 0.5).tolist() == [[1.0, 2.0]]
    assert fronts.attainment([one, none, none], 0.5).tolist() == []
    assert fronts.attainment([none], 0.5).tolist() == []
