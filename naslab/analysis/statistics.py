"""Tests of which method is better, on one task and over several.

Everything here takes scores where higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.data import FloatArray, without_noise
from naslab.analysis.intervals import (
    FEWEST,
    LEVEL,
    RESAMPLES,
    Interval,
    bootstrap_interval,
    bootstrap_intervals,
    bootstrap_weights,
    iqm,
    mean_columns,
    mean_interval,
    probability_of_improvement,
    widening,
)
from naslab.errors import InvalidValue

__all__ = [
    "FEWEST",
    "LEVEL",
    "RESAMPLES",
    "FriedmanNemenyi",
    "Interval",
    "bootstrap_interval",
    "bootstrap_intervals",
    "bootstrap_weights",
    "friedman_nemenyi",
    "holm",
    "iqm",
    "mann_whitney_holm",
    "mean_columns",
    "mean_interval",
    "probability_of_improvement",
    "van_elteren",
    "widening",
    "wilcoxon_over_tasks",
]

PERMUTATIONS = 9999
"""Drawn where there are more than can be enumerated."""
FEW = 8
"""Up to this number of runs p-values of ranks are exact or permuted, not taken from a limiting distribution."""
FEW_TASKS = 5
"""The same for tasks."""


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
    (ties one half). p is NaN where a side has fewer than two runs, and 1 where all values are equal. It is exact for
    few runs: by enumeration where a side has up to eight and none are equal, by permutations where some are.
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
                u, p = _mann_whitney(x, y)
        rows.append((a, b, len(x), len(y), u, p))
    frame = pd.DataFrame(rows, columns=["a", "b", "n a", "n b", "U", "p"])
    frame["p Holm"] = holm(frame["p"])
    return frame


def _mann_whitney(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    tied = np.unique(np.concatenate([x, y])).size < len(x) + len(y)
    test = stats.mannwhitneyu(x, y, alternative="two-sided")
    p = float(test.pvalue)
    if tied and min(len(x), len(y)) <= FEW:
        p = van_elteren([x], [y], np.random.default_rng(0))
    return float(test.statistic), p


def van_elteren(better: Sequence[FloatArray], than: Sequence[FloatArray], rng: np.random.Generator) -> float:
    """p of van Elteren's two-sided test: do runs of one method beat runs of another, over all tasks?

    Van Elteren 1960: Wilcoxon's rank sum within each task, weighted by ``1 / (N + 1)`` for the N runs of both, which
    is most powerful where the methods differ alike on all tasks. Runs are exchanged within tasks only: tasks may be
    as different, and as dependent, as they like; what is tested is other runs on these tasks, not other tasks.

    With few runs on some task p comes from :data:`PERMUTATIONS` random permutations within tasks (so that it is valid,
    if never below 0.0001); else from the normal distribution with the variance corrected for ties.

    Args:
        better: One array of runs per task; -inf is a run that failed.
        than: The other method's runs, in the same order of tasks.
        rng: Draws the permutations.

    Returns:
        p; NaN without tasks or where a method has no runs on one, 1 where nothing differs within any task.

    Raises:
        InvalidValue: Different numbers of tasks.
    """
    if len(better) != len(than):
        raise InvalidValue(f"{len(better)} tasks against {len(than)}. Pass the same tasks for both methods.")
    if not len(better) or any(not len(x) or not len(y) for x, y in zip(better, than, strict=True)):
        return float("nan")
    observed, variance = 0.0, 0.0
    strata: list[tuple[FloatArray, int]] = []
    for x, y in zip(better, than, strict=True):
        m, total = len(x), len(x) + len(y)
        ranks = stats.rankdata(np.concatenate([x, y])) / (total + 1)
        centred = ranks - ranks.mean()
        observed += float(centred[:m].sum())
        variance += m * len(y) * float(centred.var(ddof=1)) / total
        strata.append((centred, m))
    if variance <= 1e-15:
        return 1.0
    if min(min(m, len(ranks) - m) for ranks, m in strata) > FEW:
        return float(2 * stats.norm.sf(abs(observed) / np.sqrt(variance)))
    drawn = np.zeros(PERMUTATIONS)
    for ranks, m in strata:
        drawn += rng.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)[:, :m].sum(axis=1)
    extreme = int((np.abs(drawn) >= abs(observed) - 1e-9).sum())
    return (1 + extreme) / (1 + PERMUTATIONS)


@dataclass(frozen=True, eq=False)
class FriedmanNemenyi:
    """Do several methods differ over several tasks, and which of them?"""

    statistic: float
    """Friedman's chi-squared, corrected for ties."""
    p: float
    """Of `test`."""
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
    test: str = ""
    """Where p comes from: "exact permutations", "random permutations" or "Iman-Davenport's F"."""


