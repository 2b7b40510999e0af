"""Dropout."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.errors import InvalidSpace
from naslab.ops.base import Operation, Value
from naslab.ops.slices import Slices


@dataclass(frozen=True)
class Dropout(Operation):
    """Numbers set to zero at random while training, the others scaled by ``1 / (1 - rate)`` (Srivastava et al. 2014).

    What is dropped is drawn from a seed that the module gets with its initial values, and from how often it has been
    called. Both are buffers: networks that are copied, saved or resumed go on with the same draws, and no global
    generator is touched.

    Args:
        rate: The probability with which a number is dropped, at least 0 and below 1.
    """

    masks_width = True
    rate: Value = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.rate, int | float) and not 0 <= self.rate < 1:
            raise InvalidSpace(f"{self!r}: rate {self.rate}; allowed: at least 0 and below 1")

    def slices(self, shape: tuple[int, ...], out: tuple[int, ...]) -> Slices:
        return {"seed": (), "calls": ()}
