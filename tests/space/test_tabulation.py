"""Cost tables of operations with many choices, and of trees of operations, against one architecture at a time."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from toy_spaces import graph_of

from naslab.errors import InvalidSpace
from naslab.ops import (
    AvgPool,
    Conv,
    Identity,
    MaxPool,
    MBConv,
    Operation,
    PooledLinear,
    Residual,
    SeparableConv,
    Sequence,
    Zero,
)
from naslab.space import Choice, SearchSpace
from naslab.space.cost import resolved_cost_model


@dataclass(frozen=True)
class Worded(Operation):
    """Closed forms that look at strings, branch and take maxima."""

    sets_width = True
    a: Any = 1
    b: Any = 1
    c: Any = "none"
    d: Any = 1

    def params(self, shape, out):
        return max(self.a, self.b) * out[0] * (2 if self.c == "wide" else 1) + self.d * shape[0]

    def macs(self, shape, out):
        return shape[0] * out[0] * (self.a if self.d > 3 else 1)


def numbered(prefix):
    count = itertools.count()
    return lambda *options: Choice(f"{prefix}{next(count)}", options)


def grammar(depth, name):
    """Sentences of a grammar: a pair, a connection that keeps the shape, or one of six operations."""
    if not depth:
        operations = (Conv(), Conv(kernel=1), SeparableConv(), AvgPool(), MaxPool(), Identity())
        return Choice(name, operations)
    below = [grammar(depth - 1, f"{name}{i}") for i in range(4)]
    return Choice(name, (Sequence((below[0], below[1])), Residual(below[2]), below[3]))


def of_edge(op, width=4, shape=(4, 8, 8), **more):
    return SearchSpace(
        graph_of(("x", "y", op), ("y", "z", PooledLinear()), x={"shape": shape}, y={"width": width}, **more)
    )


def numbers(prefix):
    n = numbered(prefix)
    return {
        "numbers": of_edge(
            MBConv(kernel=n(1, 3, 5), expansion=n(1, 3, 6), squeeze_excitation=n(False, True), stride=n(1, 2)), n(4, 8)
        ),
        "words and branches": of_edge(Worded(n(1, 2, 3), n(2, 1), n("none", "wide"), n(1, 5)), n(4, 8)),
        "choices in options": of_edge(
            n(Zero(), MBConv(kernel=n(3, 5), expansion=n(1, 2)), Conv(kernel=n(1, 3)), n(Identity(), AvgPool()))
        ),
        "a shared name in options": of_edge(
            n(Conv(kernel=Choice("k", (1, 3))), AvgPool(), MBConv(kernel=Choice("k", (3, 5)), expansion=n(1, 2)))
        ),
        "zeros inside": of_edge(Sequence((n(Zero(), MaxPool(stride=2)), Conv(), n(Identity(), Zero()))), 4),
        "zeros beside a connection": of_edge(
            Sequence((Residual(n(Zero(), Conv())), Residual(Sequence((Conv(), n(Zero(), Identity()))))))
        ),
        "a width for the last that sets one": of_edge(
            Sequence((n(Conv(), Conv(kernel=1)), n(Conv(kernel=5), Conv()), n(AvgPool(), Identity()))), n(6, 8)
        ),
        "which is the last depends": of_edge(Sequence((Conv(), n(Conv(kernel=5), AvgPool()))), n(6, 8)),
        "a grammar": of_edge(grammar(2, "g")),
    }  # fmt: skip


SPACES = numbers("c")


@pytest.mark.parametrize("name", SPACES)
def test_tables_give_the_costs_of_single_architectures(name):
    space, rng = SPACES[name], np.random.default_rng(0)
    every = list(space.architectures()) if space.size < 500 else [space.sample(rng) for _ in range(50)]
    for a in every:
        alone = resolved_cost_model(space.resolve(a))
        assert space.cost(a) == alone.cost(()), space.to_string(a)
        nodes, edges = space.shapes(a)
        assert nodes == {node: features.at({}) for node, features in alone.shapes.items()}
        assert edges == {edge: features.at({}) for edge, features in alone.arriving.items()}
    rows = np.array(every)
    assert space.cost_model.values("macs", rows).tolist() == [space.cost(a).macs for a in every]


def test_a_grammar_is_as_large_as_its_rules_and_not_as_its_sentences():
    started = time.perf_counter()
    space = of_edge(grammar(3, "g"))
    taken = time.perf_counter() - started
    assert space.size == 5_764_800
    assert max(factor.table.size for factor in space.cost_model.factors["params"]) <= 3**3 * 6
    assert taken < 1
    rng = np.random.default_rng(0)
    for a in [space.sample(rng) for _ in range(20)]:
        assert space.cost(a) == resolved_cost_model(space.resolve(a)).cost(())


def best(build, times=3):
    def once():
        started = time.perf_counter()
        build()
        return time.perf_counter() - started

    return min(once() for _ in range(times))


def test_five_choices_of_eight_options_are_tabulated_at_once():
    eight = tuple(range(1, 9))
    words = (*(f"w{i}" for i in range(7)), "wide")
    op = Worded(Choice("a", eight), Choice("b", eight), Choice("c", words), Choice("d", eight))
    assert best(lambda: of_edge(op, Choice("w", eight))) < 0.5  # 0.03 s on an idle core, 1.3 s one by one


def test_what_is_not_taken_costs_nothing():
    space = SPACES["choices in options"]
    for a in space.architectures():
        if a[0] == 0:  # no connection: no inner choice makes a difference
            assert space.cost(a) == space.cost((0,) * len(a))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: of_edge(Worded(*(Choice(n, tuple(range(1, 100))) for n in "ab"), d=Choice("d", tuple(range(999))))),
            "costs or shapes depend on 'a', 'b', 'd' at once: 9,791,199 combinations, 4,194,304 fit a table",
        ),
        (
            lambda: of_edge(Residual(Sequence((Choice("c", (Conv(), MaxPool(stride=2))), Conv())))),
            "edge 'x' -> 'y'",
        ),
        (
            lambda: of_edge(Choice("c", (Conv(), PooledLinear()))),
            "choice 'c' is between images and vectors: (4, 8, 8), (4,)",
        ),
        (
            lambda: of_edge(Choice("c", (Conv(), 3))),
            "edge 'x' -> 'y': 3 is not an operation (where 'c' is option 1)",
        ),
        (
            lambda: of_edge(Choice("c", (Conv(), Choice("d", (AvgPool(), Conv())))), width=Choice("w", (4, 5))),
            "keeps 4 features, but node 'y' states width 5 (where 'c' is option 1, 'd' is option 0, 'w' is option 1)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(build, message):
    with pytest.raises(InvalidSpace) as caught:
        build()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
