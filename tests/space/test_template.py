"""Graphs of architectures against resolving every attribute by itself."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest

import naslab
from naslab.ops import Conv, Dropout, Identity, Linear, Sequence
from naslab.space import Choice, Derived, Range, resolve
from naslab.space.template import Template


@dataclass(frozen=True)
class Half:
    """A width that follows from another decision, and a number that is a decision itself."""

    more: Any

    def __call__(self, taken: Any) -> int:
        return int(taken["width"] // 2 + self.more)


def every_kind() -> nx.DiGraph[Any]:
    """Choices that are equal and differ (1 and 1.0, one shared object), a range, derived widths, constants."""
    graph: nx.DiGraph[Any] = nx.DiGraph()
    derived = Derived(Half(Choice("more", (1, 2))))
    graph.add_node("x", shape=(8, Choice("size", (4, 6)), 4))
    graph.add_node("a", width=Choice("width", (4, 8)), kept="as it is")
    graph.add_nodes_from(("b", "c"), width=derived)
    graph.add_node("d", width=Choice("last", (1.0, 2.0)))
    graph.add_node("e", width=Choice("last", (1, 2)))
    shared = Choice("op", (Conv(kernel=Choice("kernel", (1, 3))), Sequence((Dropout(Range("rate", 0.1, 0.5)), Conv()))))
    graph.add_edges_from((("x", "a"), ("a", "b")), op=shared)
    graph.add_edges_from((("b", "c"), ("d", "e")), op=Linear(), name="named")
    graph.add_edge("c", "d", op=Choice("op", (Identity(), Linear())))
    return graph


def test_a_graph_is_what_resolving_every_attribute_gives() -> None:
    graph, rng = every_kind(), np.random.default_rng(0)
    decisions = [Choice("width", (4, 8)), Choice("more", (1, 2))]
    template = Template(graph, decisions)
    for kept in (template, pickle.loads(pickle.dumps(template))):
        for _ in range(40):
            names = ("more", "size", "width", "last", "op", "kernel")
            chosen = {**{name: int(rng.integers(2)) for name in names}, "rate": float(rng.uniform(0.1, 0.5))}
            made = kept.resolved(chosen)
            assert list(made) == list("xabcde")
            for node, attributes in made.nodes(data=True):
                expected = {key: resolve(value, chosen) for key, value in graph.nodes[node].items()}
                if node in "bc":
                    expected["width"] = (4, 8)[chosen["width"]] // 2 + (1, 2)[chosen["more"]]
                expected |= {"inputs": tuple(graph.predecessors(node)), **({"sized": True} if node == "x" else {})}
                assert attributes == expected
                assert list(map(type, attributes.values())) == [type(expected[key]) for key in attributes]
            for source, node, attributes in made.edges(data=True):
                own = graph.edges[source, node]
                assert attributes == {**own, "op": resolve(own["op"], chosen)}


@pytest.mark.parametrize("name", ["nasbench201", "mobilenetv3", "transnas-macro"])
def test_graphs_do_not_share_what_may_be_changed(name: str) -> None:
    space = naslab.search_space(name)
    a = space.sample(np.random.default_rng(0))
    first = space.resolve(a)
    for _, attributes in (*first.nodes(data=True), *((None, d) for *_, d in first.edges(data=True))):
        attributes.clear()
    again = space.resolve(a)
    assert all("inputs" in attributes for _, attributes in again.nodes(data=True))
    assert all("op" in attributes for *_, attributes in again.edges(data=True))
    assert all("op" in attributes for *_, attributes in space.graph.edges(data=True))
