"""How well two scores agree on the order of architectures, with an interval, ties and dropouts counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from naslab.analysis.data import FloatArray
from naslab.analysis.statistics import LEVEL, RESAMPLES
from naslab.errors import InvalidValue


@dataclass(frozen=True)
class Correlation:
    """A rank correlation; NaN where it is undefined (fewer than two pairs, or a constant side)."""

    value: float
    low: float
    high: float
    n: int
    """Pairs used: both scores finite."""
    dropped: int
    """Pairs left out because a score was not finite."""
    ties: int
    """Pairs used whose x, or whose y, occurs more than once."""


def spearman(
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Correlation:
    """Spearman's rank correlation of two scores, shape ``(n,)`` each, with its percentile bootstrap interval.

    Pairs are resampled together; tied values share their mean rank.
    Errors: InvalidValue where the lengths differ.
    """
    return _correlation(x, y, rng, _spearman, n_resamples, level)


def kendall(
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Correlation:
    """Kendall's tau-b of two scores, shape ``(n,)`` each, with its percentile bootstrap interval.

    Pairs are resampled together; tau-b corrects for ties.
    Errors: InvalidValue where the lengths differ.
    """
    return _correlation(x, y, rng, _kendall, n_resamples, level)


def _correlation(
    x: FloatArray,
    y: FloatArray,
    rng: np.random.Generator,
    statistic: Callable[[FloatArray, FloatArray], float],
    n_resamples: int,
    level: float,
) -> Correlation:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise InvalidValue(f"scores of shapes {x.shape} and {y.shape}. Needed: two vectors of one length.")
    kept = np.isfinite(x) & np.isfinite(y)
    dropped = int((~kept).sum())
    # Ranks say all that a rank correlation looks at, and survive arithmetic that huge scores would not.
    x, y = np.asarray(stats.rankdata(x[kept])), np.asarray(stats.rankdata(y[kept]))
    n = len(x)
    ties = int((_repeated(x) | _repeated(y)).sum())
    value = statistic(x, y)
    if n < 3 or np.isnan(value):
        return Correlation(value, np.nan, np.nan, n, dropped, ties)
    drawn = (rng.integers(n, size=n) for _ in range(n_resamples))
    resampled = np.array([statistic(x[rows], y[rows]) for rows in drawn])
    # A resample may be constant on one side; it has no correlation and says nothing about the interval.
    low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Correlation(value, float(low), float(high), n, dropped, ties)


def _repeated(values: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] > 1)


def _defined(x: FloatArray, y: FloatArray) -> bool:
    return len(x) >= 2 and bool(np.ptp(x) > 0 and np.ptp(y) > 0)


def _spearman(x: FloatArray, y: FloatArray) -> float:
    if not _defined(x, y):
        return float("nan")
    return float(np.corrcoef(stats.rankdata(x), stats.rankdata(y))[0, 1])


def _kendall(x: FloatArray, y: FloatArray) -> float:
    if not _defined(x, y):
        return float("nan")
    return float(stats.kendalltau(x, y, method="asymptotic").statistic)
