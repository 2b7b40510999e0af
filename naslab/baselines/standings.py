"""Who stands where: ranks with intervals, and which strategies can't be told from each other.

Scores are truths turned so that higher is better, -inf for a run that ended without an architecture. Strategies may
have different numbers of runs. On one task the rank is that of the interquartile mean, with the 95 % bootstrap interval
over the runs, and two strategies are *alike* where Mann-Whitney's test, adjusted by Holm over all pairs on the task,
does not tell them apart at 0.05. Over tasks the rank is the mean of the ranks on each, among the strategies that ran on
all of them, and the test is van Elteren's, stratified by task, Holm over all pairs. With fewer than five runs nothing
is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
from scipy import stats

from naslab.analysis.data import GRAIN, FloatArray, without_noise
from naslab.analysis.statistics import (
    FEWEST,
    RESAMPLES,
    holm,
    iqm,
    mann_whitney_holm,
    mean_interval,
    van_elteren,
    widening,
)
from naslab.analysis.tables import ALPHA
from naslab.baselines.library import Standing

Scores = Mapping[str, FloatArray]


def task_standings(scores: Scores, sign: int) -> tuple[Standing, ...]:
    """The strategies on one task, best first.

    Args:
        scores: Of each strategy's runs, ``(n,)``.
        sign: +1 or -1: multiplied by it, a score is the truth.
    """
    scores = _settled(scores)
    tests = mann_whitney_holm(scores)
    p = holm(tests["p"].where(tests[["n a", "n b"]].min(axis=1) >= FEWEST))
    alike = _alike(list(scores), dict(zip(zip(tests["a"], tests["b"], strict=True), p.tolist(), strict=True)))
    ranks, low, high = _ranks([scores])
    found = []
    for place, (name, own) in enumerate(scores.items()):
        failed = int(np.isinf(own).sum())
        mean = mean_interval(own if not failed else np.empty(0))
        found.append(
            Standing(
                name=name, tasks=1, n=len(own), rank=float(ranks[place]),
                rank_low=_known(low[place]), rank_high=_known(high[place]), mean=_known(sign * mean.value),
                half_width=_known(mean.high - mean.value), failed=failed, alike=alike[name],
            )
        )  # fmt: skip
    return _best_first(found)


def overall_standings(by_task: Mapping[str, Scores]) -> tuple[Standing, ...]:
    """The strategies that ran on all tasks, best first; nothing for fewer than two tasks."""
    common = [name for name in next(iter(by_task.values()), {}) if all(name in each for each in by_task.values())]
    if len(by_task) < 2 or not common:
        return ()
    tasks = [_settled({name: each[name] for name in common}) for each in by_task.values()]
    pairs = list(combinations(common, 2))
    p = holm(_over_tasks([t[a] for t in tasks], [t[b] for t in tasks]) for a, b in pairs)
    alike = _alike(common, dict(zip(pairs, p.tolist(), strict=True)))
    ranks, low, high = _ranks(tasks)
    found = [
        Standing(
            name=name, tasks=len(tasks), n=sum(len(t[name]) for t in tasks), rank=float(ranks[place]),
            rank_low=_known(low[place]), rank_high=_known(high[place]), mean=None, half_width=None,
            failed=int(sum(np.isinf(t[name]).sum() for t in tasks)), alike=alike[name],
        )
        for place, name in enumerate(common)
    ]  # fmt: skip
    return _best_first(found)


def _over_tasks(x: list[FloatArray], y: list[FloatArray]) -> float:
    """p of van Elteren's test; NaN with fewer than :data:`FEWEST` runs somewhere."""
    if min(map(len, (*x, *y))) < FEWEST:
        return float("nan")
    return van_elteren(x, y, np.random.default_rng(0))


def _settled(scores: Scores) -> dict[str, FloatArray]:
    """The same, those that differ by float noise made equal."""
    ends = np.cumsum([len(each) for each in scores.values()])[:-1]
    settled = without_noise(np.concatenate(list(scores.values())), grain=GRAIN)
    return dict(zip(scores, np.split(settled, ends), strict=True))


def _ranks(tasks: list[dict[str, FloatArray]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean rank of each strategy over tasks, and the bounds of its interval, each ``(strategies,)``."""
    rng = np.random.default_rng(0)
    means, drawn = [], []
    for scores in tasks:
        values = np.array([float(iqm(own)) for own in scores.values()])
        resampled = [_resampled(own, value, rng) for own, value in zip(scores.values(), values, strict=True)]
        means.append(_ranked(values[None])[0])
        drawn.append(_ranked(np.stack(resampled, axis=1)))
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975], axis=0)
    few = np.array([min(len(scores[name]) for scores in tasks) < FEWEST for name in tasks[0]])
    low[few], high[few] = np.nan, np.nan
    return np.mean(means, axis=0), low, high


def _resampled(scores: FloatArray, value: float, rng: np.random.Generator) -> FloatArray:
    """``(resamples,)``: interquartile means of resampled runs, moved away from the estimate for few runs."""
    drawn = iqm(scores[rng.integers(len(scores), size=(RESAMPLES, len(scores)))], axis=1)
    widened = np.isfinite(value) and len(scores) > 1
    return value + widening([len(scores)]) * (drawn - value) if widened else drawn


def _ranked(values: FloatArray) -> FloatArray:
    """Ranks within rows, 1 = best; rounded, so that equal runs tie whatever the float noise of their sums."""
    finite = np.abs(values[np.isfinite(values)])
    ranks: FloatArray = stats.rankdata(-np.round(values / (finite.max(initial=0.0) or 1.0), 9), axis=1)
    return ranks


def _alike(names: list[str], p: Mapping[tuple[str, str], float]) -> dict[str, tuple[str, ...]]:
    """Of each the others that it can't be told from. A test that was not made tells nothing."""
    untold: Callable[[str, str], bool] = lambda a, b: not p[(a, b) if (a, b) in p else (b, a)] < ALPHA  # noqa: E731
    return {a: tuple(b for b in names if b != a and untold(a, b)) for a in names}


def _best_first(found: list[Standing]) -> tuple[Standing, ...]:
    ordered = sorted(found, key=lambda each: each.rank)
    place = {each.name: i for i, each in enumerate(ordered)}
    return tuple(
        each.model_copy(update={"alike": tuple(sorted(each.alike, key=place.__getitem__))}) for each in ordered
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
