"""Making runs of a library again, and comparing them with what is kept, to the byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from naslab.baselines.library import Library
from naslab.baselines.packing import pack
from naslab.baselines.stamps import differences, stamp
from naslab.errors import InvalidValue
from naslab.optimizers import optimizer_spec
from naslab.running import Progress, constrained_task, do_in_processes, run_one
from naslab.running.outcomes import Outcome, outcome_of
from naslab.tasks import Budget, Constraint

Run = tuple[str, str, int]
"""Task, strategy and seed."""


@dataclass(frozen=True)
class Verification:
    """What making runs again showed.

    Attributes:
        runs: Those that were made again.
        different: Those that came out otherwise than they are kept.
        measured: How many runs of the library are on measured clocks, which no other run repeats.
        made_otherwise: Strategies whose runs were made by other versions or other code, and in what these differ.
        same_machine: Whether all were made on a machine of this kind.
    """

    runs: Sequence[Run]
    different: Sequence[Run]
    measured: int
    made_otherwise: dict[str, str]
    same_machine: bool


def verify_library(
    library: Library, count: int, *, workers: int = 1, seed: int = 0, progress: Progress | None = None
) -> Verification:
    """Make random runs of a library again, and compare their outcomes byte by byte.

    Drawn are runs on recorded clocks, uniformly and all different. The same bytes are promised on one machine and one
    set of versions; elsewhere they may differ, which the result says.

    Args:
        library: The library.
        count: How many.
        workers: Processes.
        seed: Which are drawn.
        progress: Called after every run.

    Raises:
        InvalidValue: ``count`` is below 1, or more than there are.
        InvalidLibrary: An archive is damaged.
    """
    entries = [(task_id, entry) for task_id, shelf in library.tasks.items() for entry in shelf.entries]
    recorded = [(task_id, entry) for task_id, entry in entries if entry.clock == "recorded"]
    every: list[Run] = [(task_id, entry.name, i) for task_id, entry in recorded for i in range(entry.seeds)]
    if not 1 <= count <= len(every):
        raise InvalidValue(f"--verify {count}. Allowed: 1 to {len(every):,} runs")
    drawn = [every[i] for i in sorted(np.random.default_rng(seed).choice(len(every), count, replace=False))]
    different: list[Run] = []
    done = 0

    def compared(run: Run, outcome: Outcome) -> None:
        nonlocal done
        task_id, name, which = run
        if _bytes(outcome) != _bytes(library.outcomes(task_id)[name][which]):
            different.append(run)
        done += 1
        if progress:
            progress(done, count, " ".join(map(str, run)))

    for task_id in {task_id for task_id, _, _ in drawn}:
        library.outcomes(task_id)  # a damaged archive is told before anything is run
    work = {run: (*run, library.shelf(run[0]).budget) for run in drawn}
    if workers == 1:
        for run, arguments in work.items():
            compared(run, made_again(*arguments))
    else:
        do_in_processes(made_again, work, workers, compared)
    pairs = {run[:2] for run in drawn}
    of_drawn = {entry.name: entry for task_id, entry in recorded if (task_id, entry.name) in pairs}
    now = {name: stamp(name) for name in of_drawn}
    return Verification(
        drawn,
        sorted(different),
        sum(entry.seeds for _, entry in entries if entry.clock == "measured"),
        {name: said for name, each in of_drawn.items() if (said := "; ".join(differences(each.made, now[name])))},
        all(each.made["machine"] == now[name]["machine"] for name, each in of_drawn.items()),
    )


def made_again(task_id: str, name: str, seed: int, budget: str) -> Outcome:
    """A run of a library, made again in memory."""
    task = constrained_task(task_id, Constraint())
    return outcome_of(task.problem, run_one(task, optimizer_spec(name), seed, Budget.parse(budget), None))


def _bytes(outcome: Outcome) -> bytes:
    """All that is kept of a run."""
    choices = max((len(each.architecture) for each in outcome.incumbents), default=len(outcome.best or ()))
    return b"".join(array.tobytes() for array in pack([outcome], choices).values())
