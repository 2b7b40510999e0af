"""The evaluations of a comparison as one frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pandas as pd

from naslab.running.trace import Recorded
from naslab.tasks import Problem, Task

COLUMNS = ["task", "optimizer", "seed", "step", "trial", "architecture", "fidelity", "score"]
COLUMNS += ["seconds", "clock", "worker", "failed", "feasible", "incumbent"]


def step_frame(runs: Iterable[tuple[tuple[str, str, int], Recorded]], tasks: Mapping[str, Task]) -> pd.DataFrame:
    """One row per evaluation; the columns are those of :meth:`naslab.running.results.Results.steps`.

    Args:
        runs: Task, optimizer and seed, and the trace.
        tasks: The tasks by id, which write architectures.
    """
    write: dict[str, Callable[..., str]] = {name: cache(one.problem.space.to_string) for name, one in tasks.items()}
    rows: list[tuple[Any, ...]] = []
    metrics: list[Mapping[str, float]] = []
    named = {name: _named(one.problem) for name, one in tasks.items()}
    for run, recorded in runs:
        written, problem = write[run[0]], tasks[run[0]].problem
        for number, (step, clock) in enumerate(zip(recorded.steps, recorded.clocks(), strict=True), start=1):
            (architecture, fidelity, trial), found = step.query, step.evaluation
            asked = (*run, number, trial, written(architecture), fidelity)
            worker = 0 if step.told is None else step.told.worker
            told = (found.score, found.seconds, clock, worker, found.failure, step.feasible, step.incumbent)
            rows.append((*asked, *told))
            values = {name: problem.value(name, architecture, found) for name in named[run[0]]}
            metrics.append({**found.metrics, **values})
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for name in dict.fromkeys(name for reported in metrics for name in reported):
        column = f"metric {name}" if name in COLUMNS else name
        frame[column] = [reported.get(name, math.nan) for reported in metrics]
    return frame


def _named(problem: Problem) -> list[str]:
    """What a problem says of its evaluations beside the score: further objectives, and what is limited."""
    return [each.name for each in problem.objectives[1:]] + [limit.metric for limit in problem.constraint.limits]
