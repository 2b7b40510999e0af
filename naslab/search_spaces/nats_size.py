"""NATS-Bench's size space: the widths of five stages of a fixed cell (Dong et al. 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from naslab.errors import InvalidArchitecture
from naslab.ops import Classifier, Conv, Projection, ResidualReduction
from naslab.space import Architecture, Choice, SearchSpace

WIDTHS = (8, 16, 24, 32, 40, 48, 56, 64)
STAGES = 5

# The most accurate cell of the topology space: |3x3~0|+|3x3~0|3x3~1|+|skip~0|3x3~1|3x3~2|.
_CELL = ((0, 1, Conv()), (0, 2, Conv()), (1, 2, Conv()), (0, 3, Projection()), (1, 3, Conv()), (2, 3, Conv()))


def nats_size(num_classes: int = 10, input_shape: Sequence[int] = (3, 32, 32)) -> NATSSize:
    """NATS-Bench's size space, 32,768 architectures.

    A stem and a cell of the first width, a residual reduction to the second, a cell of the third, a reduction to the
    fourth, a cell of the fifth, and a classifier. A cell's skip connection is a 1x1 convolution where the width
    changes.

    Args:
        num_classes: 10 (CIFAR-10), 100 (CIFAR-100), 120 (ImageNet16-120).
        input_shape: ``(3, 32, 32)``, or ``(3, 16, 16)`` for ImageNet16-120.
    """
    widths = [Choice(f"width{stage}", WIDTHS) for stage in range(1, STAGES + 1)]
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=widths[0])
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn"))
    last = "stem"
    for stage, width in enumerate(widths, start=1):
        if stage % 2 == 0:
            graph.add_node(f"reduction{stage}", width=width)
            graph.add_edge(last, f"reduction{stage}", op=ResidualReduction())
            last = f"reduction{stage}"
            continue
        nodes = [last, *(f"cell{stage}/{i}" for i in (1, 2, 3))]
        graph.add_nodes_from(nodes[1:], width=width)
        graph.add_edges_from((nodes[u], nodes[v], {"op": op}) for u, v, op in _CELL)
        last = nodes[3]
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=Classifier())
    return NATSSize(graph, name="nats-size", order=[choice.name for choice in widths])


class NATSSize(SearchSpace):
    """Widths in the official notation, ``8:16:24:32:40``."""

    def to_string(self, architecture: Architecture) -> str:
        return ":".join(str(WIDTHS[option]) for option in self.architecture(architecture))

    def from_string(self, string: str) -> Architecture:
        parts = string.split(":")
        known = {str(width): option for option, width in enumerate(WIDTHS)}
        if len(parts) != STAGES or not all(part in known for part in parts):
            raise InvalidArchitecture(f"{string!r}. Allowed: five of 8, 16, ..., 64 joined by ':'")
        return tuple(known[part] for part in parts)
