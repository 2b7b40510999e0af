"""Poolings."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Windowed


@dataclass(frozen=True)
class AvgPool(Windowed):
    """Average pooling; padding is not counted in the average (NAS-Bench-201 and DARTS)."""

    masks_width = True


@dataclass(frozen=True)
class MaxPool(Windowed):
    """Maximum pooling; an even kernel needs a stride of 2 or more to fit."""

    masks_width = True
