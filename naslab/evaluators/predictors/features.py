"""Further columns for a predictor, such as zero-cost scores, on a common scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]


class FeatureScale:
    """Normal scores of ranks among the training rows: nothing is assumed of a column's scale, and outliers lose weight.

    A value between two training values is interpolated; one beyond them has the score of the nearest. NaN and minus
    infinity (a proxy that failed) count as the smallest value, infinity as the largest.

    Args:
        table: ``(n, k)`` of the training rows.

    Attributes:
        columns: k.
    """

    def __init__(self, table: Floats) -> None:
        self.columns = table.shape[1]
        self._known = [_normal_scores(column) for column in table.T]

    def __call__(self, table: Floats) -> Floats:
        """``(m, k)`` columns as scores."""
        scaled = [_interpolated(column, *known) for column, known in zip(table.T, self._known, strict=True)]
        return np.stack(scaled, axis=1)


def _normal_scores(column: Floats) -> tuple[Floats, Floats]:
    """The distinct finite values, ascending, and the normal score of each one's mean rank (ties are one value)."""
    values, counts = np.unique(column[np.isfinite(column)], return_counts=True)
    ends = np.cumsum(counts)
    middle = ends - (counts - 1) / 2  # mean rank, from 1
    return values, special.ndtri((middle - 0.375) / (ends[-1] + 0.25)) if len(values) else values


def _interpolated(column: Floats, values: Floats, scores: Floats) -> Floats:
    if len(values) < 2:
        return np.zeros(len(column))
    bounded = np.where(np.isnan(column), values[0], np.clip(column, values[0], values[-1]))
    scaled: Floats = np.interp(bounded, values, scores)
    return scaled
