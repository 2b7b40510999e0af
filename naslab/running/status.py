"""How far a folder of runs is: read from its files, while others write them."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean

import pandas as pd

from naslab.errors import OutputError
from naslab.files import lock, unreadable
from naslab.running.folder import SPEC, closing_line
from naslab.running.results import Results
from naslab.running.trace import trace_path

STATES = ("done", "failed", "running", "stopped", "to do")


@dataclass(frozen=True)
class Status:
    """How far the runs of a folder are.

    Attributes:
        runs: A row per task and optimizer: ``task``, ``optimizer``, and how many of its runs are ``done``; ``failed``
            (ended without a result); ``running`` (a process writes the trace); ``stopped`` (begun, and no process is
            at it); ``to do`` (not begun). Of a study that holds several comparisons also ``comparison``, its folder;
            comparisons that the study has not begun are not known.
        seconds_left: Until all are done, on the wall's clock, if the runs that are left take as long as those of the
            same optimizer took here (on the same task, if any); None while an optimizer has finished none.
        command: What continues it; empty where the folder does not say.
    """

    runs: pd.DataFrame
    seconds_left: float | None
    command: str

    def count(self, *states: str) -> int:
        """How many runs are in these states."""
        return int(self.runs[list(states)].to_numpy().sum())


def status(folder: str | Path) -> Status:
    """How far the runs of a folder are: a comparison's, a study's that holds several, or one of single searches.

    Nothing is written, and runs that are under way are not disturbed.

    Raises:
        OutputError: The folder holds no runs, or can't be read.
    """
    folder = Path(folder)
    try:
        if (folder / SPEC).is_file():
            return _comparison(folder)
        if parts := [path.parent for path in sorted(folder.rglob(SPEC))]:
            return _study(folder, parts)
        states = [(*_names(path), _state(path)) for path in sorted(folder.glob("runs/*/*/*.jsonl"))]
        if not states:
            raise OutputError(f"{folder} holds no runs; give the --out of naslab compare or naslab search")
    except OSError as error:
        raise OutputError(unreadable(error.filename or folder, error)) from None
    return Status(_frame(states), None, "")


def _study(folder: Path, parts: Sequence[Path]) -> Status:
    found = [_comparison(part) for part in parts]
    named = zip(parts, found, strict=True)
    runs = [one.runs.assign(comparison=str(part.relative_to(folder))) for part, one in named]
    left = [one.seconds_left for one in found]
    known = None if None in left else sum(each for each in left if each)
    return Status(pd.concat(runs, ignore_index=True), known, "")


def _comparison(folder: Path) -> Status:
    found = Results(folder)
    runs = list(product(found.spec["tasks"], found.optimizers, found.seeds))
    states = [(task, label, _state(trace_path(folder, task, label, seed))) for task, label, seed in runs]
    return Status(_frame(states), _seconds_left(folder, states), found.command)


def _names(trace: Path) -> tuple[str, str]:
    """Task and optimizer of a trace, from its first line; of a run that has just begun, from its folders."""
    with trace.open(encoding="utf-8") as file:
        first = file.readline()
    try:
        header = json.loads(first)
        return str(header["task"]), str(header["optimizer"]["name"])
    except (ValueError, KeyError, TypeError):
        return trace.parts[-3], trace.parts[-2]


def _state(path: Path) -> str:
    if not path.exists():
        return "to do"
    if (end := closing_line(path)) is not None:
        return "failed" if end.get("reason") == "failed" else "done"
    return "running" if _is_held(path) else "stopped"


def _is_held(path: Path) -> bool:
    """Whether a process has locked a file. Locks are dropped when their holder dies, however it dies."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not lock(descriptor, wait=False)  # for a moment; who comes to write waits for it
    except OSError:  # the file system knows no locks
        return False
    finally:
        os.close(descriptor)


def _frame(states: list[tuple[str, str, str]]) -> pd.DataFrame:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for task, optimizer, state in states:
        row = counts.setdefault((task, optimizer), dict.fromkeys(STATES, 0))
        row[state] += 1
    rows = [{"task": task, "optimizer": optimizer, **row} for (task, optimizer), row in counts.items()]
    return pd.DataFrame(rows, columns=["task", "optimizer", *STATES])


def _seconds_left(folder: Path, states: list[tuple[str, str, str]]) -> float | None:
    left = [(task, optimizer) for task, optimizer, state in states if state not in ("done", "failed")]
    if not left:
        return 0.0
    taken: dict[tuple[str, str] | str, list[float]] = defaultdict(list)
    for task, optimizer, seconds in _times(folder):
        taken[task, optimizer].append(seconds)
        taken[optimizer].append(seconds)
    if any(optimizer not in taken for _, optimizer in left):
        return None
    at_once = max(1, sum(state == "running" for *_, state in states))
    return sum(mean(taken[run] if run in taken else taken[run[1]]) for run in left) / at_once


def _times(folder: Path) -> Iterator[tuple[str, str, float]]:
    path = folder / "times.jsonl"
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            yield entry["task"], entry["optimizer"], float(entry["wall_seconds"])
        except (ValueError, KeyError, TypeError):  # the last line, while it is written
            continue
