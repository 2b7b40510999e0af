"""Strategies over rungs beside those that train in full, at equal recorded seconds, with 1, 4 and 16 workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from naslab.analysis.data import ResultsData
from naslab.analysis.report import write_page
from naslab.running import Progress
from naslab.running.comparison import compare
from naslab.running.results import Results
from naslab.studies.base import Outcome
from naslab.studies.multi_fidelity.page import Found, regrets, sections
from naslab.tables import find_table

TASKS = ("pocket-cell/mnist", "pocket-mlp/mnist", "pocket-mlp/segments")
"""Every architecture's learning curve is recorded: a trial that goes on pays for its further epochs alone."""
TRAININGS = 48
"""What a run may spend on all of its workers: the seconds of so many average trainings of its table."""
WORKERS = (1, 4, 16)
SEEDS = 100
IN_FULL = ("random", "regularized-evolution", "optuna-tpe")
OVER_RUNGS = (
    "successive-halving",
    "hyperband",
    "asha",
    "asha[rule=quantile]",
    "asha[rule=stopping]",
    "pasha",
    "dehb",
    "bohb",
)
SLOW, SLOW_SEEDS = ("freeze-thaw",), 30
"""Run with one worker alone: ten seconds a run, some hundred times what the others take."""


def run(title: str, description: str, out: Path, *, workers: int, progress: Progress | None) -> Outcome:
    """Run the study into a folder: a comparison for each table and number of workers, and one page."""
    compared = partial(_compared, out, workers, progress)
    several = {count: compared(f"workers-{count}", (*IN_FULL, *OVER_RUNGS), SEEDS, count) for count in WORKERS}
    scratch = compared("scratch", OVER_RUNGS, SEEDS, 1, "scratch")
    slow = compared("freeze-thaw", SLOW, SLOW_SEEDS, 1)
    found = Found(
        {count: together(results, SEEDS) for count, results in several.items()},
        together([*several[1], *slow], SEEDS),
        together([*several[1], *slow], SLOW_SEEDS),
        together(scratch, SEEDS),
        TRAININGS,
    )
    environment = dict(entry for each in (*several[1], *slow) for entry in each.environment.items())
    page = write_page(
        sections(found), out / "report", title, "naslab reproduce multi-fidelity", environment,
        [" ".join(description.split())], found.everyone.optimizers,
    )  # fmt: skip
    return Outcome([(f"{title}: regret at the end", regrets(found))], page)


def seconds(task_id: str, workers: int) -> str:
    """The budget of a run: :data:`TRAININGS` average trainings of the whole table, divided among the workers."""
    table = find_table(task_id.replace("/", "-"))
    reward = table.tasks[task_id.partition("/")[2]].reward
    average = float(table.charge(str(table.columns[reward.column].dataset)).mean())
    return f"{TRAININGS * average / workers:.3g}s"


def together(parts: Sequence[Results], seeds: int) -> ResultsData:
    """Comparisons of several tasks and strategies as one, their first seeds; runs that nobody asked for are missing."""
    data = [each.data for each in parts]
    frames = [pd.concat([getattr(each, name) for each in data], ignore_index=True) for name in ("frame", "anytime")]
    frame, anytime = (each[each["seed"] < seeds].reset_index(drop=True) for each in frames)
    tasks = {name: info for each in data for name, info in each.tasks.items()}
    optimizers = list(dict.fromkeys(name for each in data for name in each.optimizers))
    return ResultsData(frame, anytime, tasks, optimizers, list(range(seeds)))


def _compared(
    out: Path,
    processes: int,
    progress: Progress | None,
    name: str,
    optimizers: Sequence[str],
    seeds: int,
    workers: int,
    resume: str | None = None,
) -> list[Results]:
    """A comparison per table: their budgets differ."""
    return [
        compare(
            [task],
            optimizers,
            budget=seconds(task, workers),
            seeds=seeds,
            out=out / name / task.replace("/", "-"),
            workers=processes,
            simulate_workers=workers,
            resume=resume,
            progress=progress,
        )
        for task in TASKS
    ]
