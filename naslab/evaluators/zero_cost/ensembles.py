"""Several proxies as one: functions of a pool of scores.

They are no property of an architecture alone: it has another value in another pool, so values of two pools can't be
compared. Higher is better in scores and results; minus infinity is allowed, NaN is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.az_nas import aggregate

VOTERS = ("synflow", "jacob-cov", "snip")
"""Who votes in Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS"."""
_ROWS = 512

Floats: TypeAlias = npt.NDArray[np.float64]


class PairAccuracy(NamedTuple):
    """How often a comparison of two architectures comes out as in truth.

    Attributes:
        share: Share of the pairs with different truths that are ordered right; an undecided pair counts as wrong.
        pairs: Number of such pairs.
        resampled: ``(R,)``: the share in resamples of the architectures, where they were asked for.
    """

    share: float
    pairs: int
    resampled: Floats


def copeland(scores: npt.ArrayLike) -> Floats:
    """Wins minus losses of every architecture against all others, each pair decided by the majority of the proxies.

    This turns the pairwise vote of Abdelfattah et al. 2021 into a ranking (Copeland's rule), which can be correlated.

    Args:
        scores: ``(N, proxies)``. Proxies that call a pair equal abstain; a pair without a majority is a draw.

    Returns:
        ``(N,)``.
    """
    table = _checked(scores)
    wins = np.zeros(len(table))
    for rows, sides in _majorities(table):
        wins[rows] = sides.sum(axis=1)
    return wins


def vote_accuracy(scores: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.ArrayLike = ()) -> PairAccuracy:
    """The pairwise accuracy of the majority vote: the column "vote" of Abdelfattah et al. 2021, table 2.

    That table lists it among Spearman correlations, but it is none; for one, see :func:`copeland`.

    Args:
        scores: ``(N, proxies)``.
        truth: ``(N,)``.
        weights: ``(R, N)``: how often each architecture is in each of R resamples (its pairs with itself are equal).
    """
    table, values = _checked(scores), np.asarray(truth, dtype=np.float64)
    if values.shape != (len(table),) or np.isnan(values).any():
        raise InvalidValue(f"truths of shape {values.shape} for {len(table)} architectures. Needed: a number for each")
    drawn = np.asarray(weights, dtype=np.float64).reshape(-1, len(table))
    all_weights = np.vstack([np.ones(len(table)), drawn])
    right, pairs = np.zeros((2, len(all_weights)))
    for rows, sides in _majorities(table):
        true = np.sign(values[rows, None] - values)
        right += (all_weights[:, rows] * (((sides == true) & (true != 0)) @ all_weights.T).T).sum(axis=1)
        pairs += (all_weights[:, rows] * ((true != 0) @ all_weights.T).T).sum(axis=1)
    with np.errstate(invalid="ignore"):
        shares = right / pairs
    return PairAccuracy(float(shares[0]), round(pairs[0]) // 2, shares[1:])


def borda(scores: npt.ArrayLike) -> Floats:
    """The mean over proxies of an architecture's rank in the pool (Borda's count); ranks ascend from 1, ties share.

    Args:
        scores: ``(N, proxies)``.

    Returns:
        ``(N,)``.
    """
    ranks: Floats = rankdata(_checked(scores), axis=0).mean(axis=1)
    return ranks


def log_rank(scores: npt.ArrayLike) -> Floats:
    """The sum over proxies of the logarithm of rank over pool size: AZ-NAS' aggregate (Lee & Ham 2024).

    A low rank in one proxy can't be made up for by the others; see
    :func:`naslab.evaluators.zero_cost.az_nas.aggregate`.

    Args:
        scores: ``(N, proxies)``.

    Returns:
        ``(N,)``.
    """
    return aggregate(_checked(scores))


def _checked(scores: npt.ArrayLike) -> Floats:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise InvalidValue(f"scores of shape {table.shape}. Needed: (architectures, proxies)")
    if np.isnan(table).any():
        raise InvalidValue(
            f"{int(np.isnan(table).any(axis=1).sum())} architectures have no score (NaN) of some proxy. Fix: leave "
            "them out, or give them the worst score, minus infinity"
        )
    return table


def _majorities(table: Floats) -> Iterator[tuple[slice, npt.NDArray[np.int8]]]:
    """Some rows at a time against all: 1 where most proxies prefer the row, -1 where the other one, 0 for a draw."""
    ranks = rankdata(table, axis=0)  # so that infinities can be compared
    for start in range(0, len(ranks), _ROWS):
        rows = slice(start, start + _ROWS)
        sides = sum(np.sign(ranks[rows, None, k] - ranks[None, :, k]).astype(np.int8) for k in range(ranks.shape[1]))
        yield rows, np.sign(np.asarray(sides, np.int8))
