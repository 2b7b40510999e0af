"""Normalisations alone. Features are normalised at every position: the first axis, whatever the others are."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Count, Operation, Shape
from naslab.ops.slices import Slices, norm_slices


@dataclass(frozen=True)
class BatchNorm(Operation):
    """Each feature over batch and positions (Ioffe & Szegedy 2015); affine and running statistics as the compiler says.

    ``params`` counts the affine pair.
    """

    def params(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return norm_slices("", "input")


@dataclass(frozen=True)
class LayerNorm(Operation):
    """All features of one position, with weight and bias (Ba et al. 2016); epsilon 1e-5."""

    def params(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"weight": ("input",), "bias": ("input",)}


@dataclass(frozen=True)
class RMSNorm(Operation):
    """The features of one position by their root mean square, with a weight (Zhang & Sennrich 2019); epsilon 1e-6."""

    def params(self, shape: Shape, out: Shape) -> Count:
        return shape[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"weight": ("input",)}
