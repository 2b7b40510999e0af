"""The sub-commands that look at runs: how far a folder is, and what a trace holds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naslab.errors import NaslabError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from naslab.running.status import Status
    from naslab.space import Architecture

_SECONDS_BETWEEN_LOOKS = 2.0


def status(
    folder: Annotated[Path, typer.Argument(help="The --out folder of a comparison, or of a search.")],
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds until all runs are done.")
    ] = False,
) -> None:
    """How far the runs of a folder are, and how long the rest takes."""
    from rich.console import Console

    from naslab.running.status import status as look

    console = Console()
    while True:
        found = look(folder)
        if watch and console.is_terminal:
            console.clear()
        _print(found)
        if not watch or not found.count("running", "stopped", "to do"):
            return
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def show(
    trace: Annotated[Path, typer.Argument(help="A run's trace: OUT/runs/TASK/OPTIMIZER/SEED.jsonl.")],
    every: Annotated[bool, typer.Option("--all", help="Every evaluation, not only those that improved.")] = False,
) -> None:
    """What a run did: its task and strategy, when it improved, and how it ended."""
    import pandas as pd

    from naslab.cli.console import print_frame
    from naslab.running import read

    if not trace.is_file():
        raise OutputError(f"{trace} is no file; give a trace: OUT/runs/TASK/OPTIMIZER/SEED.jsonl")
    recorded = read(trace)
    header, end = recorded.header, recorded.end
    write = _notation(str(header["task"]))
    limits = ", ".join(f"{name} <= {value:g}" for name, value in header.get("constraint", {}).items())
    print(f"task:      {header['task']}" + (f"  ({limits})" if limits else ""))
    print(f"optimizer: {header['optimizer']['name']}, seed {header['seed']}, budget {header['budget']}")
    print(f"versions:  {', '.join(f'{name} {version}' for name, version in header['versions'].items())}")
    rows = [
        {
            "evaluation": number,
            "clock (s)": clock,
            "fidelity": step.query.fidelity,
            "score": step.evaluation.score,
            "architecture": write(step.query.architecture),
        }
        for number, (step, clock) in enumerate(zip(recorded.steps, recorded.clocks(), strict=True), start=1)
        if every or step.incumbent
    ]
    if rows:
        print()
        print_frame(pd.DataFrame(rows).dropna(axis=1, how="all"), ("Every evaluation" if every else "When it improved"))
    failed = sum(bool(step.evaluation.failure) for step in recorded.steps)
    print(f"\n{len(recorded.steps):,} evaluations" + (f", {failed:,} of them failed" if failed else ""))
    if end is None:
        print("The run has not ended: the command that began it continues it.")
    else:
        best = f"; it returned {write(tuple(end['best']))}" if end.get("best") else ""
        print(f"It ended ({end['reason']}){best}.")


def _notation(task_id: str) -> Callable[[Architecture], str]:
    """How architectures are written: as their space does, where the task is at hand."""
    from naslab.tasks import task

    try:
        return task(task_id).problem.space.to_string
    except NaslabError:
        return str


def _print(found: Status) -> None:
    from naslab.cli.console import print_frame
    from naslab.running.status import STATES

    idle = [name for name in STATES[1:] if not found.count(name)]
    runs = found.runs.drop(columns=idle)
    if "comparison" in runs:  # too many lines otherwise
        runs = runs.groupby("comparison", as_index=False, sort=False).sum(numeric_only=True)
    print_frame(runs, "Runs")
    total, done, running = found.count(*STATES), found.count("done", "failed"), found.count("running")
    line = f"{done:,} of {total:,} runs are done"
    if failed := found.count("failed"):
        line += f", {failed:,} of them failed"
    if done < total:
        line += f"; {running:,} running" if running else "; nothing is running"
    if running and found.seconds_left is not None:
        line += f"; about {_words(found.seconds_left)} left"
    print(f"\n{line}")
    if done < total and not running and found.command:
        print(f"To go on: {found.command}")


def _words(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{max(1, round(seconds))} s"
