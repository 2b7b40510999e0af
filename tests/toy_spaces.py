"""Small search spaces, one of each kind, and graphs to build more from."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import numpy as np
from scipy import stats

from naslab import SGD, Choice, Range, Recipe, Rule, SearchSpace
from naslab.ops import AvgPool, Conv, Identity, Linear, MaxPool, MBConv, Operation, ReLU, Zero

VECTOR = {"shape": (4,)}
IMAGE = {"shape": (4, 8, 8)}


def graph_of(*edges: tuple[Any, Any, Any], **nodes: dict[str, Any]) -> nx.DiGraph:
    """A graph from ``(tail, head, op)`` and the attributes of nodes; ``op=None`` leaves the operation out."""
    graph = nx.DiGraph()
    graph.add_nodes_from(nodes.items())
    graph.add_edges_from((u, v, {} if op is None else {"op": op}) for u, v, op in edges)
    return graph


def depth() -> SearchSpace:
    """One to three layers: the second and third place share the decision, with other options."""
    layer = Linear()
    graph = graph_of(
        ("x", "h1", layer),
        ("h1", "h2", Choice("depth", (Identity(), layer, layer))),
        ("h2", "h3", Choice("depth", (Identity(), Identity(), layer))),
        x=VECTOR,
        h1={"width": 8},
        h2={"width": 8},
        h3={"width": 8},
    )
    return SearchSpace(graph, name="depth")


def two_choices() -> SearchSpace:
    """One operation with two choices of its own."""
    op = MBConv(kernel=Choice("kernel", (3, 5, 7)), expansion=Choice("expansion", (3, 6)))
    return SearchSpace(graph_of(("x", "y", op), x=IMAGE, y={"width": 6}), name="two-choices")


def nested() -> SearchSpace:
    """Options that contain choices."""
    options = (Identity(), Conv(kernel=Choice("kernel", (1, 3, 5))), MBConv(expansion=Choice("expansion", (1, 4))))
    graph = graph_of(("x", "a", Choice("op", options)), ("a", "y", Choice("last", (Identity(), Conv()))), x=IMAGE)
    return SearchSpace(graph, name="nested")


def widths() -> SearchSpace:
    """Widths as choices, one of them shared by two nodes that are added up, and a concatenation."""
    shared = Choice("shared", (2, 6))
    graph = graph_of(
        ("x", "a", Linear()),
        ("x", "b", Linear()),
        ("a", "sum", ReLU()),
        ("b", "sum", Identity()),
        ("x", "c", Linear()),
        ("sum", "both", Identity()),
        ("c", "both", Identity()),
        ("both", "y", Linear()),
        x=VECTOR,
        a={"width": shared},
        b={"width": shared},
        c={"width": Choice("other", (1, 3, 5))},
        both={"combine": "concat"},
        y={"width": 2},
    )
    return SearchSpace(graph, name="widths")


def two_inputs(
    nodes: int = 3, options: tuple[Operation, ...] = (Zero(), Conv(), AvgPool()), cells: int = 1
) -> SearchSpace:
    """DARTS' rule: every node keeps exactly two of its incoming edges (option 0 is no edge)."""
    graph, rules = graph_of(x=IMAGE), []
    last = "x"
    for cell in range(cells):
        inputs = [f"{cell}/in0", f"{cell}/in1"]
        graph.add_edges_from((last, node, {"op": Conv()}) for node in inputs)
        for number in range(nodes):
            node = f"{cell}/{number}"
            names = []
            for source in inputs:
                names.append(f"{source}->{node}")
                graph.add_edge(source, node, op=Choice(names[-1], options))
            every = itertools.product(range(len(options)), repeat=len(names))
            rules.append(Rule(tuple(names), frozenset(c for c in every if len(c) - c.count(0) == 2)))
            inputs.append(node)
        last = f"{cell}/out"
        graph.add_edges_from((node, last, {"op": Identity()}) for node in inputs)
    return SearchSpace(graph, name="two-inputs", rules=rules)


def no_choice() -> SearchSpace:
    """A single architecture."""
    return SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR), name="no-choice")


TOYS = {
    "depth": depth,
    "two-choices": two_choices,
    "nested": nested,
    "widths": widths,
    "two-inputs": two_inputs,
    "no-choice": no_choice,
}


def deep() -> SearchSpace:
    """Three deep, with a kernel that two places share."""
    kernel = Choice("kernel", (1, 3, 5))
    inner = Choice("inner", (Conv(kernel=kernel), AvgPool(), MaxPool()))
    graph = graph_of(
        ("x", "a", Choice("outer", (Identity(), inner))),
        ("a", "y", Choice("last", (Identity(), Conv(kernel=kernel)))),
        x=IMAGE,
    )
    return SearchSpace(graph, name="deep")


def stage() -> SearchSpace:
    """Up to three layers, each with a kernel that matters only where the layer is there."""
    layers = [Conv(kernel=Choice(f"kernel{i}", (1, 3, 5))) for i in range(3)]
    skip = Identity()
    graph = graph_of(
        ("x", 1, layers[0]),
        (1, 2, Choice("depth", (skip, layers[1], layers[1]), labels=(1, 2, 3))),
        (2, 3, Choice("depth", (skip, skip, layers[2]), labels=(1, 2, 3))),
        x=IMAGE,
    )
    return SearchSpace(graph, name="stage")


def trained() -> SearchSpace:
    """A recipe with a momentum that matters under SGD alone, and whole numbers."""
    graph = graph_of(("x", "y", Choice("op", (Identity(), Conv()))), x=IMAGE)
    recipe = Recipe(
        epochs=Range("epochs", 2, 4, integer=True),
        batch=8,
        learning_rate=Choice("rate", (0.1, 0.01)),
        optimizer=Choice("optimizer", ("adamw", SGD(momentum=Choice("momentum", (0.0, 0.9))))),
    )
    return SearchSpace(graph, name="trained", recipe=recipe)


CONDITIONAL = {"deep": deep, "stage": stage, "trained": trained}
"""Spaces with decisions inside options."""


def looks_uniform(drawn: list[Any], support: list[Any]) -> bool:
    """Chi-squared test at 0.1 % (seeds are fixed, so that the verdict is as well); all draws lie in the support."""
    position = {value: i for i, value in enumerate(support)}
    counts = np.bincount([position[value] for value in drawn], minlength=len(support))
    assert counts.sum() / len(support) >= 5, "too few draws for the test"
    return bool(len(support) == 1 or stats.chisquare(counts).pvalue > 1e-3)
