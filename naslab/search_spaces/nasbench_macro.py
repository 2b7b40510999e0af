"""NAS-Bench-Macro: which of three blocks each of eight layers is.

Su et al. 2021, "Prioritized Architecture Sampling with Monto-Carlo Tree Search", and its public code. A stem,
three stages of two, three and three layers, a 1x1 convolution and a classifier. The first layer of a stage halves the
image and doubles the channels; its "identity" is then a strided 1x1 convolution. Parameters and multiply-accumulates of
all networks are those of the public table.

Where the identities of the other layers stand makes no difference, so that 3,969 of the 6,561 networks are different:
that many keys :meth:`~naslab.space.SearchSpace.canonical` gives, and that many networks were trained.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture
from naslab.files import clipped
from naslab.ops import Conv, Identity, MBConv, PooledLinear
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES = (2, 3, 3)
"""The layers of each stage."""
LAYERS = sum(STAGES)
BLOCKS = ("Identity", "MB3_K3", "MB6_K5")
"""The published names: an inverted bottleneck's expansion and kernel."""


def nasbench_macro(
    num_classes: int = 10, input_shape: Sequence[int] = (3, 32, 32), channels: int = 32
) -> NASBenchMacro:
    """NAS-Bench-Macro's search space, 6,561 architectures.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Of the stem; each stage has twice as many as what is before it.
    """
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=channels)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn-relu"))
    last, width = "stem", channels
    for layers in STAGES:
        width *= 2
        for stride in (2, *[1] * (layers - 1)):
            name = f"layer{len(graph) - 1}"
            same = Identity() if stride == 1 else Conv(kernel=1, stride=stride, order="conv-bn")
            blocks = (MBConv(kernel=3, stride=stride, expansion=3), MBConv(kernel=5, stride=stride, expansion=6))
            graph.add_node(name, width=width)
            graph.add_edge(last, name, op=Choice(name, (same, *blocks)))
            last = name
    graph.add_node("features", width=1280)
    graph.add_edge(last, "features", op=Conv(kernel=1, order="conv-bn-relu"))
    graph.add_node("logits", width=num_classes)
    graph.add_edge("features", "logits", op=PooledLinear())
    return NASBenchMacro(graph, name="nasbench-macro")


class NASBenchMacro(SearchSpace):
    """A digit per layer, as in the public table: ``02012100``.

    A digit is a place in :data:`BLOCKS`.
    """

    def to_string(self, architecture: Architecture) -> str:
        return "".join(map(str, self.architecture(architecture)))

    def from_string(self, string: str) -> Architecture:
        if len(string) != LAYERS or set(string) - set("012"):
            raise InvalidArchitecture(
                f"{clipped(string)}: allowed are {LAYERS} digits of 0, 1 and 2, such as '02012100'"
            )
        return tuple(map(int, string))

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of one network: tensors with their channels, the layers between them as arcs.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

        shapes = self.shapes(architecture)[0]
        names = [f"{node}\n{shapes[node][0]}" for node in self.order[1:-2]]
        graph: nx.DiGraph[Any] = nx.DiGraph()
        for (before, after), option in zip(itertools.pairwise(names), architecture, strict=True):
            graph.add_edge(before, after, label=BLOCKS[option])
        return draw_cell(graph, ax, title=f"{self.name}: {self.cost(architecture).macs / 1e6:,.1f} M MACs")
