"""Rules that count, against going through all combinations."""

from __future__ import annotations

import itertools
import pickle
import time
from math import comb

import numpy as np
import pytest
from toy_spaces import graph_of, looks_uniform

from naslab.errors import InvalidArchitecture, InvalidSpace
from naslab.feasibility import Feasibility
from naslab.ops import Identity, Linear, Zero
from naslab.space import (
    REFUSED,
    Automaton,
    Choice,
    IndexedRule,
    Reading,
    Rule,
    SearchSpace,
    at_least,
    at_most,
    at_most_in_a_row,
    exactly,
    tabulated,
)
from naslab.space.validity import Elimination, enumerate_valid


def longest_run(architecture, scope, options):
    runs = itertools.groupby(architecture[i] in options for i in scope)
    return max((len(list(run)) for counted, run in runs if counted), default=0)


KINDS = {
    at_most: lambda n, a, scope, options: sum(a[i] in options for i in scope) <= n,
    at_least: lambda n, a, scope, options: sum(a[i] in options for i in scope) >= n,
    exactly: lambda n, a, scope, options: sum(a[i] in options for i in scope) == n,
    at_most_in_a_row: lambda n, a, scope, options: longest_run(a, scope, options) <= n,
}


def indexed(rule, sizes):
    return IndexedRule(rule, {str(i): i for i in range(len(sizes))}, sizes)


@pytest.mark.parametrize("scope", [(0, 1, 2, 3, 4), (3, 0, 4), (1,)], ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_counts_lists_and_answers_are_those_of_brute_force(kind, count, scope):
    sizes = (2, 3, 2, 3, 2)
    for options in ((1,), (0,), (0, 1)):
        rule = indexed(kind(count, list(map(str, scope)), options), sizes)
        other = indexed(Rule(("2", "4"), frozenset({(0, 1), (1, 0), (1, 1)})), sizes)
        every = [a for a in itertools.product(*map(range, sizes)) if a[2] or a[4]]
        valid = [a for a in every if KINDS[kind](count, a, scope, options)]
        assert [a for a in every if rule.holds(a)] == valid
        assert [a for a, kept in zip(every, rule.hold(np.array(every)), strict=True) if kept] == valid
        assert list(enumerate_valid(sizes, [rule, other])) == valid
        elimination = Elimination(sizes, [rule, other])
        assert elimination.total == len(valid)
        rng = np.random.default_rng(0)
        assert not valid or {elimination.sample(rng) for _ in range(30)} <= set(valid)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_samples_are_uniform(kind):
    sizes = (2, 3, 2, 3, 2, 2)
    rules = [indexed(kind(2, list("053214"), (1,)), sizes), indexed(at_least(1, list("024"), (0,)), sizes)]
    valid = list(enumerate_valid(sizes, rules))
    elimination, rng = Elimination(sizes, rules), np.random.default_rng(8)
    assert looks_uniform([elimination.sample(rng) for _ in range(max(10 * len(valid), 500))], valid)


def test_a_step_may_read_a_choice_with_the_choice_that_it_depends_on():
    """Zeros in a row; where option 1 of the first choice switches the others off, nothing is counted."""
    sizes = (2, 3, 3, 3)
    zeros = tuple(Reading(("0", str(i)), (frozenset({(0, 0)}), frozenset((1, o) for o in range(3)))) for i in (1, 2, 3))
    rule = indexed(Automaton(zeros, ((0, 1, 0), (0, REFUSED, 1)), frozenset({0, 1})), sizes)
    expected = [
        a
        for a in itertools.product(*map(range, sizes))
        if a[0] == 1 or not any(one == other == 0 for one, other in itertools.pairwise(a[1:]))
    ]
    assert list(enumerate_valid(sizes, [rule])) == expected
    assert Elimination(sizes, [rule]).total == len(expected)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 1])
def test_a_table_of_truth_is_a_rule(share):
    sizes, scope = (2, 3, 1, 2, 4), (3, 0, 4, 2)
    table = np.random.default_rng(1).random([sizes[i] for i in scope]) < share
    rule = indexed(tabulated(list(map(str, scope)), table, "as drawn"), sizes)
    for a in itertools.product(*map(range, sizes)):
        assert rule.holds(a) == table[tuple(a[i] for i in scope)]
    assert rule.words == "3, 0, 4, 2: as drawn"


def test_beginnings_of_a_table_with_the_same_valid_ends_are_one_state():
    """An even number of ones among ten: two states between any two choices, and one in which it ends."""
    table = np.indices((2,) * 10).sum(axis=0) % 2 == 0
    rule = tabulated([str(i) for i in range(10)], table)
    assert len(rule.moves) == 1 + 9 * 2 + 1
    assert (
        SearchSpace(
            graph_of(
                *((f"n{i}", f"n{i + 1}", Choice(str(i), (Identity(), Zero()))) for i in range(10)), n0={"shape": (3,)}
            ),
            rules=[rule],
        ).size
        == 2**9
    )


