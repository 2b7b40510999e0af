"""A measured cost as a sum of small tables, one per choice: a latency table as ProxylessNAS and FBNet use it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.space import Factor


@dataclass(frozen=True, eq=False)
class AdditiveFit:
    """Tables fitted to measurements, and how far they are off.

    Attributes:
        factors: A constant and one table per choice, as :class:`naslab.feasibility.Feasibility` takes them; in the unit
            of the measurements.
        error: Root mean squared error on held-out measurements (10-fold cross-validation), in their unit.
        r2: The explained share of the variance of the held-out measurements.
        maximum: The largest absolute error on the held-out measurements.
    """

    factors: tuple[Factor, ...]
    error: float
    r2: float
    maximum: float

    def values(self, architectures: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The fitted cost of ``(N, choices)`` option indices, ``(N,)``."""
        rows = np.asarray(architectures)
        parts = [factor.table[tuple(rows[:, i] for i in factor.scope)] for factor in self.factors]
        return np.asarray(np.add.reduce([np.broadcast_to(part, len(rows)) for part in parts], axis=0), np.float64)


def fit_additive(
    sizes: tuple[int, ...], architectures: npt.ArrayLike, values: npt.ArrayLike, rng: np.random.Generator
) -> AdditiveFit:
    """Fit a constant and one table per choice by least squares.

    Args:
        sizes: Number of options of each choice.
        architectures: ``(N, choices)`` option indices, at least 10.
        values: ``(N,)`` measurements.
        rng: Draws the folds.

    Raises:
        InvalidValue: Fewer than 10 measurements, or one that is not finite.
    """
    rows, measured = np.asarray(architectures), np.asarray(values, np.float64)
    if len(rows) < 10 or not np.isfinite(measured).all():
        infinite = int((~np.isfinite(measured)).sum())
        raise InvalidValue(f"{len(rows)} measurements, {infinite} of them not finite: give 10 or more, all finite")
    code = np.concatenate([np.ones((len(rows), 1)), *(np.eye(n)[rows[:, i]] for i, n in enumerate(sizes))], axis=1)
    predicted = np.empty(len(rows))
    for fold in np.array_split(rng.permutation(len(rows)), 10):
        kept = np.setdiff1d(np.arange(len(rows)), fold)
        predicted[fold] = code[fold] @ _least_squares(code[kept], measured[kept])
    residual = measured - predicted
    weights = _least_squares(code, measured)
    bounds = np.cumsum([1, *sizes])
    tables = [weights[start:end] for start, end in pairwise(bounds)]
    return AdditiveFit(
        (Factor((), weights[:1].reshape(())), *(Factor((i,), table) for i, table in enumerate(tables))),
        float(np.sqrt((residual**2).mean())),
        float(1 - residual.var() / measured.var()),
        float(np.abs(residual).max()),
    )


def _least_squares(code: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The solution of smallest norm: the data fix tables only up to constants that cancel out."""
    return np.asarray(np.linalg.lstsq(code, values, rcond=None)[0], np.float64)
