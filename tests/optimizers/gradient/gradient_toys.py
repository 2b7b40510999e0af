"""A small space with smooth operations, and rows to train on."""

from __future__ import annotations

import networkx as nx
import numpy as np

import naslab
from naslab.datasets import Rows
from naslab.evaluators.table import TableTruth
from naslab.ops import Classifier, Conv, Identity, Linear, Zero
from naslab.search_spaces.nasbench201 import OPERATIONS
from naslab.space import Choice
from naslab.tasks import Problem, Task


def rows(count: int, seed: int, features: int = 6) -> Rows:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, features)).astype(np.float32)
    return Rows(x, (x[:, 0] + x[:, 2] > 0).astype(np.int64))


def linear_space() -> naslab.SearchSpace:
    """Two nodes of the same width, three ways each to get to them: nothing but products and sums."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("x", shape=(6,))
    graph.add_node("a", width=6)
    graph.add_node("b", width=6)
    graph.add_node("y", width=2)
    graph.add_edge("x", "a", op=Choice("x->a", (Zero(), Identity(), Linear())))
    graph.add_edge("a", "b", op=Choice("a->b", (Zero(), Identity(), Linear())))
    graph.add_edge("x", "b", op=Choice("x->b", (Zero(), Identity(), Linear())))
    graph.add_edge("b", "y", op=Linear())
    return naslab.SearchSpace(graph, name="linear")


def toy_task(space: naslab.SearchSpace | None = None) -> Task:
    space = space or linear_space()
    truth = TableTruth({a: float(sum(a)) for a in space.architectures()})
    return Task("toy/linear", Problem(space, train=rows(64, 0), validation=rows(64, 1)), lambda: None, truth)  # type: ignore[arg-type,return-value]


def image_space() -> naslab.SearchSpace:
    """Three edges of NAS-Bench-201's five operations between a stem and a classifier: what ``pocket-cell`` is made of,
    with three mixtures instead of twelve."""
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_node("image", shape=(1, 6, 6))
    graph.add_nodes_from(("stem", "a", "b"), width=4)
    graph.add_node("logits", width=3)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn"))
    for start, end in (("stem", "a"), ("a", "b"), ("stem", "b")):
        graph.add_edge(start, end, op=Choice(f"{start}->{end}", tuple(OPERATIONS.values())))
    graph.add_edge("b", "logits", op=Classifier())
    return naslab.SearchSpace(graph, name="images")
