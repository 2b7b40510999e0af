"""AutoDispNet: a normal, a reduction and an up-sampling cell for dense prediction, searched on disparity.

Saikia et al. 2019, "AutoDispNet: Improving Disparity Estimation with AutoML", and its public code (deployment only:
``operations/cell_ops.py``, ``genotype_cell.py``, ``refine_net.py``). An encoder of normal and reduction cells shrinks
the image, a decoder of up-sampling cells enlarges it again. An up-sampling cell reads four tensors: the last two cells'
outputs, enlarged by a transposed convolution, the disparity that was predicted before, enlarged by interpolation, and
the encoder's features of the same size. Its first node has four inputs, all other nodes of all cells two. Nodes are
concatenated; after the encoder and after every up-sampling cell a convolution predicts the disparity. Convolutions have
a bias and a leaky ReLU, and there is no batch normalisation.

**Deviations.** The network is the public ``DispNetS``, which gets all images at once, as the first and only one: both
images, no warped image and no former prediction. (``DispNetC`` reads both images with the same weights and correlates
the features; an edge here has weights of its own.) Predictions are made at every size, and each is an input of the next
cell, but the network delivers the last one alone, enlarged by interpolation, so that the loss does not see the others.
Predictions are not cut at zero. Convolutions of stride 2 pad both sides equally, where TensorFlow pads the last row and
column. Weights begin at PyTorch's default values.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue, UnknownName
from naslab.files import clipped
from naslab.ops import (
    AvgPool,
    Identity,
    LeakyConv,
    LeakySeparableConv,
    LeakyUpsamplingConv,
    MaxPool,
    Operation,
    Upsample,
    Zero,
)
from naslab.ops import Sequence as Chained
from naslab.search_spaces.counts import check_count
from naslab.search_spaces.genotypes import are_pairs, fields_of, put
from naslab.space import Architecture, Choice, SearchSpace, exactly

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "conv_3x3",
    "conv_1x1",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The published names. The reduction cell has no dilated convolutions."""
KINDS = {"normal": 2, "reduce": 2, "upsample": 4}
"""The cells, and how many tensors each reads: its nodes 0, 1, ..."""
NODES = 3
"""Inner nodes of each cell, behind its inputs."""
PUBLISHED = (
    "Genotype(normal=[('skip_connect', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 2), ('skip_connect', 0), "
    "('dil_conv_3x3', 2), ('dil_conv_3x3', 0)], reduce=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2), "
    "('skip_connect', 0), ('skip_connect', 1), ('sep_conv_5x5', 3)], upsample=[('sep_conv_3x3', 3), ('dil_conv_3x3', "
    "2), ('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 4), ('sep_conv_3x3', 2), "
    "('dil_conv_5x5', 4)])"
)
"""The genotype of all published networks."""


