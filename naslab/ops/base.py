"""What every operation states: how shapes change, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from naslab.errors import InvalidSpace, UnknownName
from naslab.ops.slices import Slices

Shape: TypeAlias = tuple[int, ...]
"""``(features,)``, ``(features, length)`` or ``(channels, height, width)``: features, then positions, no batch."""
Count: TypeAlias = Any
"""A number of parameters or of multiply-accumulates; an array of them where shapes or attributes are arrays."""
Value: TypeAlias = Any
"""A plain value, or a :class:`~naslab.space.Choice` of values until the choice is resolved."""


@dataclass(frozen=True)
class Operation:
    """Something that maps one tensor to another.

    Subclasses override what differs: an operation keeps its input's shape and costs nothing by default.

    A cost model asks for many options at once: shapes and attributes may then be arrays that broadcast against each
    other. Closed forms in ``+ - * // ** < !=`` take them as they are; where one value is needed (``int``, ``max``,
    ``if``, a look-up) the options are split by it and asked again, which gives the same numbers and takes longer.
    """

    is_zero: ClassVar[bool] = False
    """The output is zero for every input: the edge carries nothing."""
    is_identity: ClassVar[bool] = False
    """The output is the input: the edge only renames a tensor."""
    sets_width: ClassVar[bool] = False
    """The number of output features is free, so the width of the destination node sets it."""
    masks_width: ClassVar[bool] = False
    """Setting surplus features to zero before and after the operation gives the same result as removing them. This is
    false if the operation mixes features inside, or if a bias turns zeros into other numbers."""

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        """Shape of the output.

        Args:
            shape: Shape of the input.
            width: The number of features that the destination states, or None where it states none.
        """
        return (width, *shape[1:]) if self.sets_width and width is not None else shape

    def label(self, width: int | None) -> str:
        """The operation in words, with the destination's width (None: not stated) if the operation sets the width."""
        return f"{self!r} to {width}" if self.sets_width and width is not None else repr(self)

    def params(self, shape: Shape, out: Shape) -> Count:
        """Number of trainable parameters, given the shapes of input and output."""
        return 0

    def macs(self, shape: Shape, out: Shape) -> Count:
        """Multiply-accumulates for one example, given the shapes of input and output."""
        return 0

    def slices(self, shape: Shape, out: Shape) -> Slices:
        """How its tensors are cut for a smaller form of it, see :mod:`naslab.ops.slices`.

        Args:
            shape: Shape of the input.
            out: Shape of the output.
        """
        return {}


@dataclass(frozen=True)
class Zero(Operation):
    """No connection."""

    masks_width = True
    is_zero = True


@dataclass(frozen=True)
class Identity(Operation):
    """Skip connection."""

    masks_width = True
    is_identity = True


@dataclass(frozen=True)
class Windowed(Operation):
    """Slides a window over the image, padded so that stride 1 keeps height and width."""

    kernel: Value = 3
    stride: Value = 1

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (*super().output_shape(shape, width)[:1], *(-(-side // self.stride) for side in shape[1:]))


def whole(number: Count) -> Count:
    """The nearest whole number, halves rounded up; of every entry where it is an array."""
    rounded = (number + 0.5) // 1
    return rounded.astype(int) if hasattr(rounded, "astype") else int(rounded)


def check_divides(op: Operation, parts: Count, features: Count, what: str) -> None:
    """Refuse features that can't be cut into equal parts.

    Raises:
        InvalidSpace: Names the operation, and both numbers.
    """
    rest = features % parts
    if rest.any() if hasattr(rest, "any") else rest:
        raise InvalidSpace(f"{op!r}: {what} {parts} does not divide {features} features")


def check_sequence(op: Operation, shape: Shape) -> None:
    """Refuse what is not a sequence.

    Raises:
        InvalidSpace: Names the operation and the shape.
    """
    if len(shape) != 2:
        raise InvalidSpace(f"{op!r}: an input of shape {shape}; allowed: a sequence, (features, length)")


def check_known(op: Operation, attribute: str, allowed: tuple[str, ...]) -> None:
    """Refuse an attribute that is no known name; one that is still a choice is looked at when it is decided.

    Raises:
        InvalidSpace: Names the operation, the attribute and the nearest name.
    """
    value = getattr(op, attribute)
    if isinstance(value, str) and value not in allowed:
        raise InvalidSpace(f"{type(op).__name__}: {attribute} {UnknownName(value, allowed)}")
