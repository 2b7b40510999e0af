"""Comparisons: tasks x optimizers x seeds, each run a trace in one folder.

::

    OUT/comparison.json                       what is compared, written first
    OUT/runs/<task>/<optimizer>/<seed>.jsonl  one trace per run
    OUT/times.jsonl                           measured wall seconds of runs; no trace depends on them

The same call again finishes what is missing and changes nothing that is there; with more tasks, optimizers or seeds it
adds their runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from naslab.errors import InvalidValue, NaslabError, OutputError, rebuilt
from naslab.optimizers import Optimizer, OptimizerSpec, optimizer_spec
from naslab.running.callbacks import Callback
from naslab.running.execution import ALONE, Execution, check_executor, parse_limit
from naslab.running.folder import SPEC, closing_line, headers, run_header
from naslab.running.growth import extended, lacking, named, without_history
from naslab.running.output import LOCK, Grown, claimed_folder, unwritable
from naslab.running.runs import (
    check_budget,
    check_execution,
    constrained_task,
    execution_of,
    forget_tasks,
    informed,
    placed,
    run_one,
)
from naslab.running.session import source_entries
from naslab.running.software import placement_entries, versions
from naslab.running.trace import FORMAT, differences, trace_path
from naslab.running.workers import Progress, do_in_processes
from naslab.tasks import Budget, Constraint, Placement, Task
from naslab.tasks.placement import AS_IT_IS

if TYPE_CHECKING:
    from naslab.running.results import Results

LARGEST_CHUNK = 25


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        tasks: Task ids, or tasks of one's own.
        optimizers: Names as in :mod:`naslab.optimizers.spec`, or classes.
        seeds: Number of seeds: 0, 1, 2...
        budget: Of every run.
        constraint: On every task.
        placement: Where networks run, and how exactly.
        execution: How the evaluations of each run are carried out.
        resume: What evaluating a trial again does, on every task; None leaves it to the task.
        paired: Whether the runs of a task with one seed begin with the same random numbers.
        objectives: Of every task; its own (the score, unless it says otherwise) where empty.
    """

    tasks: tuple[str | Task, ...]
    optimizers: tuple[str | type[Optimizer], ...]
    seeds: int
    budget: Budget
    constraint: Constraint
    placement: Placement = AS_IT_IS
    execution: Execution = ALONE
    resume: str | None = None
    paired: bool = False
    objectives: tuple[str, ...] = ()

    def task(self, task_or_id: str | Task) -> Task:
        """One of the tasks, as it is run."""
        return constrained_task(task_or_id, self.constraint, self.placement, self.resume, self.objectives)

    def prepare(self) -> tuple[dict[str, Task], dict[str, OptimizerSpec]]:
        """Build everything once, so that errors are reported before anything is written."""
        forget_tasks()
        tasks = {_id(t): self.task(t) for t in self.tasks}
        specs = {spec.label: spec for spec in map(optimizer_spec, self.optimizers)}
        if not tasks or not specs:
            raise InvalidValue("nothing to compare: give at least one task and one optimizer")
        if len(tasks) < len(self.tasks) or len(specs) < len(self.optimizers):
            raise InvalidValue("a task or an optimizer is named twice; name each once")
        named = {tuple(map(str, one.problem.objectives)) for one in tasks.values()}
        if self.objectives and len(named) > 1:
            raise InvalidValue(f"objectives {','.join(self.objectives)}: tasks differ in their directions; state them")
        for spec in specs.values():
            check_budget(spec, self.budget)
            for one in tasks.values():
                spec.build(informed(one, spec).problem, np.random.default_rng(0))
        for one in tasks.values():
            check_execution(one, specs.values(), self.execution, self.budget)
        return tasks, specs

    def describe(self, tasks: Mapping[str, Task], specs: Mapping[str, OptimizerSpec], seeds: int) -> dict[str, Any]:
        """What ``comparison.json`` says of these; a folder serves only one comparison, on one version of its data."""
        entries = [placement_entries(placed(one, spec).problem) for one in tasks.values() for spec in specs.values()]
        first = next(iter(tasks.values()), None)  # the sources that a strategy names are the same on all tasks
        optimizers = [
            {
                **spec.describe(),
                **(source_entries(informed(first, spec).problem) if spec.sources and first else {}),
                **({"one_worker": True} if execution_of(spec, self.execution) != self.execution else {}),
            }
            for spec in specs.values()
        ]
        return {
            **versions("naslab"),
            "format": FORMAT,
            **dict(entry for each in entries for entry in each.items()),
            **self.execution.entries(),
            **({"resume": self.resume} if self.resume else {}),
            "tasks": list(tasks),
            "optimizers": optimizers,
            "seeds": seeds,
            "budget": str(self.budget),
            "constraint": self.constraint.as_dict(),
            **({"paired": True} if self.paired else {}),
            **({"objectives": [*map(str, next(iter(tasks.values())).problem.objectives)]} if self.objectives else {}),
            "sources": {name: dict(one.source) for name, one in tasks.items()},
        }


