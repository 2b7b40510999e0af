"""What a study leaves, and the workers it may use."""

from __future__ import annotations

import json
import multiprocessing
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

import naslab
from naslab.errors import OutputError
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
        OutputError: The file was written by other versions.
    """
    results: dict[str, Result] = {} if keep is None else _kept(keep)
    missing = [each for each in work if repr(each) not in results]
    done = len(work) - len(missing)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), start_worker) as executor:
        with interrupts_held():
            futures = {executor.submit(function, each): repr(each) for each in missing}
        for future in as_completed(futures):
            key = futures[future]
            results[key] = future.result()
            if keep is not None:
                with keep.open("a") as file:
                    file.write(json.dumps([key, results[key]]) + "\n")
            done += 1
            if progress:
                progress(done, len(work), "")
    return [results[repr(each)] for each in work]


def environment(*packages: str) -> dict[str, str]:
    """What the numbers of a study depend on."""
    return {
        "naslab": naslab.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", *packages)},
    }


def _kept(path: Path) -> dict[str, Any]:
    """What an interrupted study left; the last line may be cut short."""
    header = json.dumps(environment("torch", "optuna"))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header + "\n")
        return {}
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    if not lines or lines[0] != header:
        raise OutputError(f"{path} was written by {lines[0] if lines else 'nobody'}, this is {header}; delete it")
    path.write_text("\n".join(lines) + "\n")
    return dict(json.loads(line) for line in lines[1:])
