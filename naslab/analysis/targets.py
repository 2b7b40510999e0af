"""Targets that are chosen from the data, and how soon they are reached: ECDF, its area, expected running time.

As COCO does (Hansen et al. 2021, COCO: a platform for comparing continuous optimizers in a black-box setting) and
IOHanalyzer (Wang et al. 2022): a target is a distance to the best truth of the task, and a run has a running time to
each. Deviation: their targets are fixed beforehand; those of architecture search depend on the task, so that here the
runs themselves set both ends (:func:`levels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from naslab.analysis.anytime import reference
from naslab.analysis.data import MISSING, NOISE, FloatArray, ResultsData
from naslab.analysis.statistics import LEVEL, RESAMPLES, bootstrap_interval, bootstrap_weights, widening

NUMBER = 51
"""Targets of a task, as many as COCO's."""
NAMED = {"easy": 1 / 3, "medium": 2 / 3, "hard": 1.0}
"""Those that a table shows: how far along the targets they are."""
EASIEST, HARDEST = 0.5, 0.1
POINTS = 200
RULE = (
    f"{NUMBER} distances to the best truth, equal steps on a logarithmic scale, from what half of all runs have with "
    "their first architecture to what the best tenth of all runs end with (where that is the best truth itself, it is "
    "the last target, and the steps lead to the smallest distance above it)"
)


def levels(data: ResultsData, task: str) -> FloatArray:
    """The targets of a task: distances to the reference in the truth's unit, the easiest first.

    :data:`NUMBER` of them at most, rounded to three digits so that they are what a table says. Runs of all optimizers
    weigh the same; those without an incumbent count as never. One target where the two ends are not apart; none where
    no run has an incumbent.
    """
    runs = [run for each in _regrets(data)[task].values() for run in each]
    first = _quantile([run[0] if len(run) else np.inf for run in runs], EASIEST)
    last = [float(run[-1]) if len(run) else np.inf for run in runs]
    hardest = _quantile(last, HARDEST)
    if not np.isfinite(hardest):
        return np.empty(0)
    first = first if np.isfinite(first) else max(each for each in last if np.isfinite(each))
    above = min((each for each in last if each > 0), default=0.0)
    end = hardest if hardest > 0 else above
    if not 0 < end < first:
        return np.array([hardest])
    found = np.geomspace(first, end, NUMBER if hardest > 0 else NUMBER - 1)
    return np.array(list(dict.fromkeys([*(float(f"{each:.3g}") for each in found), *([0.0] if hardest == 0 else [])])))


def hits(data: ResultsData, task: str, distances: Sequence[float] | FloatArray) -> dict[str, FloatArray]:
    """Optimizer -> when each of its runs was first within each distance of the reference, ``(runs, distances)``.

    On the task's clock; inf where it never was. Missing runs are left out.
    """
    wanted = np.asarray(distances, float)
    best = abs(reference(data, task)[0])
    near = wanted + NOISE * (best if np.isfinite(best) else 0.0)  # 94.37 - 93.87 is not 0.5 in binary
    found = {}
    for optimizer, runs in data.steps(task).items():
        rows = np.full((len(runs), len(wanted)), np.inf)
        for row, (times, _), regrets in zip(rows, runs, _regrets(data)[task][optimizer], strict=True):
            # The nearest so far falls, so that its negative is sorted.
            place = np.searchsorted(-regrets, -near, side="left")
            row[place < len(times)] = times[place[place < len(times)]]
        found[optimizer] = rows
    return found


def expected_running_time(data: ResultsData, rng: np.random.Generator, *, level: float = LEVEL) -> pd.DataFrame:
    """How long it takes on average to reach a target, if a run that fails is followed by another.

    ``ERT = (clock spent by all runs until they reach it, or to their end) / (runs that reach it)`` (Price 1997; Auger
    & Hansen 2005): failing costs time, and nothing is left out. Infinite where no run reaches it.

    Returns, per task, target of :data:`NAMED` and optimizer: ``task, target, within`` (its distance, in the truth's
    unit), ``optimizer, n, reached, ERT`` with ``ERT low`` and ``ERT high``, and ``time in``. The interval is the
    percentile bootstrap over runs, widened for few (:func:`widening`) on a logarithmic scale; its upper bound is
    infinite where in more than one resample of forty nobody gets there, and it is NaN below two runs or where nobody
    does.
    """
    seed, rows = int(rng.integers(2**32)), []
    for task, info in data.tasks.items():
        distances = levels(data, task)
        chosen = {
            name: distances[round(share * (len(distances) - 1))] for name, share in NAMED.items() if len(distances)
        }
        chosen = chosen if len(distances) > 2 else dict(list(chosen.items())[-1:])
        ends = _spent(data, task)
        for optimizer, times in hits(data, task, list(chosen.values())).items():
            reached = np.isfinite(times)
            cost = np.where(reached, times, ends[optimizer][:, None])
            intervals = _ratios(cost, reached, np.random.default_rng(seed), level)
            for place, (name, within) in enumerate(chosen.items()):
                counts = (len(times), int(reached[:, place].sum()))
                rows.append((task, name, within, optimizer, *counts, *intervals[place], info.budget_unit))
    columns = ["task", "target", "within", "optimizer", "n", "reached", "ERT", "ERT low", "ERT high", "time in"]
    found = pd.DataFrame(rows, columns=columns)
    order = {task: place for place, task in enumerate(data.tasks)}, {name: place for place, name in enumerate(NAMED)}
    keys = found.assign(task=found["task"].map(order[0]), target=found["target"].map(order[1]))
    return found.loc[keys.sort_values(["task", "target"], kind="stable").index].reset_index(drop=True)


