"""The evaluations of a comparison as one frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pandas as pd

from naslab.running.trace import Recorded
from naslab.tasks import Task

COLUMNS = ["task", "optimizer", "seed", "step", "trial", "architecture", "fidelity", "score"]
COLUMNS += ["seconds", "clock", "feasible", "incumbent"]


def step_frame(runs: Iterable[tuple[tuple[str, str, int], Recorded]], tasks: Mapping[str, Task]) -> pd.DataFrame:
    """One row per evaluation; the columns are those of :meth:`naslab.running.results.Results.steps`.

    Args:
        runs: Task, optimizer and seed, and the trace.
        tasks: The tasks by id, which write architectures.
    """
    write: dict[str, Callable[..., str]] = {name: cache(one.problem.space.to_string) for name, one in tasks.items()}
    rows: list[tuple[Any, ...]] = []
    metrics: list[Mapping[str, float]] = []
    for run, recorded in runs:
        written, clock = write[run[0]], 0.0
        for number, step in enumerate(recorded.steps, start=1):
            (architecture, fidelity), (score, seconds, reported) = step.query, step.evaluation
            clock += seconds
            asked = (*run, number, number - 1, written(architecture), fidelity)
            rows.append((*asked, score, seconds, clock, step.feasible, step.incumbent))
            metrics.append(reported)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    for name in dict.fromkeys(name for reported in metrics for name in reported):
        column = f"metric {name}" if name in COLUMNS else name
        frame[column] = [reported.get(name, math.nan) for reported in metrics]
    return frame
