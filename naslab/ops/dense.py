"""Linear layers, alone or after pooling: the operations that compute class scores."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Count, Operation, Shape
from naslab.ops.slices import Slices, linear_slices, norm_slices


@dataclass(frozen=True)
class Linear(Operation):
    """Affine map ``(features,) -> (width,)``, with bias."""

    masks_width = True
    sets_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        return (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return linear_slices("", "leading", "input")


@dataclass(frozen=True)
class PooledLinear(Operation):
    """Global average pooling and a linear layer: an image to class scores (DARTS, NAS-Bench-101)."""

    masks_width = True
    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (width if width is not None else shape[0],)

    def params(self, shape: Shape, out: Shape) -> Count:
        return (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return linear_slices("linear", "leading", "input")


@dataclass(frozen=True)
class Classifier(Operation):
    """Batch normalisation, ReLU, global average pooling and a linear layer: an image to class scores."""

    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (width if width is not None else shape[0],)

    def params(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0] + (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**norm_slices("norm", "input"), **linear_slices("linear", "leading", "input")}