def compare(
    tasks: Sequence[str | Task],
    optimizers: Sequence[str | type[Optimizer]],
    *,
    budget: str | int | float | Budget,
    out: str | Path,
    seeds: int = 10,
    workers: int = 1,
    max: Mapping[str, float] | Iterable[str] = (),
    paired: bool = False,
    objectives: Sequence[str] = (),
    executor: Executor | None = None,
    device: str | None = None,
    precision: str | None = None,
    deterministic: bool | None = None,
    resume: str | None = None,
    simulate_workers: int = 1,
    workers_per_run: int = 1,
    on_failure: str = "record",
    retries: int = 0,
    evaluation_limit: str | float | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> Results:
    """Run every optimizer on every task with every seed, and read the results.

    Args:
        tasks: Task ids (``naslab list tasks``), or tasks of one's own.
        optimizers: Names (``naslab list optimizers``), variants ``name[key=value]``, ``module:Class``,
            ``./file.py:Class``, or classes.
        budget: Of every run: ``"12000s"`` on the task's clock, or a number of evaluations.
        out: The folder of this comparison; the same call again finishes what is missing in it, and with further tasks,
            optimizers or seeds it adds their runs. A call that asks for less than is there is refused: its results
            would not be those of the folder.
        seeds: Number of runs of every optimizer on every task.
        workers: Processes to use. The traces do not depend on it.
        max: Limits on costs, ``{"params": 41153}``, or on metrics that the tasks' evaluations report.
        paired: Runs of a task with one seed begin with the same random numbers, whatever their optimizer: the first
            architectures that it draws, and the recorded trainings of evaluations. Differences between optimizers are
            then taken seed by seed, and tested so. Such runs are others than those without.
        objectives: What is optimised, by names of costs and metrics after the score: ``["score", "params"]``. Costs are
            minimised, declared metrics have a direction; ``"-name"`` or ``"name:max"`` states another. By default what
            each task says, usually the score alone.
        executor: Runs them instead: any :class:`concurrent.futures.Executor` that shares the file system.
        device: Where networks run, if any do: see :meth:`naslab.tasks.Task.on`. By default each task's own, the CPU.
            With ``"cuda"`` the processes take turns at the GPUs: each sees one.
        precision: Of the forward passes of training steps: ``"float32"`` or ``"bfloat16"``; likewise.
        deterministic: Whether PyTorch takes only algorithms that add in a fixed order; likewise.
        resume: What evaluating a trial again, at a higher fidelity, does: see :class:`naslab.tasks.Task`.
        simulate_workers: Workers of every run on the recorded clock of a table. Strategies that wait for every answer
            run with one.
        workers_per_run: How many of the processes evaluate for one run: of ``workers=8, workers_per_run=2`` four runs
            go on at a time. Traces depend on it: several processes end in an order of their own.
        on_failure: ``"record"`` keeps evaluations that failed as results, and goes on with the other runs where one
            can't go on; ``"raise"`` ends the comparison at the first of either.
        retries: How often an evaluation that failed is tried again.
        evaluation_limit: Seconds (``"60s"``) after which an evaluation is stopped and counts as failed.
        progress: Called after every run.
        callbacks: Are told of every run; where runs are in other processes, copies of them, there.

    Raises:
        NaslabError: For anything that is wrong with the arguments, before anything is written; in the end, if runs
            could not go on.
        OutputError: ``out`` holds another comparison, is in use, or can't be written.
    """
    for what, number in (("seeds", seeds), ("workers", workers)):
        if not isinstance(number, int) or number < 1:
            raise InvalidValue(f"{what} {number!r}: give a whole number of at least 1")
    for what, names in (("tasks", tasks), ("optimizers", optimizers)):
        if isinstance(names, str):
            raise InvalidValue(f"{what}={names!r}: give a list, such as [{names!r}]")
    placement, limits = Placement(device, precision, deterministic), Constraint.parse(max)
    if isinstance(objectives, str):
        raise InvalidValue(f"objectives={objectives!r}: give a list, such as ['score', 'params']")
    limit = parse_limit(evaluation_limit)
    execution = Execution(simulate_workers, workers_per_run, None, on_failure, retries, limit)
    if executor is not None:
        check_executor(executor)
    if workers_per_run > workers:
        raise InvalidValue(f"workers_per_run {workers_per_run}: at most workers, of which there are {workers}")
    compared = tuple(tasks), tuple(optimizers), seeds, Budget.parse(budget), limits, placement
    comparison = Comparison(*compared, execution, resume, paired, tuple(objectives))
    prepared, specs = comparison.prepare()
    folder, description = Path(out), comparison.describe(prepared, specs, seeds)
    ours, grown = partial(_holds_runs, description=description), _growth(comparison, folder, prepared, specs)
    with claimed_folder(folder, description, SPEC, "comparison", ours, grown):
        at_once = workers // workers_per_run
        jobs = _jobs(comparison, folder, at_once, tuple(callbacks))
        total = len(prepared) * len(specs) * seeds
        done = total - sum(len(job.seeds) for job in jobs)
        if progress:
            progress(done, total, "")

        failed: list[NaslabError] = []

        def finished(_: int, runs: list[dict[str, Any]]) -> None:
            nonlocal done
            for one in runs:
                if "error" in one:
                    failed.append(one["error"])
                    continue
                done += 1
                _note_time(folder, one)
                if progress:
                    progress(done, total, f"{one['task']} {one['optimizer']} {one['seed']}")

        shared = any(one.problem.device == "cuda" for one in prepared.values())
        _execute(jobs, at_once, executor, finished, "cuda" if shared else "cpu")
        if failed:
            raise failed[0] if not done else _of_all(failed, total)
    from naslab.running.results import Results  # pandas and SciPy take a second that workers should not wait

    return Results(folder, {_id(t): one for t, one in zip(comparison.tasks, prepared.values(), strict=True)})


@dataclass(frozen=True)
class _Job:
    """Runs of one optimizer on one task, for one worker."""

    comparison: Comparison
    folder: Path
    task: str | Task
    optimizer: str | type[Optimizer]
    seeds: tuple[int, ...]
    callbacks: tuple[Callback, ...]


def _run_job(job: _Job) -> list[dict[str, Any]]:
    """In a worker: the runs of a job, one after the other. One that can't go on does not end the others."""
    spec, comparison = optimizer_spec(job.optimizer), job.comparison
    one, execution = comparison.task(job.task), comparison.execution
    finished: list[dict[str, Any]] = []
    for seed in job.seeds:
        started = time.perf_counter()
        path = trace_path(job.folder, one.id, spec.label, seed)
        found: dict[str, Any] = {"task": one.id, "optimizer": spec.label, "seed": seed}
        try:
            parts = (one, spec, seed, comparison.budget, path, None, execution, job.callbacks)
            run_one(*parts, paired=comparison.paired)
        except OutputError:
            raise
        except NaslabError as error:
            if execution.on_failure == "raise":
                raise
            found["error"] = error
        finished.append({**found, "wall_seconds": round(time.perf_counter() - started, 6)})
    return finished


def _of_all(failed: Sequence[NaslabError], total: int) -> NaslabError:
    """The error for runs that could not go on."""
    first = failed[0]
    what = f"{len(failed)} of {total} runs could not go on; the others are done. The first: {first}"
    error = rebuilt(type(first), f"{what}; the same command tries them again, naslab report shows the others")
    error.__dict__.update(first.__dict__)
    return error


def _jobs(comparison: Comparison, folder: Path, workers: int, callbacks: tuple[Callback, ...] = ()) -> list[_Job]:
    """The runs that are not finished yet, cut into pieces."""
    jobs = []
    settings = replace(comparison, tasks=(), optimizers=())  # each job has its own
    size = 1 if workers == 1 else max(1, min(LARGEST_CHUNK, comparison.seeds // (4 * workers)))
    for one in comparison.tasks:
        for optimizer in comparison.optimizers:
            label = optimizer_spec(optimizer).label
            missing = [
                seed
                for seed in range(comparison.seeds)
                if closing_line(trace_path(folder, _id(one), label, seed)) is None
            ]
            jobs += [
                _Job(settings, folder, one, optimizer, tuple(chunk), callbacks)
                for chunk in (missing[i : i + size] for i in range(0, len(missing), size))
            ]
    return jobs


def _execute(
    jobs: Sequence[_Job],
    workers: int,
    executor: Executor | None,
    done: Callable[[int, list[dict[str, Any]]], None],
    device: str,
) -> None:
    """Do the jobs; ``done`` gets each job's number and its finished runs."""
    if executor is None and (workers == 1 or len(jobs) <= 1):
        for i, job in enumerate(jobs):
            done(i, _run_job(job))
        return
    do_in_processes(
        _run_job, {i: (job,) for i, job in enumerate(jobs)}, workers, done, device=device, executor=executor
    )


def _note_time(folder: Path, finished: dict[str, Any]) -> None:
    try:
        with (folder / "times.jsonl").open("a") as times:
            times.write(json.dumps(finished) + "\n")
    except OSError as error:
        raise unwritable(folder, error) from None


def _growth(
    comparison: Comparison, folder: Path, tasks: Mapping[str, Task], specs: Mapping[str, OptimizerSpec]
) -> Grown:
    """How the folder's description follows from the one that it has; :func:`check_folder`'s ``grown``."""
    wanted = comparison.describe(tasks, specs, comparison.seeds)

    @cache
    def check_runs() -> None:
        from naslab.running.results import Results

        # Before anything is added: what takes long should not be found useless in the end.
        for _ in Results(folder, tasks).runs():
            pass

    def grown(found: dict[str, Any]) -> dict[str, Any]:
        try:
            held, (ids, labels, seeds) = without_history(found), named(found)
            if more := lacking(found, wanted):
                raise OutputError(
                    f"{folder} holds more than is asked for: {', '.join(more)}; ask for at least what is there, or "
                    "give another --out"
                )
            part = comparison.describe({i: tasks[i] for i in ids}, {name: specs[name] for name in labels}, seeds)
        except (KeyError, TypeError):  # no description of a comparison
            held, part = found, wanted
        if held != (part := json.loads(json.dumps(part))):
            raise OutputError(f"{folder} holds another comparison: {differences(held, part)}; give another --out")
        new = extended(found, wanted)
        if new != found:
            check_runs()
        return new

    return grown


def _holds_runs(folder: Path, description: Mapping[str, Any]) -> bool:
    """Whether a folder without its description holds runs of this comparison, and nothing else."""
    if {path.name for path in folder.iterdir()} - {SPEC, LOCK, "runs", "times.jsonl", "truths", "report"}:
        return False
    try:
        found = list(headers(folder))
        wanted = [run_header(description, each["task"], each["optimizer"]["name"], each["seed"]) for each in found]
    except (ValueError, KeyError, TypeError):
        return False
    held = [{key: header.get(key) for key in expected} for header, expected in zip(found, wanted, strict=True)]
    return bool(found) and held == wanted


def _id(task_or_id: str | Task) -> str:
    return task_or_id if isinstance(task_or_id, str) else task_or_id.id