def ecdf(data: ResultsData, tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """Share of (run, target) pairs that are reached by each moment; tasks weigh the same.

    Returns ``optimizer, clock, share``: corners of step functions on a logarithmic grid of at most :data:`POINTS`. The
    clock is the tasks' own if they share a budget, else the share of it. An optimizer without runs on a task is left
    out.
    """
    named = [task for task in (tasks or data.tasks) if len(levels(data, task))]
    if not named:
        return pd.DataFrame(columns=["optimizer", "clock", "share"])
    shared, infos = shared_clock(data, named), [data.task(task) for task in named]
    end = infos[0].budget if shared else 1.0
    times = [
        {name: each * end / info.budget for name, each in hits(data, info.id, levels(data, info.id)).items()}
        for info in infos
    ]
    whole = [name for name in data.optimizers if all(len(each[name]) for each in times)]
    first = min((float(each.min(initial=np.inf)) for one in times for each in one.values()), default=end)
    grid = np.geomspace(min(max(first, end * 1e-6), end), end, POINTS)
    grid = np.unique(np.round(grid)) if shared and infos[0].clock == "evaluations" else np.unique(grid)
    parts = []
    for name in whole:
        reached = [
            np.searchsorted(np.sort(each[name], axis=None), grid, side="right") / each[name].size for each in times
        ]
        parts.append(pd.DataFrame({"optimizer": name, "clock": grid, "share": np.mean(reached, axis=0)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["optimizer", "clock", "share"])


def area_under(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """The area under the ECDF: the share of (run, target) pairs that are reached, averaged over the logarithm of time.

    From the first evaluation (on a clock in seconds: the first incumbent of any run of the task) to the budget. 1 is
    every target at once, 0 none ever. Anytime performance in one number, in which tasks weigh the same.

    Returns, the largest first: ``optimizer, area`` over all tasks with ``area low`` and ``area high`` (95 % bootstrap,
    resampled task by task), and where there are several a column for each task. NaN for an optimizer without runs on
    some task; tasks on which nobody has an architecture are left out.
    """
    seed, strata = int(rng.integers(2**32)), {}
    for task, info in data.tasks.items():
        if not len(distances := levels(data, task)):
            continue
        times = hits(data, task, distances)
        first = min((float(each.min(initial=np.inf)) for each in times.values()), default=np.inf)
        start = 1.0 if info.clock == "evaluations" else max(min(first, info.budget), info.budget * 1e-6)
        if not start < info.budget:
            continue
        whole = np.log(info.budget / start)
        strata[task] = {
            name: (np.log(info.budget / np.clip(each, start, info.budget)) / whole).mean(axis=1)
            for name, each in times.items()
        }
    rows = []
    for name in data.optimizers:
        own = [each[name] for each in strata.values()]
        whole_runs = own if all(map(len, own)) else []
        over = bootstrap_interval(whole_runs, np.random.default_rng(seed), statistic=np.mean, per_stratum=True)
        single = [float(runs.mean()) if len(runs) else np.nan for runs in own] if len(own) > 1 else []
        rows.append((name, over.value, max(over.low, 0.0), min(over.high, 1.0), *single))
    columns = ["optimizer", "area", "area low", "area high", *(strata if len(strata) > 1 else [])]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values("area", ascending=False, kind="stable", ignore_index=True) if len(strata) else frame[:0]


def shared_clock(data: ResultsData, tasks: Sequence[str]) -> bool:
    """Whether the tasks have one budget, so that their clocks can be one axis."""
    return len({(data.task(task).budget, data.task(task).budget_unit) for task in tasks}) == 1


@lru_cache(maxsize=1)
def _regrets(data: ResultsData) -> dict[str, dict[str, list[FloatArray]]]:
    """Task -> optimizer -> of each run, as `ResultsData.steps` lists them: the nearest that it has been to the
    reference after each change of its incumbent; zero within float noise. Kept for the next table of the same runs."""
    return {
        task: {
            name: [_nearest(info.sign * (best - truths), best) for _, truths in runs]
            for name, runs in data.steps(task).items()
        }
        for task, info in data.tasks.items()
        for best in [reference(data, task)[0]]
    }


def _nearest(distances: FloatArray, best: float) -> FloatArray:
    found = np.minimum.accumulate(distances)
    return np.where(found <= NOISE * abs(best), 0.0, found)


def _spent(data: ResultsData, task: str) -> dict[str, FloatArray]:
    """Optimizer -> where the clock of each run that is not missing stood at its end; the budget where unknown."""
    info, found = data.task(task), {}
    for optimizer in data.optimizers:
        runs = data.of(task, optimizer)
        ends = runs.loc[runs["status"] != MISSING, info.clock].to_numpy(float)
        found[optimizer] = np.where(np.isfinite(ends), ends, info.budget)
    return found


def _ratios(
    cost: FloatArray, reached: FloatArray, rng: np.random.Generator, level: float
) -> list[tuple[float, float, float]]:
    """The ratio of sums of every column ``(runs, columns)``, with its interval."""
    n = len(cost)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (
            np.where(reached.any(axis=0), cost.sum(axis=0) / reached.sum(axis=0), np.inf)
            if n
            else np.full(cost.shape[1], np.nan)
        )
        if n < 2:
            return [(float(each), np.nan, np.nan) for each in value]
        weights = bootstrap_weights(n, rng, RESAMPLES)
        drawn = (weights @ cost) / (weights @ reached)
    found = []
    for centre, column in zip(value, drawn.T, strict=True):
        if not np.isfinite(centre):
            found.append((float(centre), np.nan, np.nan))
            continue
        low, high = np.quantile(np.sort(column), [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        wider = widening([n], level)
        below, above = (
            float(centre * (bound / centre) ** wider) if np.isfinite(bound) else np.inf for bound in (low, high)
        )
        found.append((float(centre), below, above))
    return found


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else np.inf
