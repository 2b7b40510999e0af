"""Decisions between two numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from toy_spaces import IMAGE, graph_of

from naslab import SGD, Choice, Range, Recipe, SearchSpace, compile_network, compile_supernet
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.ops import Conv, Dropout, Identity
from naslab.testing import check_search_space

RATE = Range("rate", 1e-4, 1e-1, log=True)


def joint() -> SearchSpace:
    graph = graph_of(("x", "y", Choice("op", (Identity(), Conv()))), x=IMAGE)
    momentum = Range("momentum", 0.1, 0.9)
    optimizer = Choice("optimizer", ("adamw", SGD(momentum=momentum)))
    return SearchSpace(graph, name="joint", recipe=Recipe(3, Range("batch", 8, 64, integer=True), RATE, optimizer))


def test_an_architecture_lists_options_then_numbers() -> None:
    space = joint()
    assert [each.name for each in space.decisions_in_order] == ["op", "optimizer", "batch", "rate", "momentum"]
    assert space.size == math.inf
    assert space.sizes == (2, 2)
    a = space.architecture([1, 1, 8, 0.01, np.float64(0.5)])
    assert [type(entry) for entry in a] == [int, int, int, float, float]
    assert space.recipe_of(a) == Recipe(3, 8, 0.01, SGD(momentum=0.5))
    assert space.recipe_of((0, 0, 8, 0.01, 0.1)).optimizer == "adamw"
    assert space.active((0, 0, 8, 0.01, 0.1)) == ("op", "optimizer", "batch", "rate")
    assert space.to_string(a) == "op=conv;optimizer=sgd;batch=8;rate=0.01;momentum=0.5"
    assert space.encode(a, "one-hot").tolist()[:4] == [0, 1, 0, 1]
    assert space.encode(a, "one-hot").tolist()[4:] == pytest.approx([0.5 / 57, 2 / 3, 0.5, 1])
    assert space.encode((0, 0, 8, 0.01, 0.1), "one-hot").tolist()[-2:] == [0, 0]  # the momentum, and that it is idle
    assert json.loads(json.dumps(a)) == list(a)
    check_search_space(space)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 1, 8.5, 0.01, 0.5], "range 'batch' has whole numbers from 8 to 64, not 8.5"),
        ([1, 1, 8, 0.2, 0.5], "range 'rate' has numbers from 0.0001 to 0.1, not 0.2"),
        ([1, 1, 8, math.nan, 0.5], "range 'rate' has numbers"),
        ([1, 1, 8, "0.01", 0.5], "range 'rate' has numbers"),
        ([1, 1, 8, True, 0.5], "range 'rate' has numbers"),
        ([1, 0, 8, 0.01, 0.5], "'momentum' is not active there, so its entry is 0.1, not 0.5"),
        ([1, 1.0, 8, 0.01, 0.5], "is not a list of 5 option numbers and values of ranges"),
        ([1, 1, 8, 0.01], "has 4 entries"),
        ([1, 1, 8, 0.01, 0.5, 3], "has 6 entries"),
    ],
)
def test_what_is_no_architecture_is_refused(values: list[Any], said: str) -> None:
    with pytest.raises(InvalidArchitecture, match=said):
        joint().architecture(values)


@pytest.mark.parametrize(
    ("each", "units"),
    [
        (Range("r", 2.0, 10.0), [0, 0.25, 1]),
        (RATE, [0, 1 / 3, 1]),
        (Range("r", 3, 7, integer=True), [0.1, 0.5, 0.9]),
        (Range("r", 1, 64, log=True, integer=True), [0.2, 0.5, 0.95]),
    ],
)
def test_units_and_values_agree(each: Range, units: list[float]) -> None:
    values = [each.from_unit(unit) for unit in units]
    assert values == sorted(values)
    assert all(each.low <= value <= each.high for value in values)
    again = [each.from_unit(each.to_unit(value)) for value in values]
    assert again == pytest.approx(values)
    assert [each.from_unit(unit) for unit in (-3, 7)] == [each.low, each.high]
    assert all(type(value) is (int if each.integer else float) for value in values)


def test_draws_are_uniform_on_the_scale() -> None:
    space, rng = joint(), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(2000)]
    rates = [math.log(a[3]) for a in drawn]
    assert stats.kstest(rates, "uniform", (math.log(1e-4), math.log(1e3))).pvalue > 1e-3
    batches = np.bincount([a[2] - 8 for a in drawn], minlength=57)
    assert stats.chisquare(batches).pvalue > 1e-3
    assert {a[4] for a in drawn if a[1] == 0} == {0.1}


def test_neighbours_step_and_mutations_draw() -> None:
    space = joint()
    a = (0, 0, 36, 10**-2.5, 0.1)
    rates = sorted(b[3] for b in space.neighbors(a) if b[3] != a[3])
    assert [RATE.to_unit(rate) - 0.5 for rate in rates] == pytest.approx([-0.2, -0.05, 0.05, 0.2])
    assert sorted(b[2] for b in space.neighbors(a) if b[2] != a[2]) == [25, 33, 39, 47]
    woken = [b for b in space.neighbors(a) if b[1] == 1]
    assert woken == [(0, 1, 36, 10**-2.5, 0.5)]  # a momentum that becomes active starts in the middle
    rng = np.random.default_rng(0)
    moved = [RATE.to_unit(b[3]) - 0.5 for b in (space.mutate(a, rng) for _ in range(2000)) if b[3] != a[3]]
    assert np.std(moved) == pytest.approx(0.2, rel=0.1)


def test_there_is_no_end_to_real_numbers() -> None:
    with pytest.raises(InvalidValue, match="can't be listed: it has ranges of real numbers"):
        joint().architectures()
    assert joint().is_valid(joint().first)
    assert repr(joint()) == "<SearchSpace 'joint': no finite number of architectures, 2 choices, 3 ranges>"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, 1), "low=1 is not below high=1"),
        ((2, 1), "low=2 is not below high=1"),
        ((0.0, 1.0, True), "a logarithmic scale needs positive numbers"),
        ((1, 2.5, False, True), "bound 2.5 is not one"),
        ((1, math.inf), "bound inf is not a finite number"),
        (("1", 2), "bound '1' is not a finite number"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InvalidSpace, match=said):
        Range("r", *arguments)


@pytest.mark.parametrize("width", [Range("w", 4.0, 8.0), Range("w", 4, 8, integer=True)])
def test_a_range_may_not_set_a_width_or_a_kernel(width: Range) -> None:
    with pytest.raises(InvalidSpace, match="range 'w' in its width"):
        SearchSpace(graph_of(("x", "y", Conv()), x=IMAGE, y={"width": width}))
    with pytest.raises(InvalidSpace, match="range"):
        SearchSpace(graph_of(("x", "y", Conv(kernel=Range("k", 1, 3, integer=True))), x=IMAGE))


def test_places_of_one_name_agree() -> None:
    graph = graph_of(("x", "y", Conv()), x=IMAGE)
    recipe = Recipe(3, 8, RATE, weight_decay=Range("rate", 0.1, 0.2))
    with pytest.raises(InvalidSpace, match="share the name or not"):
        SearchSpace(graph, recipe=recipe)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"batch": Choice("batch", (8, 0))}, "batch=0. Allowed: whole numbers"),
        ({"batch": Range("batch", 1.0, 8.0)}, "batch=1.0. Allowed: whole numbers"),
        ({"learning_rate": Range("rate", -1.0, 1.0)}, "the learning rate must be above 0"),
        ({"optimizer": SGD(momentum=Range("m", 0.5, 1.5))}, "Allowed for momentum: 0 or more, below 1"),
        ({"optimizer": Choice("o", ("sgd", "lion"))}, "optimizer='lion'"),
    ],
)
def test_every_value_that_a_field_may_take_is_checked(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        Recipe(**{"epochs": 3, "batch": 8, "learning_rate": 0.1, **fields})


def test_a_range_in_an_operation_that_costs_nothing() -> None:
    graph = graph_of(("x", "h", Conv()), ("h", "y", Dropout(rate=Range("rate", 0.0, 0.5))), x=IMAGE)
    space = SearchSpace(graph)
    network = compile_network(space, (0.25,))
    assert [module.rate for module in network.modules() if hasattr(module, "rate")] == [0.25]
    assert space.cost((0.25,)) == space.cost((0.0,))
    assert space.canonical((0.25,)) != space.canonical((0.3,))
    check_search_space(space)
    with pytest.raises(InvalidValue, match=r"Range\('rate'\): a supernet knows choices only"):
        compile_supernet(space)
