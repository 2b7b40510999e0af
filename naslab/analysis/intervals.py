"""From runs to numbers with intervals: interquartile mean, mean, probability of improvement.

Everything here takes scores where higher is better. How often the intervals cover what they estimate is simulated in
``tests/analysis/test_analysis_intervals.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from naslab.analysis.data import FloatArray
from naslab.errors import InvalidValue

RESAMPLES = 2000
MOST_DRAWN = 2**22
"""How many values resamples hold at a time: 32 MiB."""
MOST_KEPT = 2**23
"""How many weights are kept for who draws the same again: 64 MiB, twenty tasks of a hundred runs."""
LEVEL = 0.95
FEWEST = 5
"""Below this number of runs nothing is tested: four runs against four can hardly reach p < 0.05."""


_drawn: dict[tuple[int, int, str], tuple[FloatArray, Any]] = {}


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
    values = np.asarray(values, float)
    n = values.shape[axis]
    if n == 0:
        return np.asarray(np.nan)
    cut = n // 4
    # As scipy.stats.trim_mean, to the last bit, without half a millisecond of its own.
    kept = np.moveaxis(np.partition(values, (cut, n - cut - 1), axis=axis), axis, -1)[..., cut : n - cut]
    return np.asarray(np.mean(kept, axis=-1))


def widening(sizes: Sequence[int], level: float = LEVEL, freedom: float | None = None) -> float:
    """By how much the bounds of a percentile bootstrap interval are moved away from the estimate, for few runs.

    Resampled means vary too little by ``sqrt((n - 1) / n)``, and quantiles of them know nothing of the spread's own
    error: without this the 95 % interval covers 75 % at three runs and 90 % at five. The factor is that of Student's
    interval over the percentile one (Hesterberg 2015, What teachers should know about the bootstrap, section 4.3, who
    widens the quantiles instead): 2.7 at three runs, 1.22 at ten, 1.02 at a hundred.

    Args:
        sizes: Number of runs in each stratum, two or more.
        level: Of the interval.
        freedom: Degrees of freedom of Student's t; by default those of a variance that all strata have in common.
    """
    smallest = min(sizes)
    student = stats.t.ppf((1 + level) / 2, freedom or sum(sizes) - len(sizes)) / stats.norm.ppf((1 + level) / 2)
    return float(np.sqrt(smallest / (smallest - 1)) * student)


def bootstrap_interval(
    strata: Sequence[FloatArray],
    rng: np.random.Generator,
    *,
    statistic: Callable[..., FloatArray] = iqm,
    per_stratum: bool = False,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
    method: Literal["percentile", "BCa"] = "percentile",
) -> Interval:
    """A statistic of runs with its stratified bootstrap interval (Agarwal et al. 2021, section 4.1).

    `strata` holds one array of runs per task, each resampled on its own, so that a resample has as many runs
    of a task as there were. ``statistic(values, axis=)`` is taken over all of them, or where ``per_stratum`` of each
    and averaged: only then does a method that is better on every task have the better average. For one task pass one
    array. The percentile interval is widened for few runs (:func:`widening`). ``BCa`` falls back to ``percentile``
    where it is undefined (no variation between the leave-one-out values).

    The interval is NaN where a stratum has fewer than two runs, and where a bound would be a failed run (-inf).
    """
    if not len(strata) or not sum(map(len, strata)) or (per_stratum and not all(map(len, strata))):
        return Interval(np.nan, np.nan, np.nan)

    def resampled(*samples: FloatArray, axis: int) -> FloatArray:
        if per_stratum:
            return np.asarray(np.mean([statistic(sample, axis=axis) for sample in samples], axis=0))
        return statistic(np.concatenate(samples, axis=axis), axis=axis)

    value = float(resampled(*strata, axis=-1))
    if min(len(stratum) for stratum in strata) < 2 or not np.isfinite(value):
        return Interval(value, np.nan, np.nan)
    if all((stratum == stratum[0]).all() for stratum in strata):
        return Interval(value, value, value)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        low, high = stats.bootstrap(
            tuple(strata),
            resampled,
            n_resamples=n_resamples,
            batch=min(n_resamples, max(1, MOST_DRAWN // sum(map(len, strata)))),
            vectorized=True,
            confidence_level=level,
            method=method,
            rng=rng,
        ).confidence_interval
    if method == "BCa":
        if np.isfinite([low, high]).all():
            return Interval(value, float(low), float(high))
        return bootstrap_interval(
            strata, rng, statistic=statistic, per_stratum=per_stratum, n_resamples=n_resamples, level=level
        )
    if not np.isfinite([low, high]).all():
        return Interval(value, np.nan, np.nan)
    wider = widening([len(stratum) for stratum in strata], level, _freedom(strata, per_stratum))
    return Interval(value, float(value + wider * (low - value)), float(value + wider * (high - value)))


def _freedom(strata: Sequence[FloatArray], per_stratum: bool) -> float:
    """Welch's and Satterthwaite's degrees of freedom: a stratum that varies more counts more."""
    sizes = np.array([len(stratum) for stratum in strata])
    if not all(np.isfinite(stratum).all() for stratum in strata):
        return float(sizes.min() - 1)
    variances = np.array([stratum.var(ddof=1) for stratum in strata])
    shares = variances / sizes if per_stratum else variances * sizes
    shares = shares / shares.max()
    return float(shares.sum() ** 2 / (shares**2 / (sizes - 1)).sum())


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

    With them the bootstrap of a mean, or of a U statistic, is a matrix product. Every pair of a report draws afresh
    from one seed: what a generator in the same state drew a moment ago is given again, and the generator left as it was
    then. The array can't be written to.
    """
    generator = rng.bit_generator
    key = n, n_resamples, repr(generator.state)
    if (known := _drawn.pop(key, None)) is None:
        weights = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples) / n
        weights.flags.writeable = False
        known = weights, generator.state
    else:
        generator.state = known[1]
    _drawn[key] = known  # the last of them is the latest used
    while len(_drawn) > 1 and sum(weights.size for weights, _ in _drawn.values()) > MOST_KEPT:
        del _drawn[next(iter(_drawn))]
    return known[0]


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
    ``n m``). `better` and `than` hold one array of runs per task, in the same order. -inf is allowed (a run that
    failed). NaN where a method has no runs.

    The interval is the wider of two. One is the percentile bootstrap, stratified by task and by method, widened for
    few runs (:func:`widening`). The other is Newcombe's score interval (2006, Statistics in Medicine 25, method 5,
    with Student's quantile), whose tasks are averaged by recovered variances (Zou & Donner 2008): where all runs of
    one method are better, resampling finds no doubt at all, and three against three are no proof.
    """
    if len(better) != len(than):
        raise InvalidValue(f"{len(better)} tasks against {len(than)}. Pass the same tasks for both methods.")
    pairs = list(zip(better, than, strict=True))
    if not pairs or any(not len(x) or not len(y) for x, y in pairs):
        return Interval(np.nan, np.nan, np.nan)
    wins = [(x[:, None] > y) + 0.5 * (x[:, None] == y) for x, y in pairs]
    values = np.array([matrix.mean() for matrix in wins])
    value = float(values.mean())
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
    wider = widening([len(runs) for pair in pairs for runs in pair], level)
    scores = np.array(
        [_score_interval(p, len(matrix), len(matrix.T), level) for p, matrix in zip(values, wins, strict=True)]
    )
    below, above = np.sqrt(((scores - values[:, None]) ** 2).sum(axis=0)) / len(pairs)
    down, up = max(wider * (value - low), below), max(wider * (high - value), above)
    return Interval(value, float(max(0.0, value - down)), float(min(1.0, value + up)))


def _score_interval(value: float, m: int, n: int, level: float) -> tuple[float, float]:
    """Newcombe's interval: the probabilities that lie no further from the observed one than z of their own errors.

    z is Student's, so that three runs that beat three, one chance in ten for equal methods, prove nothing.
    """
    z, half = stats.t.ppf((1 + level) / 2, m + n - 2), (m + n) / 2 - 1
    p = np.linspace(0, 1, 2001)
    variance = p * (1 - p) * (1 + half * ((1 - p) / (2 - p) + p / (1 + p))) / (m * n)
    inside = p[np.abs(p - value) <= z * np.sqrt(variance) + 1e-12]
    return (min(value, inside[0]), max(value, inside[-1])) if len(inside) else (value, value)
