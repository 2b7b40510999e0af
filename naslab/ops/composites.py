"""Operations made of operations, so that a grammar can be written as options.

Any part may be a choice, and so may a part of a part. Costs are the sums over the parts, with shapes passed along.
*Activation bytes* are the sum over the parts, too, *peak bytes* the largest of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from naslab.errors import InvalidSpace
from naslab.ops.base import Count, Operation, Shape
from naslab.ops.slices import Slices, within


@dataclass(frozen=True)
class Composite(Operation):
    """What a sequence and a residual connection have in common: parts, one after the other."""

    adds_input: ClassVar[bool] = False
    """Whether what arrives is added to what the parts make of it: they keep the shape, and the sum is never zero."""

    @property
    def inside(self) -> tuple[Any, ...]:
        """The parts in order; a part may be a choice until it is resolved."""
        raise NotImplementedError

    @property
    def sets_width(self) -> bool:  # type: ignore[override]
        """Whether a part (or an option of one) sets the width: the last that does gets the destination's."""
        return any(option.sets_width for part in self.inside for option in _options(part))

    @property
    def masks_width(self) -> bool:  # type: ignore[override]
        """Only if every part does, and none but the last makes features: those would not be masked inside."""
        return all(part.masks_width for part in self.inside) and not any(part.sets_width for part in self.inside[:-1])

    def walk(self, shape: Shape, width: int | None) -> Iterator[tuple[Operation, Shape, Shape]]:
        """Each part with the shapes of its input and output; parts before the last that sets the width keep theirs."""
        setters = [i for i, part in enumerate(self.inside) if part.sets_width]
        for i, part in enumerate(self.inside):
            out = part.output_shape(shape, width if setters and i == setters[-1] else None)
            yield part, shape, out
            shape = out

    def between(self, shape: Shape, out: Shape) -> Iterator[tuple[Operation, Shape, Shape]]:
        """:meth:`walk`, given the shapes of input and output."""
        return self.walk(shape, out[0] if self.sets_width else None)

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        for _, _, out in self.walk(shape, width):
            shape = out
        return shape

    def params(self, shape: Shape, out: Shape) -> Count:
        return sum(part.params(arriving, leaving) for part, arriving, leaving in self.between(shape, out))

    def macs(self, shape: Shape, out: Shape) -> Count:
        return sum(part.macs(arriving, leaving) for part, arriving, leaving in self.between(shape, out))

    def slices(self, shape: Shape, out: Shape) -> Slices:
        found: dict[str, Any] = {}
        behind = False
        for i, (part, arriving, leaving) in enumerate(self.between(shape, out)):
            found |= within(str(i), part.slices(arriving, leaving), behind=behind)
            behind = behind or part.sets_width
        return found


@dataclass(frozen=True)
class Sequence(Composite):
    """Operations one after the other.

    The width that the destination states goes to the last part that sets a width; those before it keep theirs.

    Args:
        parts: At least one operation; each may be a choice.
    """

    parts: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise InvalidSpace("Sequence(parts=()): a sequence has at least one part; Identity() does nothing")

    @property
    def inside(self) -> tuple[Any, ...]:
        return self.parts

    @property
    def is_zero(self) -> bool:  # type: ignore[override]
        return any(_is(part, "is_zero") for part in self.parts)

    @property
    def is_identity(self) -> bool:  # type: ignore[override]
        return all(_is(part, "is_identity") for part in self.parts)


@dataclass(frozen=True)
class Residual(Composite):
    """What arrives, plus what an operation makes of it (He et al. 2016); the operation keeps the shape.

    Args:
        body: The operation; it may be a choice.
    """

    adds_input = True
    body: Any

    @property
    def inside(self) -> tuple[Any, ...]:
        return (self.body,)

    @property
    def is_identity(self) -> bool:  # type: ignore[override]
        return _is(self.body, "is_zero")

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        out = super().output_shape(shape, width)
        if len(out) != len(shape) or any(_differs(a, b) for a, b in zip(shape, out, strict=True)):
            raise InvalidSpace(f"{self!r}: its body turns {shape} into {out}; a residual connection keeps the shape")
        return out


def _options(part: Any) -> Iterator[Any]:
    """The operations that a part may be. (A choice is known by its options: this wing knows nothing of choices.)"""
    options = getattr(part, "options", None)
    if options is None:
        yield part
    else:
        for option in options:
            yield from _options(option)


def _is(part: Any, what: str) -> bool:
    """Whether a part is decided and has a property."""
    return bool(getattr(part, what, False))


def _differs(one: Any, other: Any) -> bool:
    unequal = one != other
    return bool(unequal.any()) if hasattr(unequal, "any") else bool(unequal)
