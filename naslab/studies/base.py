"""What a study leaves, and the workers it may use."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pandas as pd

import naslab
from naslab.workers import interrupts_held, start_worker

Progress = Callable[[int, int, str], None]
Work = TypeVar("Work")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome:
    """What an experiment left: tables to print, and the report."""

    tables: Sequence[tuple[str, pd.DataFrame]]
    report: Path


def experiment_folder() -> Path:
    """Where the experiment files are: beside the package in a checkout, under ``share/`` when installed."""
    checkout = Path(naslab.__file__).parent.parent / "experiments"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "naslab" / "experiments"


def in_processes(
    function: Callable[[Work], Result], work: Sequence[Work], workers: int, progress: Progress | None
) -> list[Result]:
    """Results in the order of the work, whoever does it."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker) as executor:
        with interrupts_held():
            futures = {executor.submit(function, each): i for i, each in enumerate(work)}
        results: dict[int, Result] = {}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            if progress:
                progress(len(results), len(work), "")
    return [results[i] for i in range(len(work))]
