"""Patterns against searches in the graph, networkx's hashes and isomorphism."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from predictor_spaces import drawn, spaces

import naslab
from naslab.evaluators.predictors.patterns import Multisets, path_codes, pattern_codes
from naslab.evaluators.predictors.wiring import Wiring

SPACES = spaces()
by_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def multisets(codes):
    return [tuple(sorted(code for code in row.tolist() if code)) for row in codes]


def same_partition(a, b):
    """Whether two labellings tell the same things apart."""
    return len(set(a)) == len(set(b)) == len(set(zip(a, b, strict=True)))


def flows(space, architecture):
    return [space._flow(cell, space.decisions(architecture)) for cell in space.cells]


def paths_by_search(flow):
    """Labels along every path from an input to the output of a data flow, with multiplicities."""
    found: Counter = Counter()

    def back(token, tail):
        if not flow.sources[token]:
            if flow.labels[token].startswith("input"):
                found[(flow.labels[token], *tail)] += 1
            return
        for source, times in flow.sources[token].items():
            for _ in range(times):
                back(source, tail if token == len(flow.labels) - 1 else (flow.labels[token], *tail))

    back(len(flow.labels) - 1, ())
    return frozenset(found.items())


@by_space
def test_paths_are_those_found_by_search(space):
    architectures = drawn(space, 40)
    codes = path_codes(Wiring(space), architectures)
    expected = [tuple(paths_by_search(flow) for flow in flows(space, a)) for a in architectures]
    assert codes.shape[1] > 0
    assert same_partition(multisets(codes), expected)
    assert [len(row) for row in multisets(codes)] == [
        sum(times for cell in each for _, times in cell) for each in expected
    ]


def networkx_colours(space, architecture, rounds):
    """Multisets of networkx's Weisfeiler-Lehman hashes of the data flow, on successors and predecessors together.

    networkx hashes one direction of a directed graph; an undirected one whose edges are split by nodes that say "tail"
    and "head" keeps directions, at three rounds for one. Multiplicities are labels of the split edges.
    """
    result = []
    for which, flow in enumerate(flows(space, architecture)):
        graph = nx.Graph()
        # An empty part of a concatenation: there are as many parts in every architecture, so that it says nothing.
        empty = {t for t, label in enumerate(flow.labels) if label == "part" and not flow.sources[t]}
        tokens = [token for token in range(len(flow.labels)) if token not in empty]
        for token in tokens:
            graph.add_node(token, label=f"{which} {flow.labels[token]}")
            for source, times in flow.sources[token].items():
                if source in empty:
                    continue
                tail, head = (source, token, "tail"), (source, token, "head")
                graph.add_node(tail, label=f"tail {times}")
                graph.add_node(head, label=f"head {times}")
                nx.add_path(graph, [source, tail, head, token])
        hashes = nx.weisfeiler_lehman_subgraph_hashes(
            graph, node_attr="label", iterations=max(1, 3 * rounds), include_initial_labels=True, digest_size=16
        )
        result.append(tuple(sorted(hashes[token][3 * rounds] for token in tokens)))
    return tuple(result)


@pytest.mark.parametrize("rounds", [0, 1, 2])
@by_space
def test_colours_are_the_classes_of_networkx_hashes(space, rounds):
    architectures = drawn(space, 40, seed=1)
    ours = multisets(pattern_codes(Wiring(space), architectures, rounds)[rounds])
    if space.name in ("nasbench1shot1", "darts"):
        architectures, ours = architectures[:15], ours[:15]
    assert same_partition(ours, [networkx_colours(space, a, rounds) for a in architectures])


@by_space
def test_isomorphic_architectures_have_equal_patterns(space):
    wiring = Wiring(space)
    architectures = drawn(space, 60, seed=2)
    keys = [space.canonical(a) for a in architectures]
    for codes in (path_codes(wiring, architectures), *pattern_codes(wiring, architectures, 2)):
        found = multisets(codes)
        assert len(set(zip(keys, found, strict=True))) == len(set(keys))


def test_colours_of_one_round_tell_all_functions_of_nasbench201_apart():
    space = SPACES["nasbench201"]
    architectures = list(space.architectures())[::11]
    colours = multisets(pattern_codes(Wiring(space), architectures, 1)[1])
    assert same_partition(colours, [space.canonical(a) for a in architectures])


def test_counts_of_a_row_do_not_depend_on_the_others():
    codes = np.asarray([[3, 3, 0, 5], [5, 0, 0, 0], [7, 7, 9, 3]], np.uint64)
    known = Multisets(codes[:2])
    assert known.vocabulary.tolist() == [3, 5]
    assert known(codes).tolist() == [[2, 1, 0], [0, 1, 0], [1, 0, np.sqrt(5)]]
    assert known(codes[2:]).tolist() == known(codes)[2:].tolist()


def test_distances_to_known_rows_are_as_if_everything_were_known():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, (30, 8)).astype(np.uint64)
    some, every = Multisets(codes[:3])(codes), Multisets(codes)(codes)
    for row in range(30):
        for training in range(3):
            assert np.isclose(*(np.square(x[row] - x[training]).sum() for x in (some, every)))


def test_too_many_paths_are_none():
    space = naslab.search_space("fabric")
    assert path_codes(Wiring(space), drawn(space, 3)).shape == (3, 0)


def test_patterns_tell_nasbench101_s_cells_apart_as_their_hash_does():
    """Whatever is pruned and however vertices are numbered; their channels, which follow from that, are not seen."""
    space = naslab.search_space("nasbench101")
    architectures, wiring = drawn(space, 300, seed=4), Wiring(space)
    keys = [space.official_key(a) for a in architectures]
    assert len(set(keys)) < 250
    assert same_partition(multisets(pattern_codes(wiring, architectures, 3)[3]), keys)
    paths = multisets(path_codes(wiring, architectures))
    assert len(set(zip(keys, paths, strict=True))) == len(set(keys)) > len(set(paths))
