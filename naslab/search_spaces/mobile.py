"""What mobile networks have in common: a stem, inverted bottlenecks one after the other, a 1x1 convolution, a classifier.

Widths are multiplied and made divisible by 8 (Sandler et al. 2018); the input's side may be a choice, as in once-for-all
and TinyNAS. Convolutions have no bias. Images of odd size are halved to the larger half, as with TensorFlow's ``SAME``
and PyTorch's symmetric padding alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue, UnknownName
from naslab.files import clipped
from naslab.ops import Conv, HardSwish, Identity, Linear, MBConv, Operation, PooledLinear, ReLU6, make_divisible
from naslab.ops import Sequence as Chained
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACTIVATIONS: dict[str, Operation] = {"relu6": ReLU6(), "hard-swish": HardSwish()}
"""Those of stems and heads beside ``"relu"``."""


def convolution(kernel: int, stride: int, activation: str) -> Operation:
    """Convolution, batch normalisation and one of ``"relu"``, ``"relu6"`` and ``"hard-swish"``.

    Raises:
        InvalidValue: Another activation.
    """
    if activation == "relu":
        return Conv(kernel=kernel, stride=stride, order="conv-bn-relu")
    if activation not in ACTIVATIONS:
        raise InvalidValue(f"activation {UnknownName(activation, ['relu', *ACTIVATIONS])}")
    return Chained((Conv(kernel=kernel, stride=stride, order="conv-bn"), ACTIVATIONS[activation]))


class MobileNetwork:
    """A mobile network under construction: one layer after the other.

    Args:
        input_shape: Channels, height and width.
        resolutions: Sides to choose from, instead of the input's; none by default.
        width: Multiplies all widths.
        activation: Of stem and head.

    Attributes:
        graph: The network so far.
        last: Its last tensor.

    Raises:
        InvalidValue: A multiplier or sides that make no network.
    """

    def __init__(
        self, input_shape: Sequence[int], resolutions: Sequence[int], width: float, activation: str
    ) -> None:
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 100:
            raise InvalidValue(f"width={clipped(width)}: a multiplier of all widths, above 0 and at most 100, such as 0.5")
        sides = list(resolutions)
        if len(set(sides)) < len(sides) or not all(isinstance(side, int) and 0 < side <= 10_000 for side in sides):
            raise InvalidValue(f"resolutions={clipped(sides)}: give different sides in pixels, such as (128, 160, 192)")
        self.width, self.activation = width, activation
        shape: tuple[Any, ...] = tuple(input_shape)
        if sides:
            side = Choice("resolution", tuple(sides), labels=tuple(f"r{each}" for each in sides))
            shape = (shape[0], side, side)
        self.graph: nx.DiGraph[Any] = nx.DiGraph()
        self.graph.add_node("image", shape=shape)
        self.last = "image"

    def scaled(self, width: float) -> int:
        """A width of the network at 1.0, at this multiplier; at 1.0 it is what is stated."""
        if self.width == 1 and width == int(width):
            return int(width)
        return int(make_divisible(width * self.width))

    def widened(self, width: int) -> int:
        """A head's width: that of the network at 1.0, or more where the multiplier is above 1 (Sandler et al. 2018)."""
        return self.scaled(width) if self.width > 1 else width

    def add(self, name: str, op: Any, width: Any = None) -> None:
        """Append a layer: an operation, or a choice of operations, and the width of its output where that is new."""
        self.graph.add_node(name, **({} if width is None else {"width": width}))
        self.graph.add_edge(self.last, name, op=op)
        self.last = name

    def add_beside(self, name: str, op: Any, beside: Any, width: Any) -> None:
        """Append a layer that is the sum of two operations of what arrives."""
        self.graph.add_node(f"{name}/body", width=width)
        self.graph.add_edge(self.last, f"{name}/body", op=op)
        self.graph.add_node(name, inputs=(f"{name}/body", self.last))
        self.graph.add_edge(f"{name}/body", name, op=Identity())
        self.graph.add_edge(self.last, name, op=beside)
        self.last = name

    def stem(self, width: int) -> None:
        """Append the first layer, a 3x3 convolution of stride 2."""
        self.add("stem", convolution(3, 2, self.activation), self.scaled(width))

    def classify(self, num_classes: int, head: int | None, features: int | None = None) -> None:
        """Append the head.

        Args:
            num_classes: Number of classes.
            head: Width of the 1x1 convolution before pooling, as it is; None: there is none.
            features: Width of a layer between pooling and the classifier, with a bias (MobileNetV3); None: there is none.
        """
        if head is not None:
            self.add("head", convolution(1, 1, self.activation), head)
        if features is None:
            self.add("logits", PooledLinear(), num_classes)
            return
        self.add("pooled", PooledLinear(), features)
        self.add("features", ACTIVATIONS[self.activation])
        self.add("logits", Linear(), num_classes)


class MobileSpace(SearchSpace):
    """A space of mobile networks, with their picture."""

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of one network: a box per layer, as in the figures of ProxylessNAS and once-for-all.

        A box is as high as the kernel is large, its colour says what is inside, and the width of its output is below
        it; what is skipped is left out.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.chain_plots import draw_chain  # matplotlib takes half a second

        graph, shapes = self.resolve(architecture), self.shapes(architecture)[0]
        layers = [
            (_kind(op), getattr(op, "kernel", 1), shapes[node])
            for node in graph
            for op in [graph.edges[source, node]["op"] for source in graph.nodes[node]["inputs"]][:1]
            if not op.is_identity and not op.is_zero
        ]
        side = "x".join(str(each) for each in self.input_shape(architecture)[1:])
        return draw_chain(layers, ax, title=f"{self.name}, {side}: {self.cost(architecture).macs / 1e6:,.1f} M MACs")


class LayerSpace(MobileSpace):
    """A space whose only decisions are its layers' operations (and the input's side), written as their names in order,
    ``3x3_MBConv6|Zero|...``.
    """

    def to_string(self, architecture: Architecture) -> str:
        options = zip(self.choices, self.architecture(architecture), strict=True)
        return "|".join(str(choice.labels[option]) for choice, option in options)

    def from_string(self, string: str) -> Architecture:
        parts = string.strip().split("|")
        if len(parts) != len(self.choices):
            example = self.to_string(self.first)
            raise InvalidArchitecture(
                f"{clipped(string)} has {len(parts)} parts; space {self.name!r} has {len(self.choices)} layers: {example}"
            )
        found = []
        for choice, part in zip(self.choices, parts, strict=True):
            names = [str(label) for label in choice.labels]
            if part not in names:
                raise InvalidArchitecture(f"{clipped(string)}: {choice.name} {UnknownName(part, names)}")
            found.append(names.index(part))
        return self.architecture(found)


def _kind(op: Operation) -> str:
    """An operation in a word."""
    if isinstance(op, MBConv):
        groups = f" g{op.groups}" if op.groups != 1 else ""
        return f"MBConv{op.expansion:g}{groups}{' SE' if op.squeeze_excitation else ''}"
    if isinstance(op, Conv | Chained):
        return "Conv"
    return "" if isinstance(op, Identity) else type(op).__name__
