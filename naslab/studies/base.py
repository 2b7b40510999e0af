"""What a study leaves, and the workers it may use."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

import naslab
from naslab.running import Kept, Progress, do_in_processes

Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What an experiment left: tables to print, and the report."""

    tables: Sequence[tuple[str, pd.DataFrame]]
    report: Path


CELLS = 3000
"""Architectures that are scored for the training-free rows of a table."""


class TrainingFree(BaseModel):
    """Which rows of a published table of searches are training-free, in an experiment file.

    Attributes:
        naswot: Row -> N, the number of random architectures whose best score decides.
        optimal: Row -> N, where their best validation accuracy decides.
        random: The row of one random architecture.
        area: The row of assisted regularized evolution.
        runs: Runs of every row.
        area_runs: Runs of AREA as published; it is run as often as the others, too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    naswot: dict[str, int]
    optimal: dict[str, int]
    random: str
    area: str
    runs: int
    area_runs: int


class WeightSharing(BaseModel):
    """Which rows of a published table of searches share weights, in an experiment file.

    Attributes:
        task: Whose space is searched; the images come from a folder.
        rows: Published row -> optimizer.
        seeds: Runs of every row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    rows: dict[str, str]
    seeds: int


@dataclass(frozen=True)
class Picks:
    """What the runs of one row of a published table of searches picked, however that was found.

    Attributes:
        published: The published row that it stands beside.
        label: What it is called.
        rows: Dataset -> for each run the row of the table of trainings that it picked, as judged there.
        seen: Architectures that a run looked at without training them.
        independent: How many independent runs the runs are worth at least, where they share what they look at.
    """

    published: str
    label: str
    rows: Mapping[str, Sequence[int]]
    seen: int = 0
    independent: float = math.inf


@dataclass(frozen=True)
class Further:
    """Rows that a comparison can't make.

    Attributes:
        picks: What was picked.
        notes: Sentences for the top of the page: how.
        tables: Title, frame and caption of further tables.
    """

    picks: Sequence[Picks]
    notes: Sequence[str]
    tables: Sequence[tuple[str, pd.DataFrame, str]]


def experiment_folder() -> Path:
    """Where the experiment files are: beside the package in a checkout, under ``share/`` when installed."""
    checkout = Path(naslab.__file__).parent.parent / "experiments"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "naslab" / "experiments"


def in_processes(
    function: Callable[[Work], Result],
    work: Sequence[Work],
    workers: int,
    progress: Progress | None,
    keep: Path | None = None,
) -> list[Result]:
    """Results in the order of the work, whoever does it.

    Args:
        function: What is done with each piece of work.
        work: All different, told apart by their ``repr``.
        workers: Processes.
        progress: Is told how far it is.
        keep: A file to which results are appended as they come, so that the same study continues after a kill; results
            must then be JSON.

    Raises:
        OutputError: The file was written by other versions, or is damaged.
        WorkerDied: A worker process ended unexpectedly.
    """
    kept = Kept(keep, environment("torch", "optuna"), "results")
    results: dict[str, Any] = dict(kept.entries)
    missing = {repr(each): (each,) for each in work if repr(each) not in results}
    done = len(work) - len(missing)

    def found(key: str, result: Result) -> None:
        nonlocal done
        results[key] = result
        kept.add([key, result])
        done += 1
        if progress:
            progress(done, len(work), "")

    do_in_processes(function, missing, workers, found)
    return [results[repr(each)] for each in work]


def environment(*packages: str) -> dict[str, str]:
    """What the numbers of a study depend on."""
    return {
        "naslab": naslab.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", *packages)},
    }
