"""Decisions inside options: when they are active, and what becomes of everything else where they are not."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from toy_spaces import CONDITIONAL, IMAGE, graph_of, looks_uniform

from naslab import Choice, Rule, SearchSpace
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.ops import AvgPool, Conv, Identity
from naslab.testing import check_search_space

SPACES = {name: build() for name, build in CONDITIONAL.items()}
by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def brute_force(space: SearchSpace) -> list[tuple]:
    """All normal forms, by normalising everything there is."""
    whole = [range(int(each.low), int(each.high) + 1) for each in space.ranges]
    return sorted({space.normal(a) for a in itertools.product(*map(range, space.sizes), *whole)})


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("deep", (1 + 3) + 3 * 2 + 2 * (1 + 3)),  # no inner operation; an inner convolution; an inner pooling
        ("stage", 3 + 9 + 27),
        ("trained", 2 * 2 * 3 * (1 + 2)),
    ],
)
def test_sizes_count_normal_forms(name: str, size: int) -> None:
    space = SPACES[name]
    assert space.size == size
    assert sorted(space.architectures()) == brute_force(space)
    assert len(brute_force(space)) == size


@by_space
def test_they_conform(space: SearchSpace) -> None:
    check_search_space(space)


@by_space
def test_draws_over_networks_are_uniform(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    draws = [space.sample(rng, over="networks") for _ in range(40 * int(space.size))]
    assert looks_uniform(draws, list(space.architectures()))


def test_draws_over_decisions_make_depths_equally_likely() -> None:
    rng = np.random.default_rng(1)
    depths = [SPACES["stage"].decisions(SPACES["stage"].sample(rng))["depth"] for _ in range(3000)]
    assert looks_uniform(depths, [0, 1, 2])


def test_what_is_active_and_what_is_normal() -> None:
    space = SPACES["deep"]
    assert [choice.name for choice in space.choices] == ["outer", "inner", "kernel", "last"]
    assert space.active((0, 0, 0, 0)) == ("outer", "last")
    assert space.active((0, 0, 2, 1)) == ("outer", "kernel", "last")  # the kernel of the other place
    assert space.active((1, 0, 2, 0)) == ("outer", "inner", "kernel", "last")
    assert space.normal((0, 2, 2, 0)) == (0, 0, 0, 0)
    assert space.normal((1, 1, 2, 0)) == (1, 1, 0, 0)
    assert space.normal((1, 1, 2, 1)) == (1, 1, 2, 1)
    assert not space.is_valid((0, 2, 0, 0))
    with pytest.raises(InvalidArchitecture, match=r"'inner' is not active there, so its entry is 0, not 2"):
        space.architecture((0, 2, 0, 0))


def test_neighbours_change_one_active_decision_and_start_at_option_0() -> None:
    space = SPACES["deep"]
    assert space.neighbors((0, 0, 0, 0)) == [(1, 0, 0, 0), (0, 0, 0, 1)]
    others = {(0, 0, 0, 0), (1, 1, 0, 0), (1, 2, 0, 0), (1, 0, 0, 0), (1, 0, 1, 0), (1, 0, 2, 1)}
    assert set(space.neighbors((1, 0, 2, 0))) == others


def test_strings_hold_what_is_active() -> None:
    space = SPACES["stage"]
    assert space.to_string(space.normal((1, 0, 2, 2))) == "kernel0=3;depth=1"
    assert space.from_string("kernel0=3;depth=2;kernel1=5") == space.from_string("kernel1=5;kernel0=3;depth=2")
    with pytest.raises(InvalidArchitecture, match="lacks choice 'kernel1'"):
        space.from_string("kernel0=3;depth=2")
    with pytest.raises(InvalidArchitecture, match="'kernel1' is not active there"):
        space.from_string("kernel0=3;depth=1;kernel1=5")


def test_keys_are_of_the_network_and_the_active_recipe() -> None:
    space = SPACES["trained"]
    keys = {a: space.canonical(a) for a in space.architectures()}
    assert len(set(keys.values())) == space.size
    assert SPACES["deep"].canonical((1, 1, 0, 0)) != SPACES["deep"].canonical((1, 2, 0, 0))


def test_rules_are_about_normal_forms_and_draws_keep_them() -> None:
    first = Choice("op", (Identity(), Conv(kernel=Choice("kernel", (1, 3, 5)))))
    graph = graph_of(("x", "a", first), ("a", "y", Choice("last", (Identity(), Conv(), AvgPool()))), x=IMAGE)
    # kernel 1, which is also what stands there where there is no kernel, goes with the identity alone
    allowed = frozenset({(0, 0), (1, 0), (1, 1), (2, 2)})
    space = SearchSpace(graph, name="ruled", rules=[Rule(("kernel", "last"), allowed)])
    every = brute_force(space)
    valid = [a for a in every if (a[1], a[2]) in allowed]
    assert sorted(space.architectures()) == valid
    assert space.size == len(valid) == 5
    check_search_space(space)
    rng = np.random.default_rng(3)
    drawn = [space.sample(rng) for _ in range(4000)]
    weights = {a: 3 if a[0] == 0 else 1 for a in valid}  # three kernels lead to each network without a kernel
    counts = {a: drawn.count(a) for a in valid}
    for a, weight in weights.items():
        expected = 4000 * weight / sum(weights.values())
        assert abs(counts[a] - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (Choice("a", (Identity(), Conv(kernel=Choice("a", (1, 3))))), "'a' stands in an option of itself"),
        (
            Choice("a", (Choice("b", (Identity(), Choice("a", (Identity(), Conv())))), Conv())),
            "'a' stands in an option of itself",
        ),
    ],
)
def test_a_condition_on_itself_is_refused(op: Choice, said: str) -> None:
    with pytest.raises(InvalidSpace, match=said):
        SearchSpace(graph_of(("x", "y", op), x=IMAGE))


def test_a_choice_in_every_option_is_always_active() -> None:
    kernel = Choice("kernel", (1, 3))
    op = Choice("op", (Conv(kernel=kernel), AvgPool(kernel=kernel)))
    space = SearchSpace(graph_of(("x", "y", op), x=IMAGE))
    assert not space.conditions
    assert space.size == 4


@pytest.mark.parametrize("where", ["node", "edge"])
def test_a_stray_choice_is_refused_when_the_space_is_built(where: str) -> None:
    graph = graph_of(("x", "y", Conv()), x=IMAGE)
    (graph.nodes["y"] if where == "node" else graph.edges["x", "y"])["colour"] = Choice("c", (1, 2))
    with pytest.raises(InvalidSpace, match="choice 'c' stands in 'colour', which nobody reads"):
        SearchSpace(graph)


def test_a_cell_may_not_have_choices_of_its_own() -> None:
    cell = graph_of(("x", "y", Choice("c", (Conv(), Identity()))), x=IMAGE)
    with pytest.raises(InvalidSpace, match="of a cell has 'c'"):
        SearchSpace(graph_of(("x", "y", Conv()), x=IMAGE), cells=[cell])


def test_over_is_decisions_or_networks() -> None:
    with pytest.raises(InvalidValue, match="over 'network'"):
        SPACES["deep"].sample(np.random.default_rng(0), over="network")  # type: ignore[arg-type]
