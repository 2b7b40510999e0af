"""How well scores order architectures, against a truth and against each other. Frames in, frames out.

Higher is better in all scores, correlations are signed, and the order of rows decides nothing: where equal scores must
be put in an order, that order is drawn at random. A score that is not finite counts as worse than any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from naslab.analysis.data import FloatArray
from naslab.analysis.pairs import Codes, taus
from naslab.analysis.statistics import LEVEL
from naslab.errors import InvalidValue

SHARES = (0.01, 0.05, 0.1)
TOP = 0.1
_SPEARMAN, _KENDALL, _WEIGHTED, _TOP_TAU = "Spearman", "Kendall tau-b", "weighted tau", f"tau in top {TOP:.0%}"
_PRECISION, _BEST = [f"precision at {k:.0%}" for k in SHARES], [f"best rank at {k:.0%}" for k in SHARES]
_REGRET, _NDCG = "regret", f"nDCG at {TOP:.0%}"
STATISTICS = (_SPEARMAN, _KENDALL, _WEIGHTED, _TOP_TAU, *_PRECISION, *_BEST, _REGRET, _NDCG)
"""What :func:`agreement` computes.

- Spearman's rank correlation, Kendall's tau-b, and the weighted tau of Vigna 2015 (hyperbolic weights, the mean of
  ranking by score and by truth): over all architectures, corrected for ties;
- tau in top: tau-b among the best tenth by truth;
- precision at k: the share of the best k by score that are among the best k by truth;
- best rank at k: the best true rank among the best k by score, over the number of architectures: small is good
  (NAS-Bench-Suite-Zero; Krishnakumar et al. 2022);
- regret: the best truth minus the truth of the architecture with the best score, in the truth's unit: small is good;
- nDCG at k (Jarvelin & Kekalainen 2002): gains ``2^r - 1`` with r from 0 (worst) to 10 (best) by true rank, discount
  ``1 / log2(1 + place)``, over that of the perfect order. By rank, not by the truth itself, so that it means the same
  whatever the truth's unit; a random order has about 0.2.
"""
RESAMPLES = ((4_000, 500), (100_000, 200), (np.inf, 50))
"""Of the bootstrap, up to so many architectures: where there are more, intervals are narrow and resamples slow."""
_TIE_BREAKS = 20
_LARGEST_GAIN = 10.0


def resamples_of(n: int) -> int:
    """How many resamples an interval over ``n`` architectures is drawn from."""
    return next(count for most, count in RESAMPLES if n <= most)


def agreement(
    scores: pd.DataFrame, truth: FloatArray, rng: np.random.Generator, *, resamples: int | None = None
) -> pd.DataFrame:
    """Every evaluator against the truth: one row for each evaluator and each of :data:`STATISTICS`.

    Where places among equals matter, a value is the mean over 20 random orders of them. The interval is a percentile
    bootstrap over architectures (95 %), the same resamples for all evaluators; each resample breaks ties in its own
    way. An interval of "regret" and of "best rank" is rough: both depend on few architectures.

    Args:
        scores: ``(n, evaluators)``, higher is better; what is not finite is the worst.
        truth: ``(n,)``, finite, higher is better.
        rng: For resamples and ties.
        resamples: How many; by default as :data:`RESAMPLES` says.

    Returns:
        Columns evaluator, statistic, value, low, high; NaN where a statistic is undefined (fewer than two
        architectures, a constant side).

    Raises:
        InvalidValue: Lengths differ, or a truth is not finite.
    """
    truth = np.asarray(truth, dtype=float)
    if truth.ndim != 1 or len(truth) != len(scores):
        raise InvalidValue(f"{len(scores)} rows of scores and truths of shape {truth.shape}. Needed: one truth per row")
    if not np.isfinite(truth).all():
        raise InvalidValue(f"{int((~np.isfinite(truth)).sum())} truths are not finite. Fix: leave these rows out")
    n = len(truth)
    names = [str(name) for name in scores.columns]
    codes = np.array([dense(scores[name].to_numpy(float)) for name in scores.columns], np.int64).reshape(len(names), n)
    true = dense(truth)
    tied = any(row.max(initial=-1) + 1 < n for row in (true, *codes))
    placed = _mean([_by_place(codes, true, truth, rng) for _ in range(_TIE_BREAKS if tied else 1)])
    values = np.hstack([_by_rank(codes, true), placed])
    count = resamples_of(n) if resamples is None else resamples
    if n >= 3 and count:
        drawn = []
        for rows in _resamples(n, count, rng):
            sample = codes[:, rows], true[rows]
            drawn.append(np.hstack([_by_rank(*sample), _by_place(*sample, truth[rows], rng)]))
        low, high = _quantiles(np.array(drawn))
    else:
        low, high = np.full((2, len(names), len(STATISTICS)), np.nan)
    return pd.DataFrame(
        [
            (name, statistic, values[i, j], low[i, j], high[i, j])
            for i, name in enumerate(names)
            for j, statistic in enumerate(STATISTICS)
        ],
        columns=["evaluator", "statistic", "value", "low", "high"],
    )


def tau_at_top(scores: FloatArray, truth: FloatArray, shares: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Kendall's tau-b among the best architectures by truth, for each share of them that is looked at.

    Args:
        scores: ``(n,)``, higher is better; what is not finite is the worst.
        truth: ``(n,)``, finite, higher is better.
        shares: Such as 0.1 for the best tenth; at least two architectures are looked at.
        rng: Draws which of equal truths are among the best.
    """
    code, true = dense(np.asarray(scores, float)), dense(np.asarray(truth, float))
    best_first = _order(true, rng)
    tops = [best_first[: max(2, round(share * len(true)))] for share in shares]
    return [taus(code[top], true[top])[0] for top in tops]


