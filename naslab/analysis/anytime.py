"""How good the incumbent is at each moment of the common clock: curves, and the area over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from naslab.analysis.data import FloatArray, ResultsData, TaskInfo
from naslab.analysis.statistics import LEVEL, RESAMPLES, bootstrap_interval, bootstrap_weights, widening

GRID_POINTS = 200


def reference(data: ResultsData, task: str) -> tuple[float, str]:
    """What regret is counted from: ``(optimum, "optimum")``, or the best truth that any run's incumbent or
    result had and ``"best seen"`` where the optimum is unknown; NaN where no run has any."""
    info = data.task(task)
    if info.optimum is not None:
        return info.optimum, "optimum"
    seen = [frame.loc[frame["task"] == task, "truth"].to_numpy(float) for frame in (data.frame, data.anytime)]
    truths = info.sign * np.concatenate(seen)
    truths = truths[np.isfinite(truths)]
    return (info.sign * float(truths.max()) if truths.size else np.nan), "best seen"


def curves(
    data: ResultsData,
    task: str,
    rng: np.random.Generator,
    *,
    n_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Truth of the incumbents of one task over its clock.

    Returns ``optimizer, clock, n, q25, median, q75, mean, low, high``: `n` runs (missing ones excluded),
    quartiles over all of them, and the mean with its bootstrap interval, widened for few runs. The grid is
    logarithmic, from the first incumbent of any run to the budget. A run without an incumbent counts as worse than
    all in the quartiles, which therefore start once enough runs have one. The mean starts when the last run has one: a
    mean over those that have would be the better the more fail. Its interval needs two runs. NaN where undefined.
    No resamples, no interval.
    """
    info = data.task(task)
    steps = data.steps(task)
    grid = _grid(info, [times for runs in steps.values() for times, _ in runs])
    seed = int(rng.integers(2**32))
    parts = []
    for optimizer, runs in steps.items():
        truths = _at(runs, grid)
        quartiles = np.full((3, len(grid)), np.nan)
        if len(truths):
            worst_first = np.where(np.isnan(truths), -np.inf, info.sign * truths)
            with np.errstate(invalid="ignore"):  # -inf minus -inf: a quartile that lies between failed runs
                quartiles = np.quantile(worst_first, [0.25, 0.5, 0.75][:: info.sign], axis=0) * info.sign
            quartiles[~np.isfinite(quartiles)] = np.nan
        # The same resamples for every optimizer: adding one changes nobody else's interval.
        mean, low, high = _mean(truths, np.random.default_rng(seed), n_resamples, level)
        if info.optimum is not None:  # few runs widen the interval beyond what there is
            low, high = (np.minimum(info.sign * info.optimum, info.sign * bound) * info.sign for bound in (low, high))
        columns = dict(zip(("q25", "median", "q75"), quartiles, strict=True))
        parts.append(
            pd.DataFrame(
                {"optimizer": optimizer, "clock": grid, "n": len(runs), **columns}
                | {"mean": mean, "low": low, "high": high}
            )
        )
    return pd.concat(parts, ignore_index=True)


def area(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Area over the anytime curve: the regret of the incumbent, averaged over the whole budget.

    Returns, per task and optimizer, ``task, optimizer, n, mean regret over time`` with ``low`` and ``high``
    of the 95 % bootstrap interval, and ``regret from`` (see `reference`). In the truth's unit; lower is
    better. The integral is exact (no grid). Until its first incumbent a run is charged the largest regret
    that any incumbent of the task had, so that a late first result, or none, is not an advantage.
    """
    seed = int(rng.integers(2**32))
    rows = []
    for task, info in data.tasks.items():
        best, source = reference(data, task)
        steps = data.steps(task)
        regrets = {o: [info.sign * (best - truths) for _, truths in runs] for o, runs in steps.items()}
        worst = max((float(r.max()) for runs in regrets.values() for r in runs if len(r)), default=np.nan)
        for optimizer, runs in steps.items():
            areas = [
                _average(times, held, worst, info) for (times, _), held in zip(runs, regrets[optimizer], strict=True)
            ]
            value, low, high = bootstrap_interval([np.array(areas)], np.random.default_rng(seed), statistic=np.mean)
            rows.append((task, optimizer, len(runs), value, max(low, 0.0), high, source))  # no regret is below zero
    name = "mean regret over time"
    return pd.DataFrame(rows, columns=["task", "optimizer", "n", name, f"{name} low", f"{name} high", "regret from"])


def _grid(info: TaskInfo, times: Sequence[FloatArray]) -> FloatArray:
    first = min((float(t[0]) for t in times if len(t)), default=info.budget)
    first = min(max(first, info.budget * 1e-6), info.budget)
    grid = np.geomspace(first, info.budget, GRID_POINTS)
    return np.unique(np.round(grid)) if info.clock == "evaluations" else np.unique(grid)


def _at(runs: Sequence[tuple[FloatArray, FloatArray]], grid: FloatArray) -> FloatArray:
    """Truth of each run's incumbent at each moment, shape ``(runs, grid)``; NaN before its first."""
    values = np.full((len(runs), len(grid)), np.nan)
    for row, (times, truths) in zip(values, runs, strict=True):
        row[:] = np.concatenate([[np.nan], truths])[np.searchsorted(times, grid, side="right")]
    return values


def _mean(
    truths: FloatArray, rng: np.random.Generator, n_resamples: int, level: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    undefined = np.full(truths.shape[1], np.nan)
    n = len(truths)
    if not n:
        return undefined, undefined, undefined
    mean = truths.mean(axis=0)
    if n < 2 or not n_resamples:
        return mean, undefined, undefined
    defined = ~np.isnan(mean)
    low, high = undefined.copy(), undefined.copy()
    resampled = bootstrap_weights(n, rng, n_resamples) @ truths[:, defined]
    bounds = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    low[defined], high[defined] = mean[defined] + widening([n], level) * (bounds - mean[defined])
    return mean, low, high


def _average(times: FloatArray, regrets: FloatArray, worst: float, info: TaskInfo) -> float:
    # An evaluation takes one tick of that clock: what it finds counts for its own tick, so that the average
    # over 100 evaluations is that of 100 incumbents.
    starts = times - 1 if info.clock == "evaluations" else times
    edges = np.clip(np.concatenate([[0.0], starts, [info.budget]]), 0.0, info.budget)
    return float(np.diff(edges) @ np.concatenate([[worst], regrets]) / info.budget)
