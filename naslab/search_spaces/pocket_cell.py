"""The cell of NAS-Bench-201 in a skeleton so small that every architecture can be trained on a laptop.

A stem, a cell, a reduction, a cell with twice the channels, a classifier. The reduction is a pooling and a 1x1
convolution: NAS-Bench-201's residual block would do most of the network's work, and cells would hardly differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from naslab.ops import AvgPool, Classifier, Conv
from naslab.search_spaces.nasbench201 import NASBench201, add_cell


def pocket_cell(num_classes: int = 10, input_shape: Sequence[int] = (1, 8, 8), channels: int = 8) -> NASBench201:
    """NAS-Bench-201's 15,625 cells; a network contains its cell twice.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Width of the first cell; the second has twice as many.
    """
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=channels)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn"))
    last = add_cell(graph, "cell1", "stem", channels)
    graph.add_node("pooled")
    graph.add_edge(last, "pooled", op=AvgPool(kernel=3, stride=2))
    graph.add_node("reduction", width=2 * channels)
    graph.add_edge("pooled", "reduction", op=Conv(kernel=1, order="conv-bn"))
    last = add_cell(graph, "cell2", "reduction", 2 * channels)
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=Classifier())
    return NASBench201(graph, name="pocket-cell")
