"""Densities over architectures, by kernels: what BOHB draws from and compares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from naslab.space import Architecture, Range, SearchSpace

Floats = npt.NDArray[np.float64]


class Parzen:
    """A mean of product kernels, one around each of some architectures: a density over the normal forms of a space.

    A choice has Aitchison & Aitken's kernel (1976): ``1 - bandwidth`` where the option is the same, else an equal share
    of ``bandwidth`` for each of the other options *of the space*. A range has a normal kernel on its unit scale, cut
    off at both ends; a whole number has the mass of its part of that scale. Where a decision is not active in one of
    the architectures, that one says nothing of it: its kernel is uniform. What is not active where the density is
    asked for is summed out. Over all normal forms the density therefore sums to one.

    Bandwidths follow the normal reference rule, ``1.06 spread n^(-1 / (4 + d))``, as in BOHB, with two differences. The
    spread of a choice is what the standard deviation is for two options, without numbers in it: the root of half the
    probability that two rows differ. Renaming options hence changes nothing, and a bandwidth never exceeds that of the
    uniform kernel, ``(k - 1) / k``. And a uniform row is counted beside those given: that few rows agree does not mean
    that all do, so that no bandwidth is zero, and none needs a smallest value.

    Args:
        space: The space.
        architectures: At least one.

    Attributes:
        bandwidths: One per decision.
    """

    def __init__(self, space: SearchSpace, architectures: Sequence[Architecture]) -> None:
        self.space, self._choices = space, len(space.sizes)
        self._active = self._activity(architectures)
        self._places = np.array([self._unit(a) for a in architectures], float)
        self.bandwidths = np.array([self._bandwidth(i) for i in range(len(space.decisions_in_order))])

    def density(self, architectures: Sequence[Architecture]) -> Floats:
        """``(m,)``: the density at each of some architectures; for each float range, per unit of its scale."""
        asked, active = np.array([self._unit(a) for a in architectures], float), self._activity(architectures)
        kernel = np.ones((len(architectures), len(self._places)))
        for i, decision in enumerate(self.space.decisions_in_order):
            if isinstance(decision, Range):
                values = [a[i] for a in architectures]
                factor, uniform = self._near(i, decision, values, asked[:, i]), self._width(decision, values)
            else:
                size = self.space.sizes[i]
                if size == 1:
                    continue
                same = asked[:, i, None] == self._places[None, :, i]
                factor = np.where(same, 1 - self.bandwidths[i], self.bandwidths[i] / (size - 1))
                uniform = np.full((len(architectures), 1), 1 / size)
            kernel *= np.where(active[:, i, None], np.where(self._active[None, :, i], factor, uniform), 1.0)
        density: Floats = kernel.mean(axis=1)
        return density

    def draw(self, rng: np.random.Generator, widening: float = 1.0) -> Architecture:
        """A draw, in normal form; rules and limits are unknown to it.

        Args:
            rng: The generator.
            widening: By how much the kernels of ranges are wider than in :meth:`density`.
        """
        centre = int(rng.integers(len(self._places)))
        values: list[float] = []
        for i, decision in enumerate(self.space.decisions_in_order):
            active, place, width = self._active[centre, i], self._places[centre, i], self.bandwidths[i]
            if isinstance(decision, Range):
                unit = _cut_normal(place, width * widening, rng.random()) if active else rng.random()
                values.append(decision.from_unit(float(unit)))
                continue
            size = self.space.sizes[i]
            if not active:
                values.append(int(rng.integers(size)))
            elif rng.random() >= width or size == 1:
                values.append(int(place))
            else:  # one of the others
                values.append(int(place + 1 + rng.integers(size - 1)) % size)
        return self.space.normal(tuple(values))

    def _bandwidth(self, decision: int) -> float:
        rows = self._places[self._active[:, decision], decision]
        n, d = len(rows) + 1, self._places.shape[1]
        if decision < self._choices:
            size = self.space.sizes[decision]
            shares = (np.bincount(rows.astype(int), minlength=size) + 1 / size) / n
            variance, most = (1 - (shares**2).sum()) / 2, (size - 1) / size
        else:
            mean = (rows.sum() + 0.5) / n
            variance, most = (((rows - mean) ** 2).sum() + (0.5 - mean) ** 2 + 1 / 12) / n, np.inf
        return float(min(1.06 * np.sqrt(variance) * n ** (-1 / (4 + d)), most))

    def _unit(self, architecture: Architecture) -> list[float]:
        """Options as they are, numbers of ranges on their unit scale."""
        numbers = zip(self.space.ranges, architecture[self._choices :], strict=True)
        return [*architecture[: self._choices], *(each.to_unit(value) for each, value in numbers)]

    def _activity(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.bool_]:
        return np.array([self.space.conditions.active(a) for a in architectures])

    def _near(self, i: int, decision: Range, values: Sequence[float], asked: Floats) -> Floats:
        """``(m, n)``: the cut normal kernels of a range."""
        centres, width = self._places[None, :, i], self.bandwidths[i]
        inside = special.ndtr((1 - centres) / width) - special.ndtr(-centres / width)
        if not decision.integer:
            z = (asked[:, None] - centres) / width
            density: Floats = np.exp(-0.5 * z * z) / (np.sqrt(2 * np.pi) * width * inside)
            return density
        low, high = (np.array(each)[:, None] for each in zip(*(_part(decision, v) for v in values), strict=True))
        mass: Floats = (special.ndtr((high - centres) / width) - special.ndtr((low - centres) / width)) / inside
        return mass

    def _width(self, decision: Range, values: Sequence[float]) -> Floats:
        """``(m, 1)``: the uniform density, or mass, at values of a range."""
        if not decision.integer:
            return np.ones((len(values), 1))
        return np.array([[high - low] for low, high in (_part(decision, v) for v in values)])


def _part(decision: Range, value: float) -> tuple[float, float]:
    """The part of the unit scale that a whole number stands for."""
    return decision.to_unit(value - 0.5), decision.to_unit(value + 0.5)


def _cut_normal(centre: float, width: float, uniform: float) -> float:
    """The quantile of a normal distribution that is cut off at 0 and 1."""
    low, high = special.ndtr(-centre / width), special.ndtr((1 - centre) / width)
    return float(min(max(centre + width * special.ndtri(low + uniform * (high - low)), 0.0), 1.0))
