"""How good a set of points is as a Pareto front. Arrays in, numbers out; every objective is turned: higher is better.

Nothing here needs pandas, so that strategies can rank a population by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Points: TypeAlias = npt.NDArray[np.float64]
"""Shape ``(n, objectives)``."""


def non_dominated(points: Points) -> npt.NDArray[np.bool_]:
    """Which points no other dominates: as good in all objectives and better in one. Equal points stay together.

    Args:
        points: ``(n, k)``. A row with NaN is neither on the front nor in the way of others.
    """
    points = np.asarray(points, float)
    found = np.zeros(len(points), bool)
    left = np.flatnonzero(~np.isnan(points).any(axis=1))
    # In falling order of one objective (then of another, and so on), whatever dominates a point stands before it.
    left = left[np.lexsort(-points[left].T)]
    while left.size:
        best, others = points[left[0]], points[left]
        found[left[np.all(others == best, axis=1)]] = True
        left = left[np.any(others > best, axis=1)]
    return found


def ranks(points: Points) -> npt.NDArray[np.intp]:
    """Non-dominated ranks: 0 for the front, 1 for the front of the rest, and so on (Deb et al. 2002, section III-A).

    Args:
        points: ``(n, k)``, without NaN; -inf is worse than any number.
    """
    points = np.asarray(points, float)
    better: npt.NDArray[np.bool_] = np.all(points[:, None] >= points, axis=2)  # the row dominates the column
    better &= np.any(points[:, None] > points, axis=2)
    found, left, rank = np.zeros(len(points), np.intp), np.ones(len(points), bool), 0
    while left.any():
        front = left & ~better[left].any(axis=0)
        found[front] = rank
        left &= ~front
        rank += 1
    return found


def hypervolume(points: Points, reference: Points) -> float:
    """Volume that the points dominate, down to the reference point (Zitzler & Thiele 1998), exactly.

    Points that are not better than the reference in all objectives count nothing; 0 for no points. In two objectives
    a sum over the sorted front; each further objective slices the volume at every point of the front, so that three
    objectives take milliseconds for 100 points, and five are better left to other code.

    Args:
        points: ``(n, k)``.
        reference: ``(k,)``.
    """
    points, reference = np.asarray(points, float), np.asarray(reference, float)
    points = points[(points > reference).all(axis=1)]
    if points.shape[1] == 1:
        return float((points - reference).max(initial=0.0))
    if points.shape[1] == 2:  # falling in the first objective: what stands so far is as high as the highest so far
        points = points[np.argsort(-points[:, 0], kind="stable")]
        widths = -np.diff(np.concatenate([points[:, 0], reference[:1]]))
        return float(widths @ (np.maximum.accumulate(points[:, 1]) - reference[1]))
    points = np.unique(points[non_dominated(points)], axis=0)
    depths = np.diff(np.concatenate([reference[:1], points[:, 0]]))
    return float(sum(depths[i] * hypervolume(points[i:, 1:], reference[1:]) for i in np.flatnonzero(depths)))


def igd_plus(points: Points, target: Points) -> float:
    """Mean over the target front of how far the nearest point falls short of it (Ishibuchi et al. 2015, IGD+).

    The Euclidean distance counts only objectives in which the point is worse: 0 where all of the target is weakly
    dominated. Infinite for no points, NaN for no target.

    Args:
        points: ``(n, k)``.
        target: ``(m, k)``, such as the exact front.
    """
    if not len(target):
        return float("nan")
    if not len(points):
        return float("inf")
    short = np.maximum(np.asarray(target, float)[:, None] - np.asarray(points, float), 0.0)
    return float(np.sqrt((short**2).sum(axis=2)).min(axis=1).mean())


def epsilon(points: Points, target: Points) -> float:
    """The least that must be added to every objective of the points so that they weakly dominate the target.

    The additive epsilon indicator (Zitzler et al. 2003). Infinite for no points, NaN for no target.

    Args:
        points: ``(n, k)``.
        target: ``(m, k)``.
    """
    if not len(target):
        return float("nan")
    if not len(points):
        return float("inf")
    return float((np.asarray(target, float)[:, None] - np.asarray(points, float)).max(axis=2).min(axis=1).max())


def attainment(fronts: Sequence[Points], share: float) -> Points:
    """The surface that at least this share of some fronts attain, in two objectives (Fonseca & Fleming 1996).

    Args:
        fronts: One of each run, ``(n, 2)``; a run that found nothing has none, and attains nothing.
        share: Of the runs, above 0: 0.5 is the median surface.

    Returns:
        The corners ``(m, 2)``, rising in the first objective, falling in the second: what is left of and below one is
        attained. Empty where too few runs found anything.
    """
    needed = max(1, int(np.ceil(share * len(fronts) - 1e-9)))
    levels = np.unique(np.concatenate([np.asarray(front, float).reshape(-1, 2)[:, 0] for front in fronts]))
    heights = np.full((len(fronts), len(levels)), -np.inf)
    for row, front in zip(heights, fronts, strict=True):
        for first, second in np.asarray(front, float).reshape(-1, 2):  # reached at its own level and all below
            reach = levels <= first
            row[reach] = np.maximum(row[reach], second)
    attained = np.sort(heights, axis=0)[len(fronts) - needed]
    corners: Points = np.column_stack([levels, attained])[np.isfinite(attained)]
    return corners[non_dominated(corners)]
