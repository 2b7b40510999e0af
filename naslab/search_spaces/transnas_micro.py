"""TransNAS-Bench-101's cell-level space: a cell of four nodes with one of four operations on each of its six edges.

Duan et al. 2021 (section 3.1) and the public code. Five modules of two cells; the first cell of the first, third and
fifth module halves the image and doubles the channels, by the stride of all edges that leave its input. A skip
connection there is DARTS' factorized reduction.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture
from naslab.files import clipped
from naslab.ops import Conv, FactorizedReduction, Identity, PooledLinear, Zero
from naslab.search_spaces.transnas import DOUBLED, STRIDES, stem
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The cell's edges in the order of the official string."""
OPERATIONS = ("zero", "skip", "conv1x1", "conv3x3")
"""What the digits 0 to 3 of the official string mean."""
SKELETON = "41414"
"""The kinds of the five modules."""


def transnas_micro(
    num_classes: int = 75, input_shape: Sequence[int] = (3, 224, 224), channels: int = 64
) -> TransNASMicro:
    """TransNAS-Bench-101's cell-level search space, 4,096 architectures.

    Args:
        num_classes: 75 (object classification) or 47 (scene classification).
        input_shape: Channels, height and width.
        channels: Of the stem, an even number; modules have two, four and eight times as many.

    Raises:
        InvalidValue: Channels that can't be halved.
    """
    graph, last, width = stem(input_shape, channels), "stem", channels
    for number, digit in enumerate(SKELETON, start=1):
        kind = int(digit) - 1
        width *= 1 + DOUBLED[kind]
        for cell, stride in ((1, STRIDES[kind]), (2, 1)):
            name = f"module{number}/cell{cell}"
            nodes = [last, *(f"{name}/{i}" for i in (1, 2, 3))]
            graph.add_nodes_from(nodes[1:], width=width)
            _connect(graph, nodes, stride, f"{name}/")
            last = nodes[3]
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=PooledLinear())
    return TransNASMicro(graph, channels)


class TransNASMicro(SearchSpace):
    """Cells of TransNAS-Bench-101, written as in its API: ``64-41414-1_02_333``.

    The channels of the stem, the kinds of the modules, and for each node but the first the operations on its edges, a
    digit of :data:`OPERATIONS` each.

    Args:
        graph: The whole network.
        channels: Of the stem.
    """

    def __init__(self, graph: nx.DiGraph[Any], channels: int) -> None:
        cells = []
        for stride in (1, 2):  # an architecture is both: a skip is a convolution in one of them
            cell: nx.DiGraph[Any] = nx.DiGraph()
            cell.add_nodes_from(range(4))
            _connect(cell, range(4), stride)
            cells.append(cell)
        self.prefix = f"{channels}-{SKELETON}-"
        super().__init__(graph, name="transnas-micro", order=[f"{u}->{v}" for u, v in EDGES], cells=cells)

    def to_string(self, architecture: Architecture) -> str:
        digits = "".join(map(str, self.architecture(architecture)))
        return f"{self.prefix}{digits[0]}_{digits[1:3]}_{digits[3:]}"

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`.

        Raises:
            InvalidArchitecture: The string is in another notation, or names another skeleton.
        """
        found = re.fullmatch(f"{self.prefix}([0-3])_([0-3]{{2}})_([0-3]{{3}})", string.strip(), re.ASCII)
        if found is None:
            raise InvalidArchitecture(
                f"{clipped(string)} is not {self.prefix!r} and six digits of 0 to 3, such as '{self.prefix}1_02_333'"
            )
        return tuple(map(int, "".join(found.groups())))

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of the cell: nodes, and the operations between them as arcs; zeros are left out.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(range(4))
        for (u, v), option in zip(EDGES, self.architecture(architecture), strict=True):
            if option:
                graph.add_edge(u, v, label=OPERATIONS[option])
        cost = self.cost(architecture)
        return draw_cell(graph, ax, title=f"{self.to_string(architecture)}: {cost.macs / 1e6:,.1f} M MACs")


def _connect(graph: nx.DiGraph[Any], nodes: Sequence[Any], stride: int, prefix: str = "") -> None:
    """Add a cell's edges between its four nodes; those that leave the first one have the stride."""
    for u, v in EDGES:
        step = stride if u == 0 else 1
        options = (
            Zero(),
            Identity() if step == 1 else FactorizedReduction(),
            Conv(kernel=1, stride=step),
            Conv(kernel=3, stride=step),
        )
        graph.add_edge(nodes[u], nodes[v], op=Choice(f"{u}->{v}", options, OPERATIONS), name=f"{prefix}{u}->{v}")
