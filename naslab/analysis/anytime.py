"""How good the incumbent is at each moment of the common clock: curves, areas, times to a target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from naslab.analysis.data import MISSING, FloatArray, ResultsData, TaskInfo
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
    """
    info = data.task(task)
    steps = _steps(data, info)
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
        steps = _steps(data, info)
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


def default_targets(data: ResultsData, task: str) -> tuple[float, ...]:
    """0.1, 0.5 and 1.0 percentage points for truths in percent; else 0.1, 0.5 and 1 % of the reference."""
    if data.task(task).unit == "%":
        return (0.1, 0.5, 1.0)
    best = abs(reference(data, task)[0])
    scale = best if np.isfinite(best) and best > 0 else 1.0
    return tuple(float(f"{share * scale:.2g}") for share in (0.001, 0.005, 0.01))


def first_hits(data: ResultsData, task: str, targets: Sequence[float] | None = None) -> pd.DataFrame:
    """When each run's incumbent was first within each target of the reference (see `reference`).

    Returns ``optimizer, run, target, clock``, one row per target and run that is not missing (numbered within
    its optimizer); the clock is inf where the run never got there.
    """
    info = data.task(task)
    best, _ = reference(data, task)
    rows = []
    for optimizer, runs in _steps(data, info).items():
        for number, (times, truths) in enumerate(runs):
            regret = info.sign * (best - truths)
            for target in default_targets(data, task) if targets is None else targets:
                reached = times[regret <= target + 1e-9 * abs(best)]  # 94.37 - 93.87 is not 0.5 in binary
                rows.append((optimizer, number, target, float(reached[0]) if len(reached) else np.inf))
    return pd.DataFrame(rows, columns=["optimizer", "run", "target", "clock"])


def ecdf(data: ResultsData, task: str, targets: Sequence[float] | None = None) -> pd.DataFrame:
    """Share of the runs that were within each target of the reference by each moment (fixed-target ECDF).

    Returns ``optimizer, target, clock, share, n``: the corners of step functions, from the first hit of any
    run to the budget. Missing runs are excluded; runs that ended without an architecture never hit.
    """
    info = data.task(task)
    hits = first_hits(data, task, targets)
    parts = []
    for (target, optimizer), group in hits.groupby(["target", "optimizer"], sort=False):
        clock = np.sort(group["clock"].to_numpy(float))
        reached = clock[np.isfinite(clock)]
        share = np.arange(1, len(reached) + 1) / len(clock)
        corners = np.concatenate([reached, [info.budget]])
        parts.append(
            pd.DataFrame(
                {"optimizer": optimizer, "target": target, "clock": corners}
                | {"share": np.append(share, share[-1] if len(share) else 0.0), "n": len(clock)}
            )
        )
    columns = ["optimizer", "target", "clock", "share", "n"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def time_to_target(data: ResultsData) -> pd.DataFrame:
    """Per task, target and optimizer: ``n`` runs, ``reached`` (how many got there) and the ``median time`` to
    it, over all runs; NaN where no more than half got there."""
    rows = []
    for task, info in data.tasks.items():
        hits = first_hits(data, task)
        for (target, optimizer), group in hits.groupby(["target", "optimizer"], sort=False):
            clock = np.sort(group["clock"].to_numpy(float))
            median = float(clock[(len(clock) - 1) // 2 : len(clock) // 2 + 1].mean())
            reached = int(np.isfinite(clock).sum())
            shown = median if np.isfinite(median) else np.nan
            rows.append((task, f"{target:g}", optimizer, len(clock), reached, shown, info.budget_unit))
    return pd.DataFrame(rows, columns=["task", "within", "optimizer", "n", "reached", "median time", "time in"])


def _steps(data: ResultsData, info: TaskInfo) -> dict[str, list[tuple[FloatArray, FloatArray]]]:
    """Optimizer -> per run that is not missing: the times at which its incumbent changed, and the truths."""
    rows = data.anytime[data.anytime["task"] == info.id].sort_values(["optimizer", "seed", info.clock], kind="stable")
    columns = rows[[info.clock, "truth"]].to_numpy(float)
    where = rows.groupby(["optimizer", "seed"], sort=False).indices
    runs = data.runs[(data.runs["task"] == info.id) & (data.runs["status"] != MISSING)]
    steps: dict[str, list[tuple[FloatArray, FloatArray]]] = {optimizer: [] for optimizer in data.optimizers}
    for optimizer, seed in zip(runs["optimizer"], runs["seed"], strict=True):
        run = columns[where.get((optimizer, seed), [])].reshape(-1, 2)
        steps[optimizer].append((run[:, 0], run[:, 1]))
    return steps


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
    if n < 2:
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
