"""Small made-up comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from naslab.analysis.data import ResultsData, TaskInfo

COLUMNS = ["task", "optimizer", "seed", "status", "architecture", "reward", "truth", "regret", "evaluations", "seconds"]
CHANGES = ["task", "optimizer", "seed", "evaluations", "seconds", "reward", "truth"]


def info(
    name: str = "toy/a",
    *,
    direction: str = "max",
    optimum: float | None = 100.0,
    unit: str = "%",
    budget: float = 100.0,
    budget_unit: str = "s",
    constraint: str = "",
) -> TaskInfo:
    return TaskInfo(name, "test accuracy", unit, direction, optimum, budget, budget_unit, constraint)


def comparison(
    tasks: Iterable[TaskInfo],
    optimizers: list[str],
    seeds: int,
    *,
    truth: Callable[[int, int, np.random.Generator], float] | None = None,
    missing: Iterable[tuple[str, str, int]] = (),
    infeasible: Iterable[tuple[str, str, int]] = (),
    costs: bool = True,
) -> ResultsData:
    """Runs of ten evaluations whose incumbent improves three times; `truth(optimizer, seed, rng)` is the end."""
    runs, changes = [], []
    tasks = {task.id: task for task in tasks}
    for number, task in enumerate(tasks.values()):
        for place, optimizer in enumerate(optimizers):
            for seed in range(seeds):
                key = (task.id, optimizer, seed)
                rng = np.random.default_rng([number, place, seed])
                if key in missing:
                    runs.append((*key, "missing", None, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan))
                    continue
                if key in infeasible:
                    runs.append((*key, "no-feasible", None, np.nan, np.nan, np.nan, 10, 95.0, np.nan, np.nan))
                    continue
                end = truth(place, seed, rng) if truth else 90.0 + place + round(rng.normal(), 1)
                regret = np.nan if task.optimum is None else abs(task.optimum - end)
                cost = 1e5 * (1 + place + seed % 4), 0.01 * (1 + seed % 3)
                runs.append((*key, "complete", f"cell{seed % 4}", end, end, regret, 10, 95.0, *cost))
                for evaluation, loss in ((1, 8.0), (3, 2.0), (7, 0.0)):
                    shown = end - task.sign * loss
                    changes.append((*key, evaluation, evaluation * 9.5 + seed * 0.1, shown, shown))
    frame = pd.DataFrame(runs, columns=[*COLUMNS, "params", "latency_seconds"])
    if not costs:
        frame = frame.drop(columns=["params", "latency_seconds"])
    return ResultsData(frame, pd.DataFrame(changes, columns=CHANGES), tasks, optimizers, list(range(seeds)))


def made(
    steps: list[list[tuple[float, float]]], *, task: TaskInfo | None = None, status: dict[int, str] | None = None
) -> ResultsData:
    """One optimizer; `steps` per seed: [(time, truth), ...]."""
    task = task or info()
    status = status or {}
    runs = [
        (task.id, "o", seed, status.get(seed, "complete"), "x", 0.0, truth[-1][1] if truth else np.nan, 0.0, 9, 99.0)
        for seed, truth in enumerate(steps)
    ]
    changes = [
        (task.id, "o", seed, int(time), float(time), 0.0, truth)
        for seed, run in enumerate(steps)
        for time, truth in run
    ]
    frames = pd.DataFrame(runs, columns=COLUMNS), pd.DataFrame(changes, columns=CHANGES)
    return ResultsData(*frames, {task.id: task}, ["o"], list(range(len(steps))))
