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


@dataclass(frozen=True)
class ScaledDropout(Operation):
    """:class:`Dropout` whose rate is a share of a maximum, which many layers may have in common.

    Args:
        most: The maximum, 0 to 1; a rate of 1 drops everything.
        share: The rate is ``share * most``.
        least: Nothing is dropped anywhere where the maximum is not above this.
        everything: Everything is dropped in training, whatever the rate: a published bug, see
            :func:`naslab.search_spaces.tabular.tabular`.
    """

    masks_width = True
    most: Value = 0.5
    share: float = 1.0
    least: float = 0.0
    everything: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.most, int | float) and not 0 <= self.most * self.share <= 1:
            raise InvalidSpace(f"{self!r}: a rate of {self.most * self.share}; allowed: 0 to 1")
        if self.everything and isinstance(self.most, int | float):  # what makes no difference tells no networks apart
            for name, value in (("most", 1.0), ("share", 1.0), ("least", 0.0)):
                object.__setattr__(self, name, value)

    @property
    def rate(self) -> float:
        """The probability with which a number is dropped."""
        if self.everything:
            return 1.0
        return float(self.most * self.share) if self.most > self.least else 0.0

    def slices(self, shape: tuple[int, ...], out: tuple[int, ...]) -> Slices:
        return {"seed": (), "calls": ()}
