"""Architectures as numbers, against searches in the graph."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from toy_spaces import IMAGE, TOYS, VECTOR, graph_of

import naslab
from naslab import Choice, SearchSpace
from naslab.errors import InvalidValue
from naslab.ops import AvgPool, Conv, Identity, Linear, ReLU, Zero

OPTIONS = (Zero(), Identity(), Conv(), AvgPool())
SPACES = {name: TOYS[name]() for name in ("depth", "two-choices", "nested", "two-inputs", "no-choice")}


def random_cell(seed: int, nodes: int = 5) -> SearchSpace:
    """A random graph from node 0 to the last, one choice an edge; half of the choices are shared by two edges."""
    rng = np.random.default_rng(seed)
    graph = graph_of(("x", 0, Conv()), x=IMAGE)
    pairs = [(u, v) for u, v in itertools.combinations(range(nodes), 2) if v == u + 1 or rng.random() < 0.5]
    for i, (u, v) in enumerate(pairs):
        graph.add_edge(u, v, op=Choice(f"choice{i // 2 if rng.random() < 0.5 else i}", OPTIONS))
    return SearchSpace(graph, name=f"cell{seed}")


CELLS = {f"random{seed}": random_cell(seed) for seed in range(4)}
by_space = pytest.mark.parametrize("space", [*SPACES.values(), *CELLS.values()], ids=[*SPACES, *CELLS])


def architectures(space: SearchSpace, count: int = 60) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(1)
    return [space.sample(rng) for _ in range(count)]


def live_paths(graph: nx.DiGraph) -> set[tuple[str, ...]]:
    """Operations along every path from the input to the output, found depth first, none through a zero."""
    found, stack = set(), [("x", ())]
    while stack:
        node, ops = stack.pop()
        if not graph.out_degree(node):
            found.add(tuple(map(repr, ops)))
        stack += [(v, (*ops, op)) for _, v, op in graph.out_edges(node, "op") if not op.is_zero]
    return found


@by_space
def test_one_hot_is_one_per_choice(space):
    for architecture in architectures(space, 10):
        code = space.encode(architecture, "one-hot")
        starts = np.cumsum((0, *space.sizes))[:-1]
        active = space.conditions.active(architecture)
        marked = {s + o for s, o, on in zip(starts, architecture, active, strict=True) if on}
        assert set(np.flatnonzero(code[: sum(space.sizes)])) == marked
        conditional = [on for on, when in zip(active, space.conditions.when, strict=True) if when]
        assert code[sum(space.sizes) :].tolist() == conditional


@by_space
def test_path_encoding_is_the_paths_found_by_search(space):
    names: dict[tuple[str, ...], set[int]] = {}  # for each path the features that were set whenever it was there
    codes = [(live_paths(space.resolve(a)), set(np.flatnonzero(space.encode(a, "path")))) for a in architectures(space)]
    for paths, features in codes:
        assert len(features) == len(paths)
        for path in paths:
            names[path] = names.get(path, features) & features
    for paths, features in codes:
        assert set().union(*(names[path] for path in paths)) == features
    assert {len(paths) for paths, _ in codes} != {0}


@by_space
def test_operation_graph_is_the_line_graph_between_input_and_output(space):
    for architecture in architectures(space, 5):
        code = space.encode(architecture, "adjacency")
        graph = space.resolve(architecture)
        sink = next(node for node in graph if not graph.out_degree(node))
        expected = nx.DiGraph(nx.line_graph(graph))
        expected.add_nodes_from(graph.edges)
        nx.set_node_attributes(expected, {e: repr(graph.edges[e]["op"]) for e in graph.edges}, "plain")
        expected.add_edges_from(("input", edge) for edge in graph.out_edges("x"))
        expected.add_edges_from((edge, "output") for edge in graph.in_edges(sink))
        expected.nodes["input"]["plain"], expected.nodes["output"]["plain"] = "input", "output"
        ours = nx.from_numpy_array(code.adjacency, create_using=nx.DiGraph)
        labels = [code.vocabulary[op].partition(" to ")[0] for op in code.operations]
        nx.set_node_attributes(ours, dict(enumerate(labels)), "plain")
        assert nx.is_isomorphic(ours, expected, node_match=lambda a, b: a["plain"] == b["plain"])


@by_space
def test_the_adjacency_is_one_read_only_array_for_all(space):
    codes = [space.encode(a, "adjacency") for a in architectures(space, 5)]
    assert all(code.adjacency is codes[0].adjacency for code in codes)
    assert all(code.vocabulary == codes[0].vocabulary for code in codes)
    assert not codes[0].adjacency.flags.writeable
    assert not np.tril(codes[0].adjacency[1:-1, 1:-1]).any()  # operations in topological order


def test_widths_are_part_of_the_operations():
    space = naslab.search_space("mlp", widths=(8, 16), depth=1)
    vocabulary = space.encode((0,), "adjacency").vocabulary
    assert vocabulary == ("input", "output", "Linear() to 8", "Linear() to 16", "ReLU()", "Linear() to 10")
    assert list(space.encode((1,), "adjacency").operations) == [0, 3, 4, 5, 1]
    assert [list(space.encode((o,), "path")) for o in (0, 1)] == [[1, 0], [0, 1]]


def test_two_inputs_are_two_nodes_and_their_paths_differ():
    choice = Choice("op", (Conv(), AvgPool()))
    graph = graph_of(("x", "y", choice), ("z", "y", Conv()), x=IMAGE, z=IMAGE)
    space = SearchSpace(graph)
    code = space.encode((0,), "adjacency")
    assert [code.vocabulary[op].partition("(")[0] for op in code.operations] == [
        "input",
        "input",
        "Conv",
        "Conv",
        "output",
    ]
    assert {tuple(map(int, edge)) for edge in np.argwhere(code.adjacency)} == {(0, 2), (1, 3), (2, 4), (3, 4)}
    assert space.encode((0,), "path").sum() == 2  # convolution of x, convolution of z


def test_too_many_paths_are_refused_in_one_line():
    graph = graph_of(x=VECTOR)
    for i in range(17):
        graph.add_edge("x" if i == 0 else i, i + 1, op=Choice(f"c{i}", (Identity(), ReLU())))
    space = SearchSpace(graph)
    with pytest.raises(InvalidValue, match="131,072 features or more; at most 100,000 are allowed: use 'one-hot'"):
        space.encode((0,) * 17, "path")
    assert space.encode((0,) * 17, "adjacency").operations.shape == (19,)


def test_unknown_encodings_suggest_the_nearest():
    space = SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR))
    with pytest.raises(InvalidValue, match="Did you mean 'path'"):
        space.encode((), "paths")
