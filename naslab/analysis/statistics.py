"""From arrays to numbers: interquartile mean, bootstrap intervals, and tests of which method is better.

Everything here takes scores where higher is better.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from naslab.analysis.data import FloatArray
from naslab.errors import InvalidValue

RESAMPLES = 2000
MOST_DRAWN = 2**22
"""How many values resamples hold at a time: 32 MiB."""
LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate and its confidence interval; NaN for what can't be computed."""

    value: float
    low: float
    high: float


def iqm(values: FloatArray, axis: int = -1) -> FloatArray:
    """Interquartile mean: the mean of what is left when the lowest and the highest quarter are cut off.

    As Agarwal et al. 2021 (Deep RL at the edge of the statistical precipice, section 4.3) and rliable:
    ``floor(n / 4)`` values are cut at each end. NaN for no values.
    """
    if np.shape(values)[axis] == 0:
        return np.asarray(np.nan)
    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def bootstrap_interval(
    strata: Sequence[FloatArray],
    rng: np.random.Generator,
    *,
    statistic: Callable[[FloatArray, int], FloatArray] = iqm,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
    method: Literal["percentile", "BCa"] = "percentile",
) -> Interval:
    """A statistic of pooled runs with its stratified bootstrap interval (Agarwal et al. 2021, section 4.1).

    `strata` holds one array of runs per task, each resampled on its own, so that a resample has as many runs
    of a task as there were; `statistic(values, axis)` is taken over all of them. For one task pass one array.
    The interval is NaN where a stratum has fewer than two runs. ``BCa`` falls back to ``percentile`` where it
    is undefined (no variation between the leave-one-out values).
    """
    pooled = np.concatenate(strata) if len(strata) else np.empty(0)
    if not pooled.size:
        return Interval(np.nan, np.nan, np.nan)
    value = float(statistic(pooled, -1))
    if min(len(stratum) for stratum in strata) < 2:
        return Interval(value, np.nan, np.nan)
    if all(np.ptp(stratum) == 0 for stratum in strata):
        return Interval(value, value, value)

    def resampled(*samples: FloatArray, axis: int) -> FloatArray:
        return statistic(np.concatenate(samples, axis=axis), axis)

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        interval = stats.bootstrap(
            tuple(strata),
            resampled,
            n_resamples=n_resamples,
            vectorized=True,
            batch=min(n_resamples, max(1, MOST_DRAWN // pooled.size)),
            confidence_level=level,
            method=method,
            rng=rng,
        ).confidence_interval
    if method == "BCa" and not np.isfinite([interval.low, interval.high]).all():
        return bootstrap_interval(strata, rng, statistic=statistic, n_resamples=n_resamples, level=level)
    return Interval(value, float(interval.low), float(interval.high))


def bootstrap_intervals(
    strata: Sequence[npt.NDArray[np.int64]],
    rng: np.random.Generator,
    statistics: Callable[[npt.NDArray[np.int64]], Sequence[float]],
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Several statistics of the same rows with their stratified percentile intervals, paired: a resample serves all.

    `strata` holds row numbers, each array resampled on its own; `statistics(rows)` gives one number each. Resamples are
    drawn in batches, so that memory does not grow with their number. The intervals are NaN where a stratum has fewer
    than two rows.
    """
    values = statistics(np.concatenate(strata))
    if min(len(stratum) for stratum in strata) < 2:
        return [Interval(value, np.nan, np.nan) for value in values]
    drawn: list[Sequence[float]] = []
    batch = max(1, MOST_DRAWN // sum(map(len, strata)))
    while len(drawn) < n_resamples:
        size = min(batch, n_resamples - len(drawn))
        parts = [stratum[rng.integers(0, len(stratum), (size, len(stratum)))] for stratum in strata]
        drawn += [statistics(rows) for rows in np.concatenate(parts, axis=1)]
    ends = stats.quantile(np.array(drawn, dtype=float).T, np.array([(1 - level) / 2, (1 + level) / 2]), axis=-1)
    return [Interval(value, float(low), float(high)) for value, (low, high) in zip(values, ends, strict=True)]


def mean_interval(values: FloatArray, level: float = LEVEL) -> Interval:
    """The mean with Student's t interval: for few values, whose bootstrap interval is too narrow.

    Values that are not finite are left out; the interval is NaN for fewer than two.
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return Interval(float(known[0]) if len(known) else np.nan, np.nan, np.nan)
    half = stats.t.ppf((1 + level) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known))
    return Interval(float(known.mean()), float(known.mean() - half), float(known.mean() + half))


def mean_columns(values: npt.ArrayLike, name: str) -> dict[str, float]:
    """:func:`mean_interval` as columns ``name``, ``name low`` and ``name high``, which a table shows as one column."""
    found = mean_interval(np.asarray(values, float))
    return {name: found.value, f"{name} low": found.low, f"{name} high": found.high}


def bootstrap_weights(n: int, rng: np.random.Generator, n_resamples: int = RESAMPLES) -> FloatArray:
    """How much each of `n` runs weighs in each resample, shape ``(n_resamples, n)``; rows sum to one.

    With them the bootstrap of a mean, or of a U statistic, is a matrix product.
    """
    return rng.multinomial(n, np.full(n, 1 / n), size=n_resamples) / n


def probability_of_improvement(
    better: Sequence[FloatArray],
    than: Sequence[FloatArray],
    rng: np.random.Generator,
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """How probable it is that a run of one method beats a run of another, averaged over the tasks.

    Agarwal et al. 2021, section 4.3: ``P(X > Y) + P(X = Y) / 2`` per task (the Mann-Whitney statistic over
    ``n m``), with the percentile bootstrap, stratified by task and by method. `better` and `than` hold one
    array of runs per task, in the same order. -inf is allowed (a run that failed). NaN where a method has no
    runs.
    """
    if len(better) != len(than):
        raise InvalidValue(f"{len(better)} tasks against {len(than)}. Pass the same tasks for both methods.")
    pairs = list(zip(better, than, strict=True))
    if not pairs or any(not len(x) or not len(y) for x, y in pairs):
        return Interval(np.nan, np.nan, np.nan)
    wins = [(x[:, None] > y) + 0.5 * (x[:, None] == y) for x, y in pairs]
    value = float(np.mean([matrix.mean() for matrix in wins]))
    if any(len(x) < 2 or len(y) < 2 for x, y in pairs):
        return Interval(value, np.nan, np.nan)
    resampled = np.mean(
        [
            (
                (bootstrap_weights(matrix.shape[0], rng, n_resamples) @ matrix)
                * bootstrap_weights(matrix.shape[1], rng, n_resamples)
            ).sum(axis=1)
            for matrix in wins
        ],
        axis=0,
    )
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def holm(p_values: Iterable[float]) -> FloatArray:
    """p-values adjusted for their number by Holm's step-down procedure (Holm 1979), shape ``(n,)``.

    NaN stands for a test that was not made: it stays NaN and is not counted.
    """
    p = np.asarray(list(p_values), dtype=float)
    adjusted = np.full(p.shape, np.nan)
    order = [i for i in np.argsort(p) if not np.isnan(p[i])]
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted


def mann_whitney_holm(samples: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Every pair of methods on one task, tested by two-sided Mann-Whitney U, adjusted by Holm.

    Returns one row per pair: ``a, b, n a, n b, U, p, p Holm``. `U` counts the pairs of runs in which `a` wins
    (ties one half). p is NaN where a side has fewer than two runs, and 1 where all values are equal.
    Runs are independent (no two share a generator), hence no paired test.
    """
    rows = []
    for a, b in combinations(samples, 2):
        x, y = samples[a], samples[b]
        u, p = np.nan, np.nan
        if min(len(x), len(y)) >= 2:
            if np.unique(np.concatenate([x, y])).size == 1:
                u, p = len(x) * len(y) / 2, 1.0
            else:
                test = stats.mannwhitneyu(x, y, alternative="two-sided")
                u, p = float(test.statistic), float(test.pvalue)
        rows.append((a, b, len(x), len(y), u, p))
    frame = pd.DataFrame(rows, columns=["a", "b", "n a", "n b", "U", "p"])
    frame["p Holm"] = holm(frame["p"])
    return frame


@dataclass(frozen=True, eq=False)
class FriedmanNemenyi:
    """Do several methods differ over several tasks, and which of them?"""

    statistic: float
    """Friedman's chi-squared, corrected for ties, with (methods - 1) degrees of freedom."""
    p: float
    ranks: pd.Series[float]
    """Average rank of each method, 1 = best, best first."""
    critical_difference: float
    """Two methods differ (at `alpha`) where their average ranks are further apart than this."""
    pairs: pd.DataFrame
    """One row per pair, best first: ``a, b, rank difference, p`` (Nemenyi's)."""
    groups: list[tuple[str, ...]]
    """The largest sets of two or more methods that do not differ, best first."""
    tasks: int
    alpha: float


def friedman_nemenyi(scores: pd.DataFrame, *, alpha: float = 0.05) -> FriedmanNemenyi:
    """Friedman's test and Nemenyi's post-hoc test (Demsar 2006, sections 3.2.2 and 3.2.3).

    `scores`: one row per task (block), one column per method; higher is better; -inf ranks last. The critical
    difference is ``q sqrt(k (k + 1) / (6 N))`` with q the studentized range quantile over sqrt(2).
    Errors: InvalidValue for fewer than three methods or tasks, where the test means nothing, and for NaN.
    """
    n, k = scores.shape
    if n < 3 or k < 3:
        raise InvalidValue(f"Friedman's test of {k} methods on {n} tasks. It needs at least 3 of each.")
    if scores.isna().to_numpy().any():
        raise InvalidValue("Friedman's test with a missing score. Leave out tasks that a method didn't run.")
    ranked = np.asarray(stats.rankdata(-scores.to_numpy(float), axis=1))
    ranks = pd.Series(ranked.mean(axis=0), index=scores.columns, dtype=float).sort_values(kind="stable")
    if (ranked == ranked[:, :1]).all():
        statistic, p = 0.0, 1.0
    else:
        test = stats.friedmanchisquare(*ranked.T)
        statistic, p = float(test.statistic), float(test.pvalue)
    error = np.sqrt(k * (k + 1) / (6 * n))
    critical = float(stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * error)
    pairs = pd.DataFrame(combinations(ranks.index, 2), columns=["a", "b"])
    pairs["rank difference"] = ranks[pairs["b"]].to_numpy() - ranks[pairs["a"]].to_numpy()
    pairs["p"] = stats.studentized_range.sf(pairs["rank difference"] / error * np.sqrt(2), k, np.inf)
    return FriedmanNemenyi(statistic, p, ranks, critical, pairs, _groups(ranks, critical), n, alpha)


def _groups(ranks: pd.Series[float], critical_difference: float) -> list[tuple[str, ...]]:
    names, values = list(ranks.index), ranks.to_numpy()
    ends = np.searchsorted(values, values + critical_difference, side="right")
    return [
        tuple(names[start:end])
        for start, end in enumerate(ends)
        if end - start > 1 and (start == 0 or end > ends[start - 1])
    ]


def wilcoxon_over_tasks(a: FloatArray, b: FloatArray) -> float:
    """p of the two-sided Wilcoxon signed-rank test of two methods' means per task (Demsar 2006, 3.1.3).

    `a` and `b`: shape ``(tasks,)``, same order. NaN below 6 tasks, where p can't fall under 0.05 whatever the
    outcome; 1 where no task differs.
    """
    if len(a) < 6:
        return float("nan")
    if np.array_equal(a, b):
        return 1.0
    exact = np.unique(np.abs(a - b)).size == len(a) and bool((a != b).all())
    return float(stats.wilcoxon(a, b, method="exact" if exact else "approx").pvalue)
