"""Canonical keys of data flows with many symmetries: the same for every order of the tensors, and never factorial."""

from __future__ import annotations

import random

import networkx as nx
import pytest

from naslab.space.canonical import certificate
from naslab.space.dataflow import DataFlow


class Builder:
    """A data flow, tensor by tensor."""

    def __init__(self):
        self.labels, self.sources = ["input"], [{}]

    def add(self, label, *made_from, times=1):
        self.labels.append(label)
        self.sources.append(dict.fromkeys(made_from, times))
        return len(self.labels) - 1

    def done(self, *ends):
        self.add("output", *ends)
        return DataFlow(tuple(self.labels), tuple(self.sources))


def chains(count, length=3):
    builder, ends = Builder(), []
    for _ in range(count):
        end = 0
        for i in range(length):
            end = builder.add(f"op{i}", end)
        ends.append(end)
    return builder.done(*ends)


def ring(size, layers):
    """Every tensor of a layer is made from two neighbours of the one before: no tensor is like no other."""
    builder = Builder()
    row = [builder.add("op", 0) for _ in range(size)]
    for _ in range(layers):
        row = [builder.add("op", row[i], row[(i + 1) % size]) for i in range(size)]
    return builder.done(*row)


def nested(depth, width):
    """Parallel copies of parallel copies."""
    builder = Builder()

    def copies(depth):
        if not depth:
            return builder.add("op", 0)
        return builder.add("concatenation", *[copies(depth - 1) for _ in range(width)])

    return builder.done(copies(depth))


def layers(size, count):
    """Every tensor of a layer is made from all of the one before."""
    builder, row = Builder(), [0]
    for _ in range(count):
        row = [builder.add("op", *row) for _ in range(size)]
    return builder.done(*row)


def rings(*sizes):
    """Disjoint rings: colours can't tell those of six tensors from two of three."""
    builder, ends = Builder(), []
    for size in sizes:
        row = [builder.add("op", 0) for _ in range(size)]
        ends += [builder.add("op", row[i], row[(i + 1) % size]) for i in range(size)]
    return builder.done(*ends)


def drawn(rng):
    builder = Builder()
    for i in range(1, rng.randrange(2, 9)):
        builder.labels.append(rng.choice("aab"))
        builder.sources.append({rng.randrange(i): rng.choice((1, 1, 2)) for _ in range(rng.choice((1, 1, 2, 3)))})
    used = {source for made_from in builder.sources for source in made_from}
    return builder.done(*(set(range(len(builder.labels))) - used))


def shuffled(rng, flow):
    """The same flow, its tensors in another topological order."""
    order, left = [], set(range(len(flow.labels) - 1))
    while left:
        order.append(rng.choice([t for t in sorted(left) if not left & flow.sources[t].keys()]))
        left.discard(order[-1])
    order.append(len(flow.labels) - 1)
    new = {token: i for i, token in enumerate(order)}
    renamed = tuple({new[s]: n for s, n in flow.sources[t].items()} for t in order)
    return DataFlow(tuple(flow.labels[t] for t in order), renamed)


def graph_of(flow):
    graph = nx.DiGraph()
    graph.add_nodes_from((t, {"label": label}) for t, label in enumerate(flow.labels))
    graph.add_edges_from((s, t, {"times": n}) for t, made_from in enumerate(flow.sources) for s, n in made_from.items())
    return graph


def isomorphic(one, other):
    return nx.is_isomorphic(
        graph_of(one),
        graph_of(other),
        nx.algorithms.isomorphism.categorical_node_match("label", None),
        nx.algorithms.isomorphism.categorical_edge_match("times", None),
    )


SYMMETRIC = {
    "chains": chains(40), "ring": ring(10, 4), "nested": nested(3, 4), "layers": layers(12, 3), "rings": rings(3, 6, 3),
}  # fmt: skip


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_flows_have_one_key_whatever_the_order(name):
    """Forty identical chains: breaking their ties one by one would take 40! steps."""
    rng, flow = random.Random(0), SYMMETRIC[name]
    assert {certificate(shuffled(rng, flow)) for _ in range(5)} == {certificate(flow)}


def test_what_colours_alone_cannot_tell_apart_has_two_keys():
    assert certificate(rings(6)) != certificate(rings(3, 3))
    assert certificate(rings(6, 3)) != certificate(rings(3, 3, 3))


def test_keys_are_equal_exactly_where_flows_are_isomorphic():
    rng = random.Random(1)
    by_key: dict[str, list[DataFlow]] = {}
    for _ in range(600):
        flow = drawn(rng)
        key = certificate(flow)
        assert certificate(shuffled(rng, flow)) == key
        by_key.setdefault(key, []).append(flow)
    assert 100 < len(by_key) < 590
    shapes: dict[object, list[DataFlow]] = {}
    for same in by_key.values():
        assert all(isomorphic(same[0], other) for other in same[1:])
        shapes.setdefault((tuple(sorted(same[0].labels)), sum(map(len, same[0].sources))), []).append(same[0])
    for alike in shapes.values():
        assert not any(isomorphic(a, b) for i, a in enumerate(alike) for b in alike[:i])
