"""Spaces of twenty choices: the best architecture, and the share of architectures above any quality, are known."""

from __future__ import annotations

from functools import cache

import numpy as np

from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.feasibility import Floats
from naslab.registry import search_space
from naslab.space import Architecture, SearchSpace
from naslab.tasks import Problem, Task

CHOICES, OPTIONS = 20, 7
GRID = 1000
"""Qualities are multiples of 1/GRID standard deviations, so that they can be counted exactly."""


class Landscape:
    """Qualities of all 7^20 architectures: each sums a term per option and one per pair of neighbouring options.

    Both kinds of terms are normal numbers; pairs are centred in both directions, so that they are pure interaction and
    ``pairs`` is their share of the variance. Over all architectures the mean is 0 and the standard deviation 1, but for
    the rounding to the grid.

    Args:
        pairs: Share of the variance that pairs of choices have, from 0 to 1.
        rng: For the terms.

    Attributes:
        single: ``(20, 7)``, integers: multiples of 1/GRID.
        double: ``(19, 7, 7)``, of choices i and i + 1, likewise.
    """

    def __init__(self, pairs: float, rng: np.random.Generator) -> None:
        single = rng.standard_normal((CHOICES, OPTIONS))
        single -= single.mean(axis=1, keepdims=True)
        double = rng.standard_normal((CHOICES - 1, OPTIONS, OPTIONS))
        double -= double.mean(axis=1, keepdims=True)
        double -= double.mean(axis=2, keepdims=True)
        single *= np.sqrt((1 - pairs) / (single**2).mean(axis=1).sum())
        double *= np.sqrt(pairs / (double**2).mean(axis=(1, 2)).sum())
        self.single = np.rint(GRID * single).astype(np.int64)
        self.double = np.rint(GRID * double).astype(np.int64)
        self._at = np.arange(CHOICES)
        self._lowest, self._density = self._distribution()
        self._above = self._density[::-1].cumsum()[::-1]

    def quality(self, architecture: Architecture) -> int:
        """In units of 1/GRID standard deviations."""
        a = np.asarray(architecture)
        return int(self.single[self._at, a].sum() + self.double[self._at[1:] - 1, a[:-1], a[1:]].sum())

    def threshold(self, share: float) -> int:
        """The lowest quality that at most this share of all architectures reaches; the optimum's where that is less
        than one architecture."""
        reached = np.flatnonzero((self._above <= share) & (self._density > 0))
        return self._lowest + int(reached[0] if len(reached) else np.flatnonzero(self._density)[-1])

    def share(self, quality: int) -> float:
        """The share of all architectures that are at least this good."""
        place = max(quality - self._lowest, 0)
        return float(self._above[place]) if place < len(self._above) else 0.0

    def _distribution(self) -> tuple[int, Floats]:
        """A quality that none is below, and the share of architectures of each quality from there on.

        One choice after the other: ``shares[k]`` are the shares of what is decided whose last decided option is k, by
        quality; all of them together sum to one.
        """
        low = int(self.single.min(axis=1).sum() + self.double.min(axis=(1, 2)).sum())
        high = int(self.single.max(axis=1).sum() + self.double.max(axis=(1, 2)).sum())
        shares = np.zeros((OPTIONS, high - low + 1))
        for option, value in enumerate(self.single[0].tolist()):
            shares[option, value - low] = 1 / OPTIONS
        for choice in range(1, CHOICES):
            decided = shares
            shares = np.zeros_like(decided)
            for before, option in np.ndindex(OPTIONS, OPTIONS):
                gained = int(self.single[choice, option] + self.double[choice - 1, before, option])
                # np.roll wraps around, but only zeros: no sum of terms goes beyond the ends.
                shares[option] += np.roll(decided[before], gained) / OPTIONS
        density: Floats = shares.sum(axis=0)
        return low, density


class Told(Evaluator):
    """The quality in standard deviations, with normal noise.

    Args:
        landscape: Where it is looked up.
        noise: Standard deviation of the noise.
    """

    def __init__(self, landscape: Landscape, noise: float) -> None:
        self.landscape, self.noise = landscape, noise

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        quality = self.landscape.quality(architecture) / GRID
        return Evaluation(quality + (self.noise * rng.standard_normal() if self.noise else 0.0), 1.0)


@cache
def landscape_space() -> SearchSpace:
    """Twenty choices of seven: perceptrons of twenty layers, which nobody trains."""
    return search_space("mlp", in_features=1, out_features=1, widths=((1, 2, 3, 4, 5, 6, 7),) * CHOICES)


def landscape_task(landscape: Landscape, noise: float = 0.0) -> Task:
    """A task without a limit: told qualities are noisy, true ones are not."""
    space = landscape_space()
    return Task("landscape", Problem(space), lambda: Told(landscape, noise), Told(landscape, 0.0))