def friedman_nemenyi(
    scores: pd.DataFrame, *, alpha: float = 0.05, rng: np.random.Generator | None = None
) -> FriedmanNemenyi:
    """Friedman's test and Nemenyi's post-hoc test (Demsar 2006, sections 3.2.2 and 3.2.3).

    `scores`: one row per task (block), one column per method; higher is better; -inf ranks last. Up to five tasks p
    is that of permutations within tasks: all of them where there are at most 9,999, else so many drawn by `rng`
    (a fixed one by default). From six tasks on it is Iman-Davenport's: F with ``k - 1`` and ``(k - 1) (N - 1)``
    degrees of freedom. Chi-squared is too conservative for either. The critical difference is
    ``q sqrt(k (k + 1) / (6 N))`` with q the studentized range quantile over sqrt(2); for few tasks it is conservative.
    Scores that differ by float noise are equal.
    Errors: InvalidValue for fewer than three methods or tasks, where the test means nothing, and for NaN.
    """
    n, k = scores.shape
    if n < 3 or k < 3:
        raise InvalidValue(f"Friedman's test of {k} methods on {n} tasks. It needs at least 3 of each.")
    if scores.isna().to_numpy().any():
        raise InvalidValue("Friedman's test with a missing score. Leave out tasks that a method didn't run.")
    settled = np.array([without_noise(row) for row in scores.to_numpy(float)])
    ranked = np.asarray(stats.rankdata(-settled, axis=1))
    ranks = pd.Series(ranked.mean(axis=0), index=scores.columns, dtype=float).sort_values(kind="stable")
    statistic, p, test = _friedman(ranked, rng or np.random.default_rng(0))
    error = np.sqrt(k * (k + 1) / (6 * n))
    critical = float(stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * error)
    pairs = pd.DataFrame(combinations(ranks.index, 2), columns=["a", "b"])
    pairs["rank difference"] = ranks[pairs["b"]].to_numpy() - ranks[pairs["a"]].to_numpy()
    pairs["p"] = stats.studentized_range.sf(pairs["rank difference"] / error * np.sqrt(2), k, np.inf)
    return FriedmanNemenyi(statistic, p, ranks, critical, pairs, _groups(ranks, critical), n, alpha, test)


def _friedman(ranked: FloatArray, rng: np.random.Generator) -> tuple[float, float, str]:
    """Chi-squared of ranks within tasks ``(tasks, methods)``, p, and what p comes from."""
    n, k = ranked.shape
    name = "Iman-Davenport's F" if n > FEW_TASKS else "exact permutations"
    if (ranked == ranked[:, :1]).all():
        return 0.0, 1.0, name
    statistic = float(stats.friedmanchisquare(*ranked.T).statistic)
    if n > FEW_TASKS:
        left = n * (k - 1) - statistic
        f = (n - 1) * statistic / left if left > 1e-9 else np.inf
        # Where all tasks agree F is infinite, but of all arrangements one in (k!)^(N - 1) is as extreme.
        return statistic, max(float(stats.f.sf(f, k - 1, (k - 1) * (n - 1))), factorial(k) ** (1.0 - n)), name

    def spread(*methods: FloatArray, axis: int) -> FloatArray:
        return np.asarray(sum(np.sum(method, axis=axis) ** 2 for method in methods))

    if factorial(k) ** n > PERMUTATIONS:
        name = "random permutations"
    found = stats.permutation_test(
        tuple(ranked.T), spread, permutation_type="samples", alternative="greater", vectorized=True,
        n_resamples=PERMUTATIONS, rng=rng,
    )  # fmt: skip
    return statistic, float(found.pvalue), name


def _groups(ranks: pd.Series[float], critical_difference: float) -> list[tuple[str, ...]]:
    names, values = list(ranks.index), ranks.to_numpy()
    ends = np.searchsorted(values, values + critical_difference, side="right")
    return [
        tuple(names[start:end])
        for start, end in enumerate(ends)
        if end - start > 1 and (start == 0 or end > ends[start - 1])
    ]


def wilcoxon_over_tasks(a: FloatArray, b: FloatArray) -> float:
    """p of the two-sided Wilcoxon signed-rank test of two methods' scores per task (Demsar 2006, 3.1.3).

    `a` and `b`: shape ``(tasks,)``, same order. Differences that differ by float noise are equal: 94.4 - 94.3 is not
    94.1 - 94.0 in binary. Exact, by enumeration; where some are equal by enumerating their signs, for up to 13 tasks.
    NaN below 6 tasks, where p can't fall under 0.05 whatever the outcome; 1 where no task differs.
    """
    if len(a) < 6:
        return float("nan")
    differences = np.asarray(a, float) - np.asarray(b, float)
    scale = float(np.abs([a, b]).max())
    # Zero is among them, so that what is noise becomes zero.
    sizes = without_noise(np.concatenate([[0.0], np.abs(differences)]), scale)[1:]
    differences = np.sign(differences) * sizes
    if not differences.any():
        return 1.0
    if np.unique(sizes).size == len(sizes) and sizes.all():
        return float(stats.wilcoxon(differences, method="exact").pvalue)
    signs = stats.PermutationMethod(n_resamples=2**13, rng=np.random.default_rng(0))
    return float(stats.wilcoxon(differences, method=signs if len(sizes) <= 13 else "approx").pvalue)
