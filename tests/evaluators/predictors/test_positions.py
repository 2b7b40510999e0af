"""Tokens and positional encodings, against the graphs they are derived from."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from toy_spaces import TOYS

import naslab
from naslab.evaluators.predictors.positions import cell_adjacency, edge_tokens, eigenvectors, laplacians
from naslab.evaluators.predictors.wiring import Wiring

CELL = (0, 1, 2, 3, 0, 4)  # none, skip | conv1 (from 1), conv3 (0 to 3), none, pooling; in the order 01 02 12 03 13 23


@pytest.fixture(scope="module")
def cells():
    return naslab.search_space("nasbench201")


def test_laplacian_of_a_cell_by_hand(cells):
    adjacency = cell_adjacency(Wiring(cells), [CELL])[0]
    assert adjacency.tolist() == [[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert laplacians(adjacency[None])[0].tolist() == [[2, 0, -1, -1], [0, 1, -1, 0], [0, 0, 1, -1], [0, 0, 0, 0]]


def test_tokens_name_the_operation_of_each_edge(cells):
    wiring = Wiring(cells)
    tokens = edge_tokens(wiring, [CELL, (3, 3, 3, 3, 3, 3)])
    assert len(set(tokens[1])) == 1
    assert tokens.min() > 0
    names = [wiring.vocabulary[token - 1] for token in tokens[0]]
    assert (names[0], names[1]) == ("zero", "identity")
    assert [names[i] == names[j] for i, j in ((0, 4), (2, 3), (3, 5))] == [True, False, False]


def test_cut_tokens_are_those_on_a_path_to_the_output(cells):
    wiring = Wiring(cells)
    rng = np.random.default_rng(0)
    drawn = [cells.sample(rng) for _ in range(200)]
    for architecture, whole, cut in zip(
        drawn, edge_tokens(wiring, drawn), edge_tokens(wiring, drawn, cut=True), strict=True
    ):
        graph = nx.DiGraph()
        graph.add_nodes_from(range(4))
        ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
        graph.add_edges_from(edge for edge, option in zip(ends, architecture, strict=True) if option)
        alive = [graph.has_edge(u, v) and nx.has_path(graph, 0, u) and nx.has_path(graph, v, 3) for u, v in ends]
        assert cut.tolist() == [token if live else 0 for token, live in zip(whole, alive, strict=True)]


def test_eigenvectors_solve_the_normalised_laplacian(cells):
    rng = np.random.default_rng(1)
    adjacency = cell_adjacency(Wiring(cells), [cells.sample(rng) for _ in range(50)])
    for directed, vectors in zip(adjacency, eigenvectors(adjacency), strict=True):
        undirected = nx.from_numpy_array(directed + directed.T)
        normalised = nx.normalized_laplacian_matrix(undirected).toarray()
        normalised[np.diag_indices(4)] = 1  # networkx has 0 for a node without edges, which only moves its eigenvalue
        values = np.diag(vectors.T @ normalised @ vectors)
        np.testing.assert_allclose(normalised @ vectors, vectors * values, atol=1e-5)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-5)
        assert (np.diff(values) > -1e-5).all()
        assert (vectors.max(axis=0) >= -vectors.min(axis=0) - 1e-4).all()


@pytest.mark.parametrize("name", TOYS)
def test_any_space_is_read(name):
    space = TOYS[name]()
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20)]
    wiring = Wiring(space)
    tokens = edge_tokens(wiring, drawn)
    assert tokens.shape == (20, sum(len(cell.edges) for cell in wiring.cells))
    same = [
        (tokens[i] == tokens[j]).all() == (cell_name(space, drawn[i]) == cell_name(space, drawn[j]))
        for i in range(20)
        for j in range(i)
    ]
    assert all(same)


def cell_name(space, architecture):
    """Every operation of the resolved graph with the width it leads to, in order."""
    graph = space.resolve(architecture)
    return [
        (edge, repr(op) if op.is_zero or op.is_identity else (op.label(None), graph.nodes[edge[1]].get("width")))
        for *edge, op in graph.edges(data="op")
    ]
