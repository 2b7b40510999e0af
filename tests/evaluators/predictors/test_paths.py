"""The truncated path encoding, against paths found in the graph."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from toy_spaces import two_inputs

import naslab
from naslab.evaluators.predictors.paths import PathFeatures, shortest_paths
from naslab.evaluators.predictors.wiring import Wiring


@pytest.fixture(scope="module")
def cells():
    return naslab.search_space("nasbench201")


def sequences(architecture) -> set[tuple[int, ...]]:
    """Options along every path of a NAS-Bench-201 cell without option 0."""
    ends = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    graph = nx.DiGraph((u, v, {"o": o}) for (u, v), o in zip(ends, architecture, strict=True))
    found = (tuple(graph.edges[edge]["o"] for edge in path) for path in nx.all_simple_edge_paths(graph, 0, 3))
    return {path for path in found if 0 not in path}


def test_all_features_of_nasbench201_are_those_of_the_paper_without_zeros(cells):
    every = list(cells.architectures())
    assert PathFeatures(Wiring(cells), every).columns == 4 + 4**2 + 4**3


def test_a_feature_is_a_sequence_of_operations(cells):
    rng = np.random.default_rng(0)
    drawn = [cells.sample(rng) for _ in range(60)]
    found = PathFeatures(Wiring(cells), drawn)(drawn)
    written = [sequences(architecture) for architecture in drawn]
    assert found.sum(axis=1).tolist() == [len(paths) for paths in written]
    for i in range(60):
        for j in range(i):
            assert (found[i] * found[j]).sum() == len(written[i] & written[j])


def test_the_shortest_and_most_frequent_are_kept(cells):
    rng = np.random.default_rng(1)
    drawn = [cells.sample(rng) for _ in range(80)]
    wiring = Wiring(cells)
    whole, cut = PathFeatures(wiring, drawn)(drawn), PathFeatures(wiring, drawn, most=10)(drawn)
    assert (cut == whole[:, :10]).all()
    assert cut[:, :4].sum() == sum(architecture[3] != 0 for architecture in drawn)  # the edge from input to output
    assert (np.diff(cut[:, 4:].sum(axis=0)) <= 0).all()


def test_sequences_that_were_not_there_have_no_feature(cells):
    features = PathFeatures(Wiring(cells), [(0, 0, 0, 2, 0, 0), (0, 0, 0, 3, 0, 0)])
    assert features([(0, 0, 0, 2, 0, 0), (0, 0, 0, 4, 0, 0), (3, 3, 3, 2, 3, 3)]).sum(axis=1).tolist() == [1, 0, 1]


def test_paths_are_listed_by_length_up_to_a_number():
    cell = Wiring(two_inputs(nodes=4)).cells[0]
    every = shortest_paths(cell)
    lengths = [len(path) for path in every]
    assert lengths == sorted(lengths)
    assert len({tuple(path) for path in every}) == len(every)
    assert shortest_paths(cell, 5) == every[:5]
