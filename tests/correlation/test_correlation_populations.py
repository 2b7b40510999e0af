"""Which architectures are compared."""

from __future__ import annotations

import numpy as np
import pytest
import toy_tasks

import naslab
from naslab.correlation.populations import draw, has_no_dead_edge
from naslab.errors import InvalidValue, UnknownName
from naslab.search_spaces.nasbench201 import EDGES


@pytest.fixture(scope="module")
def cells():
    return naslab.task("nasbench201/cifar10")


def test_the_populations_of_nasbench201_have_their_published_sizes(cells):
    found = {kind: draw(cells, kind, None, False, 0) for kind in ("all", "canonical", "no-dead-edges")}
    assert {kind: each.size for kind, each in found.items()} == {"all": 15625, "canonical": 5425, "no-dead-edges": 9445}
    space, some = cells.problem.space, found["canonical"].architectures[::5]
    assert len({space.canonical(a) for a in some}) == len(some)
    assert found["no-dead-edges"].text == "all 9,445 architectures without dead edges"


def test_a_dead_edge_is_one_that_no_path_uses(cells):
    space, rng = cells.problem.space, np.random.default_rng(0)

    def paths(node):
        return [[]] if node == 3 else [[i, *rest] for i, (u, v) in enumerate(EDGES) if u == node for rest in paths(v)]

    for _ in range(300):
        a = space.sample(rng)
        used = {i for path in paths(0) if all(a[i] for i in path) for i in path}
        assert has_no_dead_edge(space, a) == ({i for i in range(6) if a[i]} <= used)


def test_a_larger_sample_contains_the_smaller_one(cells):
    small, large = (draw(cells, "all", n, False, 3).architectures for n in (10, 40))
    assert small == large[:10]
    assert len(set(large)) == 40
    assert draw(cells, "all", 10, False, 4).architectures != small


def test_a_space_that_is_too_large_to_count_is_sampled(cells):
    task = naslab.Task("huge", naslab.Problem(naslab.search_space("darts")), toy_tasks.ToyReward, toy_tasks.ToyReward())
    found = draw(task, "all", 5, False, 0)
    assert (len(set(found.architectures)), found.size) == (5, None)
    with pytest.raises(InvalidValue, match="give a number of them"):
        draw(task, "canonical", 5, False, 0)


def test_what_has_no_truth_is_no_member():
    task = toy_tasks.toy_task(score=lambda a: float("nan") if a[0] == 0 else toy_tasks.height(a))
    found = draw(task, "all", None, False, 0)
    assert len(found.architectures) == 27
    assert all(a[0] for a in found.architectures)


def test_numbers_and_names_that_make_no_sense(cells):
    with pytest.raises(InvalidValue, match="15,626 of 15,625 architectures"):
        draw(cells, "all", 15_626, False, 0)
    assert draw(cells, "no-dead-edges", 15_626, True, 0).size == 9445
    with pytest.raises(InvalidValue, match="from 3"):
        draw(cells, "all", 2, False, 0)
    with pytest.raises(UnknownName, match="Did you mean 'canonical'"):
        draw(cells, "canonic", 5, False, 0)
