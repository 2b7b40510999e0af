"""The density of published BOHB over option numbers, faults included: see :class:`CodeDensity`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from naslab.space import Architecture

Floats = npt.NDArray[np.float64]


class CodeDensity:
    """The density that statsmodels' ``KDEMultivariate`` gives unordered codes under its normal reference rule.

    Args:
        rows: ``(n, d)`` option numbers.
        least: The smallest bandwidth.
    """

    def __init__(self, rows: Floats, least: float) -> None:
        n, d = rows.shape
        self.rows = rows
        self.bandwidths: Floats = np.clip(1.06 * rows.std(axis=0) * n ** (-1 / (4 + d)), least, None)
        others = np.array([len(np.unique(column)) - 1 for column in rows.T])
        with np.errstate(divide="ignore"):
            self._differs: Floats = self.bandwidths / others  # infinite where only one option occurs

    def __call__(self, architecture: Architecture) -> float:
        with np.errstate(invalid="ignore"):
            kernels = np.where(self.rows == np.array(architecture), 1 - self.bandwidths, self._differs)
            return float(kernels.prod(axis=1).mean())

    def draw(self, rng: np.random.Generator, sizes: tuple[int, ...]) -> Architecture:
        """One of the rows, each option kept with probability ``1 - bandwidth``, else any of the space's."""
        row = self.rows[int(rng.integers(len(self.rows)))]
        kept = rng.random(len(row)) < 1 - self.bandwidths
        other = rng.integers(sizes)
        return tuple(int(value) for value in np.where(kept, row, other))
