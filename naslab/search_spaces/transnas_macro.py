"""TransNAS-Bench-101's macro-level space: how many modules a network has, and where it shrinks and widens.

Duan et al. 2021 (section 3.2) and the public code. Four to six modules of two residual blocks, each of one of four
kinds: 1 keeps the shape, 2 doubles the channels, 3 halves height and width, 4 does both. One to four modules halve, and
one to three double: 3,256 networks.

Widths follow from all modules before (:class:`~naslab.space.Derived`), so single networks, costs and searches work,
and supernets are refused in a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidArchitecture
from naslab.files import clipped
from naslab.ops import Conv, Identity, PooledLinear, Residual, Zero
from naslab.ops import Sequence as Chained
from naslab.search_spaces.transnas import DOUBLED, STRIDES, stem
from naslab.space import Architecture, Choice, Derived, SearchSpace, at_least, at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODULES = (4, 5, 6)
KINDS = ("1", "2", "3", "4")
"""Of a module: as it is, twice the channels, half the height and width, both."""
_NAMES = tuple(f"module{number}" for number in range(1, max(MODULES) + 1))


def transnas_macro(
    num_classes: int = 75, input_shape: Sequence[int] = (3, 224, 224), channels: int = 64
) -> TransNASMacro:
    """TransNAS-Bench-101's macro-level search space, 3,256 architectures.

    Args:
        num_classes: 75 (object classification) or 47 (scene classification).
        input_shape: Channels, height and width.
        channels: Of the stem, an even number.

    Raises:
        InvalidValue: Channels that can't be halved.
    """
    graph, last = stem(input_shape, channels), "stem"
    for number, name in enumerate(_NAMES, start=1):
        width = Derived(Width(channels, tuple(_there(i, _kind(i, DOUBLED), 0) for i in range(1, number + 1))))
        inside, middle = f"{name}/inside", f"{name}/block1"
        graph.add_nodes_from((inside, middle, name), width=width)
        strided = (Conv(kernel=3, stride=stride) for stride in STRIDES)
        graph.add_edge(last, inside, op=_there(number, _kind(number, strided), Zero()))
        graph.add_edge(inside, middle, op=_there(number, Conv(kernel=3), Zero()))
        shortcuts = (Identity(), *(Conv(kernel=1, stride=stride, order="conv-bn") for stride in STRIDES[1:]))
        graph.add_edge(last, middle, op=_there(number, _kind(number, shortcuts), Identity()))
        block = Residual(Chained((Conv(kernel=3), Conv(kernel=3))))
        graph.add_edge(middle, name, op=_there(number, block, Identity()))
        last = name
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=PooledLinear())
    return TransNASMacro(graph, channels)


@dataclass(frozen=True)
class Width:
    """The channels behind some modules.

    Args:
        channels: Of the stem.
        doubled: For each of the modules 1 if it doubles the channels, else 0.
    """

    channels: int
    doubled: tuple[Any, ...]

    def __call__(self, taken: object) -> int:
        return int(self.channels * 2 ** sum(self.doubled))


class TransNASMacro(SearchSpace):
    """Skeletons of TransNAS-Bench-101, written as in its API: ``64-1234-basic``, a digit per module.

    Args:
        graph: The whole network.
        channels: Of the stem.
    """

    def __init__(self, graph: nx.DiGraph[Any], channels: int) -> None:
        self.channels = channels
        halving, doubling = (2, 3), (1, 3)  # option indices
        rules = [
            at_least(1, _NAMES, halving),
            at_most(4, _NAMES, halving),
            at_least(1, _NAMES, doubling),
            at_most(3, _NAMES, doubling),
        ]
        super().__init__(graph, name="transnas-macro", order=["modules", *_NAMES], rules=rules)

    def to_string(self, architecture: Architecture) -> str:
        modules, *kinds = self.architecture(architecture)
        return f"{self.channels}-{''.join(KINDS[kind] for kind in kinds[: MODULES[modules]])}-basic"

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`.

        Raises:
            InvalidArchitecture: The string is in another notation, or a network outside this space.
        """
        start, _, rest = string.strip().partition("-")
        digits, _, end = rest.partition("-")
        if start != str(self.channels) or end != "basic" or len(digits) not in MODULES or set(digits) - set(KINDS):
            raise InvalidArchitecture(
                f"{clipped(string)} is not {self.channels}, four to six digits of 1 to 4, and basic, such as "
                f"'{self.channels}-1234-basic'"
            )
        for kinds, what, most in (("34", "halve the image", 4), ("24", "double the channels", 3)):
            if not 1 <= (count := sum(digits.count(kind) for kind in kinds)) <= most:
                raise InvalidArchitecture(f"{string.strip()!r}: {count} modules {what}; allowed: 1 to {most}")
        padded = digits.ljust(max(MODULES), KINDS[0])
        return (MODULES.index(len(digits)), *map(KINDS.index, padded))

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of the network: tensors with their channels and height, the kinds of the modules between them.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

        shapes, written = self.shapes(architecture)[0], self.to_string(architecture)
        graph: nx.DiGraph[Any] = nx.DiGraph()
        before = _labelled("stem", shapes["stem"])
        for name, kind in zip(_NAMES, written.split("-")[1], strict=False):
            after = _labelled(name, shapes[name])
            graph.add_edge(before, after, label=kind)
            before = after
        return draw_cell(graph, ax, title=f"{written}: {self.cost(architecture).macs / 1e6:,.1f} M MACs")


def _labelled(name: str, shape: tuple[Any, ...]) -> str:
    return f"{name}\n{shape[0]} x {shape[1]}"


def _kind(number: int, options: Iterable[Any]) -> Choice:
    """What the kind of a module decides."""
    return Choice(_NAMES[number - 1], tuple(options), KINDS)


def _there(number: int, module: Any, without: Any) -> Any:
    """A part of a module, or what is in its place where the network has fewer modules."""
    if number <= min(MODULES):
        return module
    return Choice("modules", tuple(module if number <= most else without for most in MODULES), MODULES)
