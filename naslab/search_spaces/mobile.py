"""What mobile networks have in common: a stem, inverted bottlenecks one after the other, a head, a classifier.

Widths are multiplied and made divisible by 8 (Sandler et al. 2018); the input's side may be a choice, as in
once-for-all and TinyNAS. Convolutions have no bias. Images of odd size are halved to the larger half, as with
TensorFlow's ``SAME`` and PyTorch's symmetric padding alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue, UnknownName
from naslab.files import clipped
from naslab.ops import (
    AvgPool,
    Conv,
    HardSwish,
    Identity,
    Linear,
    MBConv,
    Operation,
    PooledLinear,
    ReLU6,
    SqueezeExcitation,
    make_divisible,
)
from naslab.ops import Sequence as Chained
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from naslab.analysis.chain_plots import Layer

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

    def __init__(self, input_shape: Sequence[int], resolutions: Sequence[int], width: float, activation: str) -> None:
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 100:
            raise InvalidValue(
                f"width={clipped(width)}: a multiplier of all widths, above 0 and at most 100, such as 0.5"
            )
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

    def stages(self, stages: Sequence[tuple[int, int, int]]) -> Iterator[tuple[str, int, int, int]]:
        """The layers of stages of a width (at 1.0), a stride of the first layer and a number of layers.

        Yields:
            The layer's name, its number in the stage from 1, its stride, and its width at this multiplier.
        """
        for number, (width, stride, layers) in enumerate(stages, start=1):
            for layer in range(1, layers + 1):
                yield f"stage{number}/layer{layer}", layer, stride if layer == 1 else 1, self.scaled(width)

    def stem(self, width: int) -> None:
        """Append the first layer, a 3x3 convolution of stride 2."""
        self.add("stem", convolution(3, 2, self.activation), self.scaled(width))

    def classify(self, num_classes: int, head: int | None, features: int | None = None) -> None:
        """Append the head.

        Args:
            num_classes: Number of classes.
            head: Width of the 1x1 convolution before pooling, as it is; None: there is none.
            features: Width of a layer with bias between pooling and the classifier (MobileNetV3); None: there is none.
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

        A box is as high as the kernel is large, its colour is that of the expansion; below it are width and side of its
        output, above it the kernel, squeeze-and-excitation and pooling beside it. What is skipped is left out.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.chain_plots import draw_chain  # matplotlib takes half a second

        graph, shapes = self.resolve(architecture), self.shapes(architecture)[0]
        layers = []
        for _, node, attributes in graph.edges(data=True):
            op = attributes["op"]
            if isinstance(op, MBConv | Conv | Chained | PooledLinear | Linear):
                layers.append(_box(op, shapes[node]))
            elif isinstance(op, AvgPool) and layers:  # beside the layer before
                layers[-1] = replace(layers[-1], words=(*layers[-1].words, "pool"))
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
            raise InvalidArchitecture(
                f"{clipped(string)} has {len(parts)} parts, not {len(self.choices)}; example: {self._example}"
            )
        found = []
        for choice, part in zip(self.choices, parts, strict=True):
            names = [str(label) for label in choice.labels]
            if part not in names:
                raise InvalidArchitecture(f"{clipped(string)}: {choice.name} {UnknownName(part[:80], names)}")
            found.append(names.index(part))
        return self.architecture(found)


def _box(op: Operation, shape: Sequence[int]) -> Layer:
    """How a layer is drawn."""
    from naslab.analysis.chain_plots import Layer

    if isinstance(op, PooledLinear | Linear):
        return Layer("", 1, ("linear",), shape)
    parts = op.inside if isinstance(op, Chained) else (op,)
    kernel = parts[0].kernel
    words = [f"{kernel}x{kernel}"]
    if any(isinstance(part, SqueezeExcitation) for part in parts) or getattr(op, "squeeze_excitation", False):
        words.append("SE")
    if isinstance(op, MBConv):
        return Layer(f"MBConv{op.expansion:g}{f' g{op.groups}' if op.groups != 1 else ''}", kernel, words, shape)
    return Layer("Conv", kernel, words, shape)
