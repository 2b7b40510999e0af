"""Runs of a library joined with the truth of their task, as :mod:`naslab.analysis` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.data import FloatArray
from naslab.running.judging import ANYTIME, Judge
from naslab.running.outcomes import Outcome
from naslab.tasks import Task


def scores_of(task: Task, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, FloatArray]:
    """Truths of the strategies' runs, ``(n,)`` each: higher is better, -inf for a run without an architecture."""
    judge = judge_of(task)
    return {
        name: np.array([task.sign * judge.truth(each.best) if each.best is not None else -np.inf for each in runs])
        for name, runs in outcomes.items()
    }


def frames(task: Task, outcomes: Mapping[str, Iterable[Outcome]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``frame`` and ``anytime`` of :class:`naslab.analysis.data.ResultsData`."""
    judge = judge_of(task)
    runs: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for name, each in outcomes.items():
        for seed, outcome in enumerate(each):
            key = {"task": task.id, "optimizer": name, "seed": seed}
            runs.append({**key, **judge.run(outcome)})
            changes += [{**key, **change} for change in judge.incumbents(outcome)]
    frame = pd.DataFrame(runs)
    for column in ("architecture", "reward", "truth", "regret"):  # where no run has an architecture
        if column not in frame:
            frame[column] = None if column == "architecture" else np.nan
    return frame, pd.DataFrame(changes, columns=ANYTIME)


def judge_of(task: Task) -> Judge:
    """What judges a task whose truth is a table: nothing is kept beside it."""
    return Judge(task, Path())
