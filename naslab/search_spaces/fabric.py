"""Convolutional neural fabrics: a trellis of layers and scales, with a 3x3 convolution on each of its edges.

Saxena & Verbeek 2016, "Convolutional Neural Fabrics" (section 3). There is a node for each layer and scale; each scale
halves the image, until a side is odd (1x1 for sides that are powers of two). A node reads the nodes of the layer before
at its own scale and at the two neighbouring scales. It adds up their convolutions, then normalises and applies ReLU.
Convolutions from a finer scale have stride 2; those from a coarser one put zeros between the pixels. In the first layer
the image enters at the finest scale and is passed down to all others; in the last layer everything is passed down to
the coarsest scale, which the classifier reads.

Every edge is on or off. With all edges on, the architecture is the whole fabric, which the paper trains; with only the
edges of one path on, it is a chain network; in between are sub-fabrics (searched by Veniat & Denoyer 2018, "Learning
Time/Memory-Efficient Deep Architectures with Budgeted Super Networks"). In a mixed supernet each edge is scaled by its
weight.

Deviations. Channels are densely connected: the paper's sparse variant, in which a channel reads its three neighbours,
is left out. All scales have the same number of channels, as in the paper's experiments. Normalisations count as
parameters even at nodes that receive no data, as all dead branches do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeAlias

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.ops import Classifier, NormReLU, Operation, PlainConv, UpsamplingConv, Zero
from naslab.search_spaces.counts import check_count
from naslab.space import Architecture, Choice, SearchSpace

Place: TypeAlias = tuple[int, int]
"""A layer, counted from 1, and a scale, counted from 0 (the finest)."""


def fabric(
    num_classes: int = 10, input_shape: Sequence[int] = (3, 32, 32), channels: int = 128, layers: int = 8
) -> Fabric:
    """A fabric; the number of its scales follows from the image: six for 32x32.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Width of every node.
        layers: At least 2, a first and a last one.

    Raises:
        InvalidValue: Too few layers, or more than 1,000.
    """
    check_count(layers=layers)
    if layers < 2:
        raise InvalidValue(f"layers={layers!r}: at least 2, a first and a last one")
    sides, scales = tuple(input_shape[1:]), 1
    while sides and all(side > 0 and side % 2 == 0 for side in sides):
        sides, scales = tuple(side // 2 for side in sides), scales + 1
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    output = (layers, scales - 1)
    for layer in range(1, layers + 1):
        for scale in range(scales):
            graph.add_node(f"{layer}/{scale}/sum", width=channels)
            if (layer, scale) != output:  # there the classifier normalises and applies ReLU
                graph.add_edge(f"{layer}/{scale}/sum", f"{layer}/{scale}", op=NormReLU())
    graph.add_edge("image", "1/0/sum", op=PlainConv())
    for source, node in _edges(layers, scales):
        options = (Zero(), _convolution(source[1], node[1]))
        graph.add_edge(_written(source), f"{_written(node)}/sum", op=Choice(_choice(source, node), options))
    graph.add_node("logits", width=num_classes)
    graph.add_edge(f"{_written(output)}/sum", "logits", op=Classifier())
    return Fabric(graph, layers, scales)


class Fabric(SearchSpace):
    """Edges that are on or off, written as zeros and ones.

    Args:
        graph: The whole network.
        layers: Number of layers.
        scales: Number of scales.
    """

    def __init__(self, graph: nx.DiGraph[Any], layers: int, scales: int) -> None:
        self.layers, self.scales, self.edges = layers, scales, _edges(layers, scales)
        super().__init__(graph, name="fabric", order=[_choice(*edge) for edge in self.edges])

    def chain(self, scales: Sequence[int]) -> Architecture:
        """The chain network through the given scale of each layer. In the first layer it goes down from the finest
        scale to the given one, in the last layer from the given one to the coarsest.

        Args:
            scales: One for each layer; those of neighbouring layers differ by at most one.

        Raises:
            InvalidValue: There is no such path.
        """
        if len(scales) != self.layers or not all(0 <= scale < self.scales for scale in scales):
            raise InvalidValue(f"scales={list(scales)}: give {self.layers} numbers from 0 to {self.scales - 1}")
        path: list[Place] = [(1, scale) for scale in range(scales[0] + 1)]
        path += [(layer, scale) for layer, scale in enumerate(scales[1:], start=2)]
        path += [(self.layers, scale) for scale in range(scales[-1] + 1, self.scales)]
        steps = set(itertools.pairwise(path))
        if not steps <= set(self.edges):
            raise InvalidValue(f"scales={list(scales)}: neighbouring layers differ by at most one scale")
        return tuple(int(edge in steps) for edge in self.edges)

    def paths(self, architecture: Architecture) -> int:
        """The number of chain networks in an architecture, by dynamic programming over the nodes."""
        found: dict[Place, int] = {(1, 0): 1}
        options = zip(self.edges, self.architecture(architecture), strict=True)
        for (source, node), option in options:  # edges into a node precede those out of it
            found[node] = found.get(node, 0) + option * found.get(source, 0)
        return found.get((self.layers, self.scales - 1), 0)

    def to_string(self, architecture: Architecture) -> str:
        """The edges within the first layer, those into each further layer, those within the last, joined by ``/``."""
        parts = [""] * (self.layers + 1)
        for part, option in zip(self._parts, self.architecture(architecture), strict=True):
            parts[part] += str(option)
        return "/".join(parts)

    def from_string(self, string: str) -> Architecture:
        bits = string.replace("/", "")
        if set(bits) <= {"0", "1"} and len(bits) == len(self.edges):
            architecture = tuple(map(int, bits))
            if self.to_string(architecture) == string:
                return architecture
        every = self.to_string((1,) * len(self.edges))
        raise InvalidArchitecture(f"{string!r} is not a fabric of zeros and ones such as {every!r}, all edges on")

    @property
    def _parts(self) -> list[int]:
        """For each edge, the part of the string that it is in."""
        return [u[0] if u[0] < v[0] else (0 if u[0] == 1 else self.layers) for u, v in self.edges]


def _edges(layers: int, scales: int) -> list[tuple[Place, Place]]:
    """The trellis, layer by layer; within a layer from fine to coarse."""
    down = [(scale, scale + 1) for scale in range(scales - 1)]
    across = [(s, t) for t in range(scales) for s in (t - 1, t, t + 1) if 0 <= s < scales]
    found = [((1, s), (1, t)) for s, t in down]
    found += [((layer, s), (layer + 1, t)) for layer in range(1, layers) for s, t in across]
    return found + [((layers, s), (layers, t)) for s, t in down]


def _convolution(source: int, scale: int) -> Operation:
    """The convolution from one scale to the same, the next coarser or the next finer one."""
    return UpsamplingConv() if scale < source else PlainConv(stride=1 + scale - source)


def _written(place: Place) -> str:
    return f"{place[0]}/{place[1]}"


def _choice(source: Place, node: Place) -> str:
    return f"{_written(source)}->{_written(node)}"