def dispnet(
    input_shape: Sequence[int] = (6, 64, 128),
    channels: int = 18,
    encoder_cells: int = 7,
    decoder_cells: int = 4,
    outputs: int = 1,
) -> DispNet:
    """AutoDispNet's search space: 1.3e23 genotypes.

    The numbers are those of the public small network ("css"); the large one has 42 channels, and a narrower stem.

    Args:
        input_shape: Channels (those of both images), height and width.
        channels: Width of the nodes before the first reduction cell; every reduction cell doubles it, every up-sampling
            cell halves it. The two convolutions before have twice and four times as many.
        encoder_cells: Every other one, the first included, is a reduction cell.
        decoder_cells: Up-sampling cells, at most two more than there are reduction cells.
        outputs: Numbers per pixel: 1 for disparity.

    Raises:
        InvalidValue: Numbers that are not positive, too many up-sampling cells, or an image that can't be halved as
            often.
    """
    counts = {"channels": channels, "encoder_cells": encoder_cells, "decoder_cells": decoder_cells, "outputs": outputs}
    check_count(**counts)
    for name, count in counts.items():
        if count < 1:
            raise InvalidValue(f"{name}={count}: at least 1")
    times = (encoder_cells + 1) // 2 + 2
    if decoder_cells > times:
        raise InvalidValue(f"decoder_cells={decoder_cells}: the image is halved {times} times, so at most {times}")
    halved = 2**times
    if len(input_shape) != 3 or any(side % halved for side in input_shape[1:]):
        raise InvalidValue(f"input_shape={tuple(input_shape)}: height and width are multiples of {halved} here")
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("images", shape=tuple(input_shape))
    graph.add_node("stem1", width=2 * channels)
    graph.add_edge("images", "stem1", op=LeakyConv(kernel=7, stride=2))
    graph.add_node("stem2", width=4 * channels)
    graph.add_edge("stem1", "stem2", op=LeakyConv(kernel=5, stride=2))
    by_size = ["images", "stem1", "stem2"]  # where each size begins, the largest first
    before, last, width, halves = "stem2", "stem2", channels, False
    for number in range(encoder_cells):
        name, widened = f"encoder{number + 1}", halves
        halves = number % 2 == 0
        width *= 1 + halves
        nodes = _nodes(graph, name, "reduce" if halves else "normal", width)
        graph.add_edge(before, nodes[0], op=LeakyConv(kernel=3, stride=2) if widened else LeakyConv(kernel=1))
        graph.add_edge(last, nodes[1], op=LeakyConv(kernel=1))
        before, last = last, name
        if halves:
            by_size.append(name)
    before, predicted = last, _prediction(graph, last, outputs)
    by_size.pop()
    for number in range(decoder_cells):
        name, width = f"decoder{number + 1}", width // 2
        nodes = _nodes(graph, name, "upsample", width)
        graph.add_nodes_from((f"{name}/before", f"{name}/last"), width=width)
        graph.add_edge(before, f"{name}/before", op=LeakyUpsamplingConv() if number else LeakyConv(kernel=1))
        graph.add_edge(last, f"{name}/last", op=LeakyConv(kernel=1))
        graph.add_edge(f"{name}/before", nodes[0], op=LeakyUpsamplingConv())
        graph.add_edge(f"{name}/last", nodes[1], op=LeakyUpsamplingConv())
        graph.add_edge(predicted, nodes[2], op=Chained((Upsample(2, "bilinear"), LeakyConv(kernel=1))))
        graph.add_edge(by_size.pop(), nodes[3], op=LeakyConv(kernel=1))
        before, last = last, name
        predicted = _prediction(graph, last, outputs)
    graph.add_edge(predicted, "disparity", op=Upsample(2 ** len(by_size), "bilinear") if by_size else Identity())
    return DispNet(graph)


