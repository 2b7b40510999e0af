"""Landscapes: their distribution is counted, and agrees with enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from naslab.studies.policy_search import landscapes
from naslab.studies.policy_search.landscapes import GRID, Landscape, landscape_task


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landscapes, "CHOICES", 5)
    monkeypatch.setattr(landscapes, "OPTIONS", 3)


def qualities(landscape: Landscape) -> np.ndarray:
    """Of all architectures, term by term."""
    found = []
    for a in itertools.product(range(3), repeat=5):
        single = sum(int(landscape.single[i, a[i]]) for i in range(5))
        found.append(single + sum(int(landscape.double[i, a[i], a[i + 1]]) for i in range(4)))
    return np.array(found)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("pairs", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_shares_and_thresholds_are_those_of_enumeration(pairs, seed):
    landscape = Landscape(pairs, np.random.default_rng(seed))
    every = qualities(landscape)
    architectures = itertools.product(range(3), repeat=5)
    assert [landscape.quality(a) for a in architectures] == every.tolist()
    for quality in (*every[:40].tolist(), every.max() + 1, every.min() - 10**6, every.max() + 10**6):
        assert landscape.share(quality) == pytest.approx((every >= quality).mean(), abs=1e-12)
    for share in (1.0, 0.5, 0.1, 0.02, 1 / 243 + 1e-12):
        threshold = landscape.threshold(share)
        reached = [q for q in np.unique(every) if (every >= q).mean() <= share + 1e-12]
        assert threshold == min(reached)
    assert landscape.threshold(1e-9) == every.max()


@pytest.mark.parametrize(("pairs", "seed"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_qualities_have_unit_variance_of_which_pairs_have_their_share(pairs, seed):
    landscape = Landscape(pairs, np.random.default_rng(seed))
    single = (landscape.single / GRID).var(axis=1).sum()
    double = (landscape.double / GRID).var(axis=(1, 2)).sum()
    assert (single, double) == pytest.approx((1 - pairs, pairs), abs=0.01)
    assert np.abs(landscape.double.mean(axis=1)).max() < 1  # pure interaction, but for rounding
    assert np.abs(landscape.double.mean(axis=2)).max() < 1
    rows = np.random.default_rng(seed).integers(0, 7, (20_000, 20))
    drawn = np.array([landscape.quality(row) for row in rows]) / GRID
    assert drawn.mean() == pytest.approx(0, abs=0.04)
    assert drawn.std() == pytest.approx(1, abs=0.04)
    share = landscape.share(landscape.threshold(0.01))
    assert 0.0095 < share <= 0.01
    assert (drawn * GRID >= landscape.threshold(0.01)).mean() == pytest.approx(share, abs=4 * 0.1 / 20_000**0.5)


def test_the_optimum_is_one_of_7_to_the_20():
    landscape = Landscape(0.0, np.random.default_rng(0))
    best = tuple(landscape.single.argmax(axis=1).tolist())
    assert landscape.quality(best) == landscape.threshold(1e-30)
    assert landscape.share(landscape.quality(best)) == pytest.approx(7.0**-20)


def test_the_task_tells_noisy_qualities_and_judges_by_true_ones():
    landscape = Landscape(0.5, np.random.default_rng(0))
    task = landscape_task(landscape, noise=0.5)
    assert task.problem.space.sizes == (7,) * 20
    a = task.problem.sample(np.random.default_rng(0))
    told = np.array([task.reward().evaluate(a, rng=np.random.default_rng(s)).score for s in range(2000)])
    assert task.true_value(a) == landscape.quality(a) / GRID
    assert told.mean() == pytest.approx(task.true_value(a), abs=4 * 0.5 / 2000**0.5)
    assert told.std() == pytest.approx(0.5, rel=0.1)