def counts(scores: pd.DataFrame) -> pd.DataFrame:
    """One row for each evaluator: architectures, scores that are not finite, and the share of pairs with equal scores.

    Those that are not finite are equal to each other.
    """
    rows = []
    for name in scores.columns:
        values = scores[name].to_numpy(float)
        sizes = np.bincount(dense(values)).astype(float)
        pairs = len(values) * (len(values) - 1) / 2
        tied = (sizes * (sizes - 1) / 2).sum() / pairs if pairs else np.nan
        rows.append((str(name), len(values), int((~np.isfinite(values)).sum()), tied))
    return pd.DataFrame(rows, columns=["evaluator", "architectures", "not finite", "tied pairs"])


def matrix(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's correlation of every column with every other; NaN for a constant one."""
    ranks = np.array([_ranks(dense(scores[name].to_numpy(float))) for name in scores.columns])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.atleast_2d(np.corrcoef(ranks)) if len(scores) > 1 else np.full((len(ranks),) * 2, np.nan)
    return pd.DataFrame(found, index=scores.columns, columns=scores.columns)


def bias(scores: pd.DataFrame, cost: FloatArray, rng: np.random.Generator) -> pd.DataFrame:
    """Spearman's correlation of every column with a cost, with its bootstrap interval: one row for each column.

    Args:
        scores: ``(n, evaluators)``.
        cost: ``(n,)``, such as numbers of parameters.
        rng: For the resamples.

    Returns:
        Columns evaluator, Spearman, Spearman low, Spearman high.
    """
    codes = np.array([dense(scores[name].to_numpy(float)) for name in scores.columns])
    costs, n = dense(np.asarray(cost, dtype=float)), len(scores)

    def correlations(rows: Codes) -> list[float]:
        ranks = _ranks(costs[rows])
        return [_pearson(_ranks(code[rows]), ranks) for code in codes]

    values = correlations(np.arange(n))
    low, high = _quantiles(np.array([correlations(rows) for rows in _resamples(n, resamples_of(n), rng)]))
    names = [str(name) for name in scores.columns]
    return pd.DataFrame({"evaluator": names, "Spearman": values, "Spearman low": low, "Spearman high": high})


def difference(
    scores: pd.DataFrame, truth: FloatArray, first: str, second: str, rng: np.random.Generator
) -> tuple[float, float, float]:
    """How much better the first column's Spearman correlation with a truth is than the second's, with its interval.

    The bootstrap resamples architectures, so that what both have in common cancels.
    """
    columns = [dense(scores[name].to_numpy(float)) for name in (first, second)]
    true = dense(np.asarray(truth, dtype=float))

    def gained(rows: Codes) -> float:
        ranks = _ranks(true[rows])
        a, b = (_pearson(_ranks(codes[rows]), ranks) for codes in columns)
        return a - b

    drawn = np.array([gained(rows) for rows in _resamples(len(true), resamples_of(len(true)), rng)])
    if not np.isfinite(drawn).any():
        return gained(np.arange(len(true))), np.nan, np.nan
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return gained(np.arange(len(true))), float(low), float(high)


def ceiling(trainings: FloatArray, rng: np.random.Generator, *, resamples: int | None = None) -> pd.DataFrame:
    """The best agreement that the noise of trainings allows, where a truth is a mean over several of them.

    "another training" is one recorded training, drawn for each architecture, judged by the mean of the others, by all
    of :data:`STATISTICS`. "any predictor" is the correlation that a predictor of the expected truth would have with the
    mean of all trainings: with r, Spearman's rank correlation of two trainings, the reliability of a mean of S is
    ``S r / (1 + (S - 1) r)`` (Spearman-Brown), and the ceiling is its square root. This treats ranks as measurements
    with independent errors; the interval follows from that of r.

    Args:
        trainings: ``(n, S)``, NaN where not recorded, higher is better. Architectures with fewer than two are left out.
        rng: For the draw, resamples and ties.
        resamples: As for :func:`agreement`.

    Returns:
        As :func:`agreement`, and the number of architectures; empty where fewer than three have two trainings.
    """
    trainings = np.asarray(trainings, dtype=float)
    trainings = trainings[np.isfinite(trainings).sum(axis=1) >= 2]
    if len(trainings) < 3:
        return pd.DataFrame(columns=["evaluator", "statistic", "value", "low", "high", "architectures"])
    recorded = np.isfinite(trainings)
    shuffled = np.where(recorded, rng.random(trainings.shape), np.inf).argsort(axis=1)
    mixed = np.take_along_axis(trainings, shuffled, axis=1)
    others = np.nanmean(mixed[:, 1:], axis=1)
    found = agreement(pd.DataFrame({"another training": mixed[:, 0]}), others, rng, resamples=resamples)
    two = agreement(pd.DataFrame({"r": mixed[:, 0]}), mixed[:, 1], rng, resamples=resamples)
    r = np.clip(two.loc[two["statistic"] == _SPEARMAN, ["value", "low", "high"]].to_numpy(float)[0], 0, 1)
    seeds = recorded.sum(axis=1).mean()
    most = np.sqrt(seeds * r / (1 + (seeds - 1) * r))
    found.loc[len(found)] = ["any predictor", _SPEARMAN, *most]
    return found.assign(architectures=len(trainings))


def dense(values: FloatArray) -> Codes:
    """``(n,)``: 0 for the lowest value, 1 for the next... equal values have equal numbers; not finite is the lowest."""
    worst = np.where(np.isfinite(values), values, -np.inf)
    return np.unique(worst, return_inverse=True)[1].astype(np.int64).reshape(-1)


def _by_rank(codes: Codes, true: Codes) -> FloatArray:
    """``(evaluators, 3)``: the statistics to which the order of equals makes no difference."""
    if len(true) < 2:
        return np.full((len(codes), 3), np.nan)
    true_ranks = _ranks(true)
    return np.array([(_pearson(_ranks(code), true_ranks), *taus(code, true)) for code in codes]).reshape(-1, 3)


def _by_place(codes: Codes, true: Codes, truth: FloatArray, rng: np.random.Generator) -> FloatArray:
    """``(evaluators, statistics)``: the others, equals in a random order."""
    n = len(true)
    if n < 2:
        return np.full((len(codes), len(STATISTICS) - 3), np.nan)
    best_first = _order(true, rng)
    place = np.empty(n, np.int64)
    place[best_first] = np.arange(n)
    ks = [max(1, round(share * n)) for share in SHARES]
    top = best_first[: max(2, round(TOP * n))]
    gains = 2.0 ** (_LARGEST_GAIN * (1 - np.arange(n) / (n - 1))) - 1
    discounts = 1 / np.log2(2 + np.arange(len(top)))
    ideal = float(gains[: len(top)] @ discounts)
    rows = []
    for code in codes:
        found = place[_order(code, rng)]
        row = [
            taus(code[top], true[top])[0],
            *((found[:k] < k).mean() for k in ks),
            *((found[:k].min() + 1) / n for k in ks),
            truth[best_first[0]] - truth[best_first[found[0]]],
            float(gains[found[: len(top)]] @ discounts) / ideal,
        ]
        rows.append(row)
    return np.array(rows).reshape(len(codes), -1)


def _order(codes: Codes, rng: np.random.Generator) -> Codes:
    """Rows from the best to the worst, equal ones in random order."""
    shuffled = rng.permutation(len(codes))
    return np.asarray(shuffled[np.argsort(-codes[shuffled], kind="stable")])


def _ranks(codes: Codes) -> FloatArray:
    """Mean ranks, from 1 for the lowest; linear in the number of codes."""
    sizes = np.bincount(codes)
    ends = sizes.cumsum()
    return np.asarray((ends - (sizes - 1) / 2)[codes])


def _pearson(x: FloatArray, y: FloatArray) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / norm) if norm > 0 else np.nan


def _resamples(n: int, count: int, rng: np.random.Generator) -> Iterator[Codes]:
    return (rng.integers(n, size=n) for _ in range(count))


def _mean(tables: list[FloatArray]) -> FloatArray:
    """The mean over orders of equals; orders that leave a statistic undefined are not counted."""
    stacked = np.array(tables)
    defined = np.isfinite(stacked)
    total = np.where(defined, stacked, 0.0).sum(axis=0)
    return np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), np.nan)


def _quantiles(drawn: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The bounds of intervals; a resample that is constant on one side has no correlation, and is not counted."""
    low, high = np.full((2, *drawn.shape[1:]), np.nan)
    defined = np.isfinite(drawn).any(axis=0)
    if not defined.any():
        return low, high
    bounds = np.nanquantile(drawn[:, defined], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    low[defined], high[defined] = bounds
    return low, high
