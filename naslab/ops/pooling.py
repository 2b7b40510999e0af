"""Poolings, and up-sampling."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Operation, Shape, Value, Windowed, check_known


@dataclass(frozen=True)
class AvgPool(Windowed):
    """Average pooling; padding is not counted in the average (NAS-Bench-201 and DARTS)."""

    masks_width = True


@dataclass(frozen=True)
class MaxPool(Windowed):
    """Maximum pooling; an even kernel needs a stride of 2 or more to fit."""

    masks_width = True


@dataclass(frozen=True)
class TokenPool(Operation):
    """The mean over all positions: ``(features, length)`` or an image to ``(features,)``."""

    masks_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return shape[:1]


@dataclass(frozen=True)
class Upsample(Operation):
    """Interpolation to ``factor`` times the length, or height and width.

    Args:
        factor: A whole number.
        mode: ``"nearest"``, for sequences and images; ``"bilinear"``, for images (corners not aligned).
    """

    masks_width = True
    factor: Value = 2
    mode: Value = "nearest"

    def __post_init__(self) -> None:
        check_known(self, "mode", ("nearest", "bilinear"))

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (shape[0], *(self.factor * side for side in shape[1:]))
