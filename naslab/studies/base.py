"""The outcome of a study, and the worker processes that it may use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

import naslab
from naslab.running import Kept, Progress, do_in_processes, versions

Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """The outcome of an experiment: tables to print, and the report."""

    tables: Sequence[tuple[str, pd.DataFrame]]
    report: Path


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
    *,
    device: str = "cpu",
) -> list[Result]:
    """Results in the order of the work, whichever process does it.

    Args:
        function: What is done with each piece of work.
        work: All different, told apart by their ``repr``.
        workers: Processes.
        progress: Called after every result.
        keep: A file to which results are appended as they come, so that the same study continues after a kill; results
            must then be JSON.
        device: Where networks run there: see :func:`~naslab.running.do_in_processes`.

    Raises:
        OutputError: The file was written by other versions, or is damaged.
        WorkerDied: A worker process ended unexpectedly.
    """
    kept = Kept(keep, environment("torch", "optuna"), "results")
    try:
        results: dict[str, Any] = dict(kept.entries)
    except (TypeError, ValueError):
        raise kept.damaged() from None
    missing = {repr(each): (each,) for each in work if repr(each) not in results}
    done = len(work) - len(missing)

    def found(key: str, result: Result) -> None:
        nonlocal done
        results[key] = result
        kept.add([key, result])
        done += 1
        if progress:
            progress(done, len(work), "")

    do_in_processes(function, missing, workers, found, device=device)
    return [results[repr(each)] for each in work]


def environment(*packages: str) -> dict[str, str]:
    """What the numbers of a study depend on."""
    return versions("naslab", "python", "numpy", *packages)
