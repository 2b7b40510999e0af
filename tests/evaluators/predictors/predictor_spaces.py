"""Spaces that no predictor was written for, and architectures of them."""

from __future__ import annotations

from functools import cache

import networkx as nx
import numpy as np
from toy_spaces import IMAGE, TOYS, graph_of

import naslab
from naslab import Choice, SearchSpace
from naslab.ops import AvgPool, Conv, Identity, Linear, MBConv, Zero


def odd() -> SearchSpace:
    """A repeated cell with a concatenation, nested and shared choices, an optional edge, and a head of free width."""
    branch = Choice(
        "branch", (Zero(), Identity(), MBConv(kernel=Choice("kernel", (3, 5)), expansion=Choice("expansion", (1, 3))))
    )
    cell = graph_of(
        ("in", "a", Choice("first", (Identity(), Conv(kernel=3), Conv(kernel=1)))),
        ("in", "b", branch),
        ("a", "b", Choice("across", (Identity(), AvgPool(), Zero()))),
        ("a", "out", Identity()),
        ("b", "out", Choice("last", (Zero(), Identity(), Conv(kernel=3)))),
        out={"combine": "concat"},
    )
    graph = graph_of(("image", "0", Conv()), image=IMAGE)
    for number in (0, 1):
        names = {"in": str(number), "out": f"{number}/out", **{n: f"{number}/{n}" for n in "ab"}}
        graph.add_nodes_from((names[n], dict(cell.nodes[n])) for n in cell if n != "in")
        graph.add_edges_from((names[u], names[v], dict(d)) for u, v, d in cell.edges(data=True))
        graph.add_node(str(number + 1), width=4)
        graph.add_edge(f"{number}/out", str(number + 1), op=Conv(kernel=1))
    graph.add_node("y", width=Choice("head", (2, 4, 8)))
    graph.add_edge("2", "y", op=Conv(kernel=1))
    return SearchSpace(graph, name="odd", cells=[cell, nx.DiGraph(graph.subgraph(["2", "y"]))])


@cache
def spaces() -> dict[str, SearchSpace]:
    """Of every kind: cells, whole networks, rules, widths, depths, trellises."""
    return {
        **{name: TOYS[name]() for name in ("depth", "nested", "widths", "two-inputs")},
        "odd": odd(),
        "nasbench201": naslab.search_space("nasbench201"),
        "nasbench1shot1": naslab.search_space("nasbench1shot1"),
        "darts": naslab.search_space("darts"),
        "fabric": naslab.search_space("fabric", input_shape=(3, 8, 8), channels=4, layers=3),
        "mlp": naslab.search_space("mlp", widths=(4, 8, 16, 32)),
        "line": SearchSpace(graph_of(("x", "y", Linear()), x={"shape": (3,)}, y={"width": Choice("w", (1, 2, 4, 8))})),
    }


def drawn(space: SearchSpace, count: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Uniform architectures."""
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]
