"""Activations, alone or after a normalisation."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Count, Operation, Shape


@dataclass(frozen=True)
class ReLU(Operation):
    """Rectified linear unit."""

    masks_width = True


@dataclass(frozen=True)
class NormReLU(Operation):
    """Batch normalisation and ReLU."""

    def params(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0]
