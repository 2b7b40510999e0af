"""Spaces of listed architectures: draws, moves and look-ups stay on the rows."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from toy_spaces import VECTOR, graph_of

from naslab import Choice, SearchSpace, search_space
from naslab.errors import InvalidArchitecture
from naslab.feasibility import Feasibility
from naslab.ops import Linear
from naslab.space import listed

ROWS = [(2, 1), (0, 0), (0, 1)]


@pytest.fixture
def space() -> SearchSpace:
    graph = graph_of(
        ("x", "h", Linear()),
        ("h", "y", Linear()),
        x=VECTOR,
        h={"width": Choice("a", (2, 3, 4))},
        y={"width": Choice("b", (2, 3, 5))},
    )
    return SearchSpace(graph, name="grid")


def test_everything_is_of_the_rows(space: SearchSpace) -> None:
    some = listed(space, ROWS)
    assert (space.size, some.size, some.listed) == (9, 3, True)
    assert list(some.architectures()) == sorted(ROWS)
    assert [a for a in space.architectures() if some.is_valid(a)] == sorted(ROWS)
    assert some.neighbors((0, 0)) == [(0, 1)]
    assert some.cost((2, 1)) == space.cost((2, 1))
    draws = Counter(some.sample(np.random.default_rng(seed)) for seed in range(300))
    assert set(draws) == set(ROWS)
    assert min(draws.values()) > 70
    with pytest.raises(InvalidArchitecture, match="not among the 3 architectures of 'grid' that are listed"):
        some.architecture((1, 1))


def test_where_no_row_is_one_move_away_the_nearest_are(space: SearchSpace) -> None:
    some = listed(space, [(0, 0), (1, 1), (2, 2)])
    assert some.neighbors((0, 0)) == [(1, 1), (2, 2)]
    assert some.mutate((0, 0), np.random.default_rng(0)) in [(1, 1), (2, 2)]
    assert listed(space, [(0, 0)]).mutate((0, 0), np.random.default_rng(0)) == (0, 0)


def test_an_isomorphic_cell_is_found() -> None:
    space = search_space("nasbench201")
    twins: dict[str, list[tuple[int, ...]]] = {}
    for seed in range(2000):
        a = space.sample(np.random.default_rng(seed))
        same = twins.setdefault(space.canonical(a), [])
        same += [a] if a not in same else []
    first, twin = next(same for same in twins.values() if len(same) > 1)[:2]
    some = listed(space, [first, (3, 3, 3, 3, 3, 3)])
    assert some.architecture(twin) == first
    assert some.from_string(space.to_string(twin)) == first
    beside = next(a for a in space.neighbors(twin) if space.canonical(a) != space.canonical(twin))
    assert first in listed(space, [first, beside]).neighbors(beside)


def test_policies_and_pickles_know_the_rows(space: SearchSpace) -> None:
    some = pickle.loads(pickle.dumps(listed(space, ROWS)))
    even = [np.zeros(3), np.zeros(3)]
    for backend in ("auto", "exact"):
        assert np.exp(Feasibility(some, {}, backend=backend).log_probability(even)) == pytest.approx(3 / 9)
    drawn = Feasibility(some, {}).sample(even, np.random.default_rng(0), 50)
    assert {tuple(row) for row in drawn.tolist()} == set(ROWS)
