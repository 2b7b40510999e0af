"""Statistics of runs that are paired by seed: which of two methods is better where both began with the same numbers.

Everything here takes scores where higher is better, -inf for a run that failed, and NaN for one that is missing: its
pair is left out. Two arrays hold the runs of one task in the same order of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from naslab.analysis.data import GRAIN, FloatArray, without_noise
from naslab.analysis.intervals import LEVEL, RESAMPLES, Interval, bootstrap_weights, widening

FEWEST_PAIRS = 6
"""Below this number of pairs nothing is tested: of five, all won, p is 0.06."""
MOST_ADDED = 10**8
"""Additions that the exact distribution may take, a tenth of a second; beyond, p is that of the normal one."""


def signed_rank(better: Sequence[FloatArray], than: Sequence[FloatArray]) -> tuple[float, int]:
    """Wilcoxon's two-sided signed-rank test of paired runs, stratified by task.

    Wilcoxon 1945; as van Elteren's test does for the rank sum, ranks (of the sizes of differences) are taken within
    each task, and their sums over the tasks added. Within a pair the runs are exchangeable if the methods do not
    differ; pairs are independent, those of different tasks, too. Pairs without a difference (float noise is none)
    are left out; a failed run loses by more than any other. p is exact, ties included (all ways to give signs to the
    ranks are counted); only for thousands of pairs it is the normal distribution's.

    Returns:
        p, and which way the ranks lean: 1 to the first, -1 to the second, 0 to none. NaN without pairs on some task, 1
        where nothing differs.
    """
    pairs = [_complete(x, y) for x, y in zip(better, than, strict=True)]
    if not pairs or not all(len(x) for x, _ in pairs):
        return float("nan"), 0
    strata = [_signed(x, y) for x, y in pairs]
    ranks = np.concatenate([np.abs(each) for each in strata])
    lean = int(sum(each.sum() for each in strata))  # sum of positive minus sum of negative ranks, twice
    total = int(ranks.sum())
    if not total:
        return 1.0, 0
    if len(ranks) * total > MOST_ADDED:
        return float(2 * stats.norm.sf(abs(lean) / np.sqrt((ranks.astype(float) ** 2).sum()))), int(np.sign(lean))
    chances = np.zeros(total + 1)  # of each sum of positive ranks
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    extreme = np.abs(2 * np.arange(total + 1) - total) >= abs(lean)
    return float(min(1.0, chances[extreme].sum())), int(np.sign(lean))


def signed_rank_tests(samples: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Every pair of methods on one task by :func:`signed_rank`: ``a, b, n a, n b, p, leans``.

    `n a` and `n b` count the runs that are there.
    """
    rows = []
    for a, b in combinations(samples, 2):
        counts = [int((~np.isnan(samples[name])).sum()) for name in (a, b)]
        rows.append((a, b, *counts, *signed_rank([samples[a]], [samples[b]])))
    return pd.DataFrame(rows, columns=["a", "b", "n a", "n b", "p", "leans"])


def paired_improvement(
    better: Sequence[FloatArray],
    than: Sequence[FloatArray],
    rng: np.random.Generator,
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """On which share of seeds one method beats another (ties count one half), averaged over the tasks.

    The interval is the wider of two: the percentile bootstrap of pairs, stratified by task and widened for few
    (:func:`~naslab.analysis.intervals.widening`), and Wilson's score interval (1927) with Student's quantile, whose
    tasks are averaged by recovered variances (Zou & Donner 2008): where one method wins every pair, resampling finds no
    doubt at all.
    """
    pairs = [_complete(x, y) for x, y in zip(better, than, strict=True)]
    if not pairs or not all(len(x) for x, _ in pairs):
        return Interval(np.nan, np.nan, np.nan)
    wins = [(x > y) + 0.5 * (x == y) for x, y in pairs]
    values = np.array([each.mean() for each in wins])
    value = float(values.mean())
    if min(map(len, wins)) < 2:
        return Interval(value, np.nan, np.nan)
    resampled = np.mean([bootstrap_weights(len(each), rng, n_resamples) @ each for each in wins], axis=0)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    wider = widening([len(each) for each in wins], level)
    scores = np.array([_wilson(p, len(each), level) for p, each in zip(values, wins, strict=True)])
    below, above = np.sqrt(((scores - values[:, None]) ** 2).sum(axis=0)) / len(wins)
    down, up = max(wider * (value - low), below), max(wider * (high - value), above)
    return Interval(value, float(max(0.0, value - down)), float(min(1.0, value + up)))


def _complete(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    known = ~(np.isnan(x) | np.isnan(y))
    return x[known], y[known]


def _signed(x: FloatArray, y: FloatArray) -> npt.NDArray[np.int64]:
    """Twice the ranks of the sizes of differences, whole numbers where some share a rank, with their signs."""
    with np.errstate(invalid="ignore"):  # two failed runs do not differ
        differences = np.where(x == y, 0.0, x - y)
    finite = np.concatenate([x, y])
    scale = float(np.abs(finite[np.isfinite(finite)]).max(initial=0.0))
    # Zero is among them, so that what is noise becomes zero.
    sizes = without_noise(np.concatenate([[0.0], np.abs(differences)]), scale, GRAIN)[1:]
    kept = sizes > 0
    return np.asarray(np.sign(differences[kept]) * 2 * stats.rankdata(sizes[kept]), np.int64)


def _wilson(value: float, n: int, level: float) -> tuple[float, float]:
    z = stats.t.ppf((1 + level) / 2, n - 1) ** 2 / n
    middle, half = (value + z / 2) / (1 + z), np.sqrt(z * value * (1 - value) + z**2 / 4) / (1 + z)
    return float(min(value, middle - half)), float(max(value, middle + half))