def test_states_that_accept_the_same_are_one():
    sizes = (2,) * 6
    counts = [step.after for step in indexed(at_most(2, list("012345"), (1,)), sizes).transitions]
    assert counts == [2, 3, 3, 3, 2, 1]  # before the last choice: none or one left
    listed = indexed(Rule(("0", "1"), frozenset({(0, 0)})), sizes).transitions
    assert [(step.table.shape, step.after) for step in listed] == [((1, 2, 2), 1)]


EDGES = list(itertools.combinations(range(7), 2))


def nine_edges():
    """NAS-Bench-101's cells: of a directed acyclic graph of seven nodes, at most nine of the 21 edges."""
    graph = graph_of(*((i, j, Choice(f"{i}->{j}", (Zero(), Identity()))) for i, j in EDGES), (6, "y", Linear()))
    graph.nodes[0]["shape"], graph.nodes["y"]["width"] = (8,), 2
    return SearchSpace(graph, rules=[at_most(9, [f"{i}->{j}" for i, j in EDGES], (1,))])


def test_nine_of_twenty_one_edges_build_at_once():
    nine_edges()
    started = time.perf_counter()
    space = nine_edges()
    taken = time.perf_counter() - started
    assert space.size == sum(comb(21, k) for k in range(10))
    assert len(pickle.dumps(space.rules)) + len(pickle.dumps(space.indexed_rules)) < 10_000
    assert taken < 1  # 0.02 s on an idle core; seven seconds as a list
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(200)]
    assert all(space.is_valid(a) and sum(a) <= 9 for a in drawn)
    most = next(a for a in drawn if sum(a) == 9)
    assert all(sum(a) == 8 for a in space.neighbors(most))
    copy = pickle.loads(pickle.dumps(space))
    assert copy.size == space.size
    assert copy.sample(np.random.default_rng(1)) == space.sample(np.random.default_rng(1))


def test_the_share_of_valid_architectures_is_exact_and_a_state_is_part_of_a_node():
    space = nine_edges()
    feasible = Feasibility(space, {})
    assert feasible.fraction() == pytest.approx(space.size / 2**21, rel=1e-12)
    assert feasible._outer.nodes < 21 * 10
    drawn = feasible.sample([np.array([0.0, 1.0])] * 21, np.random.default_rng(0), 100)
    assert drawn.sum(axis=1).max() == 9
    estimate = Feasibility(space, {}, "monte-carlo", samples=20_000).fraction()
    assert estimate == pytest.approx(space.size / 2**21, rel=0.05)


def test_two_choices_move_together_where_a_count_forbids_each_move():
    edges = [("x", f"h{i}", Choice(f"c{i}", (Zero(), Identity(), Linear()))) for i in range(4)]
    graph = graph_of(*edges, *((f"h{i}", "y", Identity()) for i in range(4)), x={"shape": (3,)})
    space = SearchSpace(graph, rules=[exactly(2, [f"c{i}" for i in range(4)], (1, 2))])
    every = list(space.architectures())
    assert len(every) == comb(4, 2) * 4
    for a in every:
        moved = {b: sum(x != y for x, y in zip(a, b, strict=True)) for b in space.neighbors(a)}
        assert {b for b, n in moved.items() if n == 1} == {
            b for b in every if sum(x != y for x, y in zip(a, b, strict=True)) == 1
        }
        assert {b for b, n in moved.items() if n == 2} == {
            b for b in every if sorted((x > 0) - (y > 0) for x, y in zip(a, b, strict=True) if x != y) == [-1, 1]
        }


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda: at_most(1, ["d"], (1,)), "a rule speaks of choice 'd'"),
        (lambda: at_most(1, ["c0"], (3,)), "a rule on c0 names (3,); give one existing option"),
        (lambda: at_most(-1, ["c0"], (1,)), "counts -1 choices"),
        (lambda: at_least(0, [], (1,)), "a rule reads no choice"),
        (lambda: exactly(2, ["c0"], (1,)), "leave no valid architecture"),
        (lambda: Automaton((Reading(("c0",), ()),), ((0, 1),), frozenset({0})), "an automaton of 1 state"),
        (lambda: Automaton((Reading(("c0",), ()),), ((0,), (0, 1)), frozenset({0})), "an automaton of 2 states"),
        (lambda: Automaton((Reading(("c0",), (frozenset(), frozenset())),), ((0, 0),), frozenset({0})), "symbols"),
        (lambda: Automaton((Reading(("c0",), ()),), ((0,),), frozenset({1})), "an automaton of 1 state"),
    ],
)
def test_wrong_rules_are_refused_in_a_line(rule, message):
    graph = graph_of(("x", "y", Choice("c0", (Zero(), Identity(), Linear()))), x={"shape": (3,)})
    with pytest.raises(InvalidSpace) as caught:
        SearchSpace(graph, rules=[rule()])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_broken_rule_is_named():
    with pytest.raises(InvalidArchitecture, match=r"0->1, 0->2, .* and 14 more: at most 9 with option 1$"):
        nine_edges().architecture((1,) * 21)
