"""Operations as nodes, against line graphs and isomorphism."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from predictor_spaces import drawn, spaces

from naslab.evaluators.predictors.operation_graphs import INPUT, OUTPUT, PADDING, operation_graphs
from naslab.evaluators.predictors.wiring import Wiring

SPACES = spaces()
by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def as_networkx(tokens, adjacency, vocabulary):
    graph = nx.DiGraph()
    graph.add_nodes_from((i, {"label": vocabulary[t]}) for i, t in enumerate(tokens) if t != PADDING)
    graph.add_edges_from((i, j, {"times": int(adjacency[i, j])}) for i, j in np.argwhere(adjacency).tolist())
    return graph


def isomorphic(a, b):
    return nx.is_isomorphic(
        a, b, node_match=lambda x, y: x["label"] == y["label"], edge_match=lambda x, y: x["times"] == y["times"]
    )


@pytest.mark.parametrize("name", ["nasbench201", "two-inputs", "mlp", "fabric", "nested"])
def test_without_concatenations_it_is_the_adjacency_encoding(name):
    space = SPACES[name]
    architectures = drawn(space, 5)
    ours = operation_graphs(Wiring(space), architectures)
    assert ours.adjacency.shape[0] == 1
    for architecture, tokens in zip(architectures, ours.tokens, strict=True):
        theirs = space.encode(architecture, "adjacency")
        assert (ours.adjacency[0] == theirs.adjacency).all()
        words = {"Zero()": "zero", "Identity()": "identity"}
        assert [ours.vocabulary[t] for t in tokens] == [
            words.get(theirs.vocabulary[o], theirs.vocabulary[o]) for o in theirs.operations
        ]


def test_nasbench201_is_wired_as_its_string_says():
    # 0 is the input, 1 to 6 the operations in the order of the string, 7 the output (reference: eagle, BRP-NAS).
    expected = {0: (1, 2, 4), 1: (3, 5), 2: (6,), 3: (6,), 4: (7,), 5: (7,), 6: (7,)}
    adjacency = operation_graphs(Wiring(SPACES["nasbench201"]), [(0,) * 6]).adjacency[0]
    assert {i: tuple(np.flatnonzero(row).tolist()) for i, row in enumerate(adjacency) if row.any()} == expected


@by_space
def test_simplified_graphs_are_isomorphic_exactly_where_the_data_flows_are(space):
    architectures = drawn(space, 40, seed=3)
    # Also pairs that are isomorphic but not equal, where a neighbour has them.
    architectures += [n for a in architectures[:10] for n in space.neighbors(a)[:10]]
    found = operation_graphs(Wiring(space), architectures, simplified=True)
    graphs: dict[str, list[nx.DiGraph]] = {}
    for architecture, tokens, adjacency in zip(architectures, found.tokens, found.adjacency, strict=True):
        known = graphs.setdefault(space.canonical(architecture), [])
        known.append(as_networkx(tokens, adjacency, found.vocabulary))
    assert all(isomorphic(members[0], other) for members in graphs.values() for other in members[1:3])
    first = [members[0] for members in graphs.values()][:25]
    assert not any(isomorphic(a, b) for i, a in enumerate(first) for b in first[:i])


@by_space
def test_what_was_removed_has_no_neighbours(space):
    found = operation_graphs(Wiring(space), drawn(space, 30), simplified=True)
    padding = found.tokens == PADDING
    assert not found.adjacency[padding].any()
    assert not found.adjacency.swapaxes(1, 2)[padding].any()
    kept = ~padding & (found.tokens != OUTPUT)
    assert found.adjacency[kept].any(axis=1).all()  # every operation goes somewhere
    inner = kept & (found.tokens != INPUT)
    assert found.adjacency.swapaxes(1, 2)[inner].any(axis=1).all()  # and comes from somewhere
    assert not np.tril(found.adjacency).any()


def test_a_tensor_that_is_added_twice_counts_twice():
    space = SPACES["nasbench201"]
    # Node 1 is the convolved input; nodes 2 and 3 add it up along two ways.
    architecture = space.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|skip_connect~1|skip_connect~2|")
    found = operation_graphs(Wiring(space), [architecture], simplified=True)
    assert found.adjacency[0][1, 7] == 2
    kept = [i for i, token in enumerate(found.tokens[0]) if token != PADDING]
    assert kept == [0, 1, 7]
