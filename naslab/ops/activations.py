"""Activations, alone or after a normalisation: they act on every number by itself, so any shape will do."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Count, Operation, Shape
from naslab.ops.slices import Slices, norm_slices

ACTIVATIONS = ("relu", "relu6", "hard-swish", "gelu", "silu", "tanh")
"""What operations with an activation inside may name."""


@dataclass(frozen=True)
class ReLU(Operation):
    """Rectified linear unit."""

    masks_width = True


@dataclass(frozen=True)
class ReLU6(Operation):
    """``min(max(x, 0), 6)`` (MobileNetV2; Sandler et al. 2018, section 3)."""

    masks_width = True


@dataclass(frozen=True)
class HardSwish(Operation):
    """``x * relu6(x + 3) / 6`` (MobileNetV3; Howard et al. 2019, section 5.2)."""

    masks_width = True


@dataclass(frozen=True)
class GELU(Operation):
    """``x`` times the normal distribution function of ``x`` (Hendrycks & Gimpel 2016), without approximation."""

    masks_width = True


@dataclass(frozen=True)
class SiLU(Operation):
    """``x * sigmoid(x)``, also called swish (Ramachandran et al. 2017)."""

    masks_width = True


@dataclass(frozen=True)
class Tanh(Operation):
    """Hyperbolic tangent."""

    masks_width = True


@dataclass(frozen=True)
class NormReLU(Operation):
    """Batch normalisation and ReLU."""

    def params(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return norm_slices("bn", "input")
