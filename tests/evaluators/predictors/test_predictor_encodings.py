"""Options as numbers, and summaries of paths, against enumeration."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from predictor_spaces import drawn, spaces
from toy_spaces import graph_of

from naslab import Choice, SearchSpace
from naslab.evaluators.predictors.encodings import live_numbers, live_one_hot, looked_up, one_hot
from naslab.evaluators.predictors.summaries import NO_PATH, summaries, transitions
from naslab.evaluators.predictors.wiring import Wiring
from naslab.ops import Identity, Linear, Zero

SPACES = spaces()
by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


@by_space
def test_one_hot_is_the_spaces_own(space):
    architectures = drawn(space, 10)
    expected = [space.encode(a, "one-hot") for a in architectures]
    assert (one_hot(Wiring(space), architectures) == expected).all()


@by_space
def test_what_is_not_looked_up_changes_nothing(space):
    wiring = Wiring(space)
    architectures = drawn(space, 15)
    flags = looked_up(wiring, architectures)
    assert flags.any()
    for architecture, used in zip(architectures, flags, strict=True):
        for place in np.flatnonzero(~used):
            zeroed = [
                n
                for n in space.neighbors(architecture)
                if n[place] != architecture[place] and _differ(n, architecture) == 1
            ]
            # A choice of a zero edge is not looked up either: another option may bring the edge to life.
            for other in zeroed:
                if not looked_up(wiring, [other])[0, place]:
                    assert space.canonical(other) == space.canonical(architecture)


def _differ(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_dead_and_zero_edges_are_left_out_of_the_one_hot_code():
    space = SPACES["nasbench201"]
    # Node 1 is never used: what leads to it is dead.
    architecture = space.from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|skip_connect~2|")
    code = live_one_hot(Wiring(space), [architecture])[0].reshape(6, 5)
    names = [choice.name for choice in space.choices]
    assert {names[i] for i in np.flatnonzero(code.any(axis=1))} == {"0->2", "2->3"}


def test_numbers_are_logarithms_of_what_is_alive():
    width, unused = Choice("width", (2, 8)), Choice("unused", (1, 3))
    graph = graph_of(
        ("x", "a", Linear()),
        ("x", "b", Linear()),
        ("a", "sum", Linear()),
        ("b", "sum", Choice("last", (Linear(), Zero()))),
        x={"shape": (4,)},
        a={"width": width},
        b={"width": unused},
        sum={"width": 2},
    )
    space = SearchSpace(graph)
    order = [choice.name for choice in space.choices]
    alive, dead = ({"width": 1, "unused": 1, "last": last} for last in (0, 1))
    found = live_numbers(Wiring(space), [tuple(each[name] for name in order) for each in (alive, dead)])
    columns = dict(zip([name for name in order if name != "last"], found.T, strict=True))
    assert np.allclose(columns["width"], np.log(8))
    assert np.allclose(columns["unused"][0], np.log(3))
    assert np.isnan(columns["unused"][1])


@by_space
def test_summaries_are_those_of_all_paths(space):
    wiring = Wiring(space)
    architectures = drawn(space, 12, seed=4)
    table, following = summaries(wiring, architectures), transitions(wiring, architectures)
    for architecture, row, pairs in zip(architectures, table, following, strict=True):
        expected, expected_pairs = [], []
        for cell, graph in zip(wiring.cells, space.cells, strict=True):
            ours, theirs = _by_enumeration(space, graph, architecture, wiring, cell)
            expected += ours
            expected_pairs += theirs
        assert np.allclose(row, expected)
        assert np.allclose(pairs, expected_pairs)


def _by_enumeration(space, graph, architecture, wiring, cell):
    resolved = space._resolved(graph, space.decisions(architecture))
    possible = {wiring.kinds[i] for edge in cell.edges for i in np.unique(edge.table)} - {""}
    kinds = sorted(possible)
    paths, alive = [], {}
    sinks = [node for node in graph if not graph.out_degree(node)]
    for source in [node for node in graph if not graph.in_degree(node)]:
        for path in nx.all_simple_edge_paths(resolved, source, sinks):
            ops = [resolved.edges[edge]["op"] for edge in path]
            if not any(op.is_zero for op in ops):
                paths.append([op for op in ops if not op.is_identity])
                alive.update({edge: resolved.edges[edge]["op"] for edge in path})
    found = [sum(repr(op) == kind for op in alive.values()) for kind in kinds] + [np.log1p(len(paths))]
    tests = [lambda op, kind=kind: repr(op) == kind for kind in kinds]
    for test in (*tests, lambda op: op.sets_width, lambda op: True):
        depths = [sum(map(test, path)) for path in paths]
        found += [max(depths), min(depths), float(np.mean(depths))] if paths else [NO_PATH] * 3
    ends = len(kinds)
    pairs = np.zeros((ends + 1, ends + 1))
    for path in paths:
        walk = [ends, *(kinds.index(repr(op)) for op in path), ends]
        for a, b in itertools.pairwise(walk):
            pairs[a, b] += 1
    return found, pairs.ravel().tolist()


@by_space
def test_isomorphic_architectures_have_equal_summaries(space):
    wiring = Wiring(space)
    architectures = drawn(space, 40, seed=5)
    architectures += [n for a in architectures[:10] for n in space.neighbors(a)[:10]]
    table = np.concatenate([summaries(wiring, architectures), transitions(wiring, architectures)], axis=1)
    rows: dict[str, set[bytes]] = {}
    for architecture, row in zip(architectures, table.round(9), strict=True):
        rows.setdefault(space.canonical(architecture), set()).add(row.tobytes())
    assert all(len(each) == 1 for each in rows.values())
    assert len(set().union(*rows.values())) > 1 or space.name in ("mlp", "widths", "space")


def test_identities_between_operations_do_not_count():
    graph = graph_of(("x", "a", Linear()), ("a", "b", Identity()), ("b", "y", Linear()), x={"shape": (4,)})
    graph.nodes["a"]["width"] = graph.nodes["y"]["width"] = 2
    found = transitions(Wiring(SearchSpace(graph)), [()])
    assert found.tolist() == [[1, 1, 1, 0]]  # linear after linear, linear last, linear first, no empty path