class DispNet(SearchSpace):
    """Cells of AutoDispNet, written as genotypes.

    Args:
        graph: The whole network.
    """

    def __init__(self, graph: nx.DiGraph[Any]) -> None:
        cells, rules = [], []
        for kind in KINDS:
            cell: nx.DiGraph[Any] = nx.DiGraph()
            cell.add_nodes_from(range(KINDS[kind] + NODES))
            _connect(cell, kind, range(KINDS[kind] + NODES), "output")
            cells.append(cell)
            options = range(1, len(_options(kind, 1)))
            for v, inputs in _inner(kind):
                rules.append(exactly(inputs, [_edge(kind, u, v) for u in range(v)], tuple(options)))
        order = [_edge(kind, u, v) for kind in KINDS for v, _ in _inner(kind) for u in range(v)]
        super().__init__(graph, name="dispnet", order=order, rules=rules, cells=cells)

    def to_string(self, architecture: Architecture) -> str:
        """``Genotype(normal=[('skip_connect', 0), ...], reduce=..., upsample=...)``, as published: pairs of operation
        and input for each node in turn, here in the order of the inputs.
        """
        decisions = self.decisions(architecture)
        fields = []
        for kind in KINDS:
            edges = ((decisions[_edge(kind, u, v)], u) for v, _ in _inner(kind) for u in range(v))
            fields.append(f"{kind}={[(OPERATIONS[k], u) for k, u in edges if k]}")
        return f"Genotype({', '.join(fields)})"

    def from_string(self, string: str) -> Architecture:
        """The architecture of a genotype; the pairs of a node may be in any order, and something may stand before it.

        Raises:
            InvalidArchitecture: The string is none, or names what the cells do not have.
        """
        fields = fields_of(string, f"{clipped(string)} is not a genotype such as {PUBLISHED}")
        if list(fields) != list(KINDS):
            raise InvalidArchitecture(f"{clipped(string)}: a genotype has the fields {', '.join(KINDS)}")
        decisions = {choice.name: 0 for choice in self.choices}
        for kind, pairs in fields.items():
            number = sum(inputs for _, inputs in _inner(kind))
            if not are_pairs(pairs, number):
                raise InvalidArchitecture(
                    f"{clipped(string)}: {kind} is not a list of {number} pairs such as ('skip_connect', 0)"
                )
            rest = iter(pairs)
            for v, inputs in _inner(kind):
                edges = {u: _edge(kind, u, v) for u in range(v)}
                known = OPERATIONS[: len(_options(kind, 1))]
                put(decisions, f"{kind} cell, node {v}", edges, list(itertools.islice(rest, inputs)), known)
        return self.architecture(list(decisions.values()))

    def draw(self, architecture: Architecture, ax: Axes | None = None, cell: str = "upsample") -> Axes:
        """A picture of a cell: nodes, and the operations between them as arcs.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
            cell: ``"normal"``, ``"reduce"`` or ``"upsample"``.

        Raises:
            UnknownName: There is no such cell.
        """
        from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

        if cell not in KINDS:
            raise UnknownName(cell, list(KINDS))
        decisions = self.decisions(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(range(KINDS[cell] + NODES))
        for v, _ in _inner(cell):
            for u in range(v):
                if option := decisions[_edge(cell, u, v)]:
                    graph.add_edge(u, v, label=OPERATIONS[option])
        return draw_cell(graph, ax, title=f"{self.name}, {cell} cell")


def _edge(kind: str, u: int, v: int) -> str:
    """The name of an edge's choice."""
    return f"{kind}/{u}->{v}"


def _inner(kind: str) -> Iterator[tuple[int, int]]:
    """The inner nodes of a cell, with the number of edges into each."""
    first = KINDS[kind]
    return ((v, first if v == first else 2) for v in range(first, first + NODES))


def _nodes(graph: nx.DiGraph[Any], name: str, kind: str, width: int) -> list[str]:
    """Add a cell that ends in the node of this name; returns its nodes."""
    nodes = [f"{name}/{i}" for i in range(KINDS[kind] + NODES)]
    graph.add_nodes_from(nodes, width=width)
    _connect(graph, kind, nodes, name)
    return nodes


def _connect(graph: nx.DiGraph[Any], kind: str, nodes: Sequence[Any], output: Any) -> None:
    """Add a cell's edges between its nodes, and its output."""
    for v, _ in _inner(kind):
        for u in range(v):
            options = _options(kind, 2 if kind == "reduce" and u < KINDS[kind] else 1)
            labels = OPERATIONS[: len(options)]
            graph.add_edge(nodes[u], nodes[v], op=Choice(_edge(kind, u, v), options, labels))
    inner = tuple(nodes[v] for v, _ in _inner(kind))
    graph.add_node(output, combine="concat", inputs=inner)
    graph.add_edges_from(((node, output) for node in inner), op=Identity())


def _options(kind: str, stride: int) -> tuple[Operation, ...]:
    """One operation for each of the cell's names among :data:`OPERATIONS`."""
    separable = (
        Chained((LeakySeparableConv(kernel, stride), LeakySeparableConv(kernel))) for kernel in (3, 5)
    )  # with its leaky ReLU after either half
    convolutions = (LeakyConv(3, stride), LeakyConv(1, stride))
    skip = Identity() if stride == 1 else LeakyConv(3, stride)
    dilated = [] if kind == "reduce" else [LeakySeparableConv(kernel, dilation=2) for kernel in (3, 5)]
    return (Zero(), MaxPool(stride=stride), AvgPool(stride=stride), skip, *separable, *convolutions, *dilated)


def _prediction(graph: nx.DiGraph[Any], node: str, outputs: int) -> str:
    """Add a prediction from a node's features; returns its node."""
    graph.add_node(f"{node}/prediction", width=outputs)
    graph.add_edge(node, f"{node}/prediction", op=LeakyConv(kernel=3, slope=1))
    return f"{node}/prediction"
