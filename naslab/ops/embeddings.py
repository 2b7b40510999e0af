"""From token numbers, patches and positions to features."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from naslab.errors import InvalidSpace
from naslab.ops.base import Count, Operation, Shape, check_divides
from naslab.ops.slices import Slices


@dataclass(frozen=True)
class Embedding(Operation):
    """A vector per token: ``(1, length)`` to ``(width, length)``.

    The input is token numbers as the one feature of a sequence, of any numeric type. Looking up costs no MACs.

    Args:
        vocabulary: Token numbers are 0 to ``vocabulary - 1``.
    """

    masks_width = True
    sets_width = True
    vocabulary: int = 256

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if len(shape) != 2 or shape[0] != 1:
            raise InvalidSpace(f"{self!r}: an input of shape {shape}; allowed: token numbers, (1, length)")
        return super().output_shape(shape, width)

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.vocabulary * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"weight": ("leading", "leading")}


@dataclass(frozen=True)
class PatchEmbedding(Operation):
    """An affine map of each patch (Dosovitskiy et al. 2021): an image, or a sequence, to one of fewer positions.

    Args:
        size: Of a side of a patch, which divides those of the input.
    """

    masks_width = True
    sets_width = True
    size: int = 2

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if len(shape) not in (2, 3):
            raise InvalidSpace(f"{self!r}: an input of shape {shape}; allowed: an image or a sequence")
        for side in shape[1:]:
            check_divides(self, self.size, side, "a patch of")
        return (*super().output_shape(shape, width)[:1], *(side // self.size for side in shape[1:]))

    def params(self, shape: Shape, out: Shape) -> Count:
        return (shape[0] * self.size ** len(shape[1:]) + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return prod(shape) * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"weight": ("leading", "input", *["leading"] * len(shape[1:])), "bias": ("leading",)}


@dataclass(frozen=True)
class PositionalEmbedding(Operation):
    """A learnt vector per position, added to what stands there (Gehring et al. 2017)."""

    def params(self, shape: Shape, out: Shape) -> Count:
        return prod(shape)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"weight": ("input", *["leading"] * (len(shape) - 1))}
