"""Comparisons: tasks x optimizers x seeds, each run a trace in one folder.

::

    OUT/comparison.json                       what is compared, written first
    OUT/runs/<task>/<optimizer>/<seed>.jsonl  one trace per run
    OUT/times.jsonl                           measured wall seconds of runs; no trace depends on them

The same call again finishes what is missing and changes nothing that is there.
"""

from __future__ import annotations

import importlib.metadata
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from naslab import __version__
from naslab.choice import Architecture
from naslab.errors import InvalidValue, NaslabError, OutputError
from naslab.locking import lock
from naslab.loop import run, seed_sequence
from naslab.optimizers.base import Optimizer
from naslab.optimizers.spec import OptimizerSpec, optimizer_spec, plugin_error
from naslab.results import SPEC, Results
from naslab.tasks import Budget, Constraint, Task, task
from naslab.trace import FORMAT, Recorded, Trace, differences, read, trace_path

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called after every run with the number of runs done, their total, and the name of the last one."""
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
    """

    tasks: tuple[str | Task, ...]
    optimizers: tuple[str | type[Optimizer], ...]
    seeds: int
    budget: Budget
    constraint: Constraint

    def prepare(self) -> tuple[dict[str, Task], dict[str, OptimizerSpec]]:
        """Build everything once, so that whatever is wrong is said before anything is written."""
        if self.seeds < 1:
            raise InvalidValue(f"seeds {self.seeds}: at least 1")
        tasks = {_id(t): _task(t, self.constraint) for t in self.tasks}
        specs = {spec.label: spec for spec in map(optimizer_spec, self.optimizers)}
        if not tasks or not specs:
            raise InvalidValue("nothing to compare: give at least one task and one optimizer")
        if len(tasks) < len(self.tasks) or len(specs) < len(self.optimizers):
            raise InvalidValue("a task or an optimizer is named twice; name each once")
        for spec in specs.values():
            for one in tasks.values():
                spec.build(one.problem, np.random.default_rng(0))
        return tasks, specs

    def describe(self, specs: Mapping[str, OptimizerSpec]) -> dict[str, Any]:
        return {
            "naslab": __version__,
            "format": FORMAT,
            "tasks": [_id(t) for t in self.tasks],
            "optimizers": [spec.describe() for spec in specs.values()],
            "seeds": self.seeds,
            "budget": str(self.budget),
            "constraint": self.constraint.as_dict(),
        }


@dataclass(frozen=True)
class SearchResult:
    """What one search found.

    Attributes:
        task: Its task id.
        architecture: The best feasible architecture, or None if there was none.
        name: The architecture in the space's official notation.
        score: The reward it was chosen for (None without an architecture).
        truth: What the task's truth says about it.
        trace: Everything that was evaluated.
    """

    task: str
    architecture: Architecture | None
    name: str
    score: float | None
    truth: float | None
    trace: Recorded


def compare(
    tasks: Sequence[str | Task],
    optimizers: Sequence[str | type[Optimizer]],
    *,
    budget: str | int | float | Budget,
    out: str | Path,
    seeds: int = 10,
    workers: int = 1,
    max: Mapping[str, float] | Iterable[str] = (),
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run every optimizer on every task with every seed, and read the results.

    Args:
        tasks: Task ids (``naslab list tasks``), or tasks of one's own.
        optimizers: Names (``naslab list optimizers``), variants ``name[key=value]``, ``module:Class``,
            ``./file.py:Class``, or classes.
        budget: Of every run: ``"12000s"`` on the task's clock, or a number of evaluations.
        out: The folder of this comparison; the same call again finishes what is missing in it.
        seeds: Number of runs of every optimizer on every task.
        workers: Processes to use. The traces do not depend on it.
        max: Limits on costs, ``{"params": 41153}``.
        executor: Where to run instead, any :class:`concurrent.futures.Executor` that shares the file system.
        progress: Called after every run.

    Raises:
        NaslabError: For anything that is wrong with the arguments, before anything is written.
        OutputError: ``out`` holds another comparison, is in use, or can't be written.
    """
    if workers < 1:
        raise InvalidValue(f"workers {workers}: at least 1")
    comparison = Comparison(tuple(tasks), tuple(optimizers), seeds, Budget.parse(budget), Constraint.parse(max))
    prepared, specs = comparison.prepare()
    folder = Path(out)
    with _exclusive(folder):
        _claim(folder, comparison.describe(specs))
        jobs = _jobs(comparison, folder, workers)
        total = len(prepared) * len(specs) * seeds
        done = total - sum(len(job.seeds) for job in jobs)
        if progress:
            progress(done, total, "")
        for finished in _execute(jobs, workers, executor):
            done += 1
            with (folder / "times.jsonl").open("a") as times:
                times.write(json.dumps(finished) + "\n")
            if progress:
                progress(done, total, f"{finished['task']} {finished['optimizer']} {finished['seed']}")
    return Results(folder, {_id(t): one for t, one in zip(comparison.tasks, prepared.values(), strict=True)})


def search(
    task: str | Task,
    optimizer: str | type[Optimizer],
    *,
    budget: str | int | float | Budget,
    seed: int = 0,
    max: Mapping[str, float] | Iterable[str] = (),
    out: str | Path | None = None,
) -> SearchResult:
    """Run one search; the same run as with this seed in a comparison.

    Args:
        task: A task id, or a task of one's own.
        optimizer: As in :func:`compare`.
        budget: As in :func:`compare`.
        seed: 0 or more.
        max: Limits on costs.
        out: A folder for the trace ``<task>/<optimizer>/<seed>.jsonl``; resumed where it holds the beginning of this
            run.
    """
    if seed < 0:
        raise InvalidValue(f"seed {seed}: at least 0")
    constraint, spec = Constraint.parse(max), optimizer_spec(optimizer)
    prepared = _task(task, constraint)
    path = None if out is None else trace_path(Path(out), prepared.id, spec.label, seed)
    recorded = _run_one(prepared, spec, seed, Budget.parse(budget), path)
    if path is not None:
        recorded = read(path)
    assert recorded.end is not None
    if recorded.end["best"] is None:
        return SearchResult(prepared.id, None, "", None, None, recorded)
    best = tuple(recorded.end["best"])
    score = next((s.evaluation.score for s in reversed(recorded.steps) if s.incumbent), None)
    name = prepared.problem.space.to_string(best)
    return SearchResult(prepared.id, best, name, score, prepared.true_value(best), recorded)


@dataclass(frozen=True)
class _Job:
    """Runs of one optimizer on one task, for one worker."""

    folder: Path
    task: str | Task
    constraint: Constraint
    optimizer: str | type[Optimizer]
    budget: Budget
    seeds: tuple[int, ...]
    parent: int


def _run_one(task: Task, spec: OptimizerSpec, seed: int, budget: Budget, path: Path | None) -> Recorded:
    header = {
        "naslab": __version__,
        "format": FORMAT,
        "task": task.id,
        "source": dict(task.source),
        "constraint": task.problem.constraint.as_dict(),
        "optimizer": spec.describe(),
        "seed": seed,
        "budget": str(budget),
        "versions": _versions(),
    }
    key = (task.id, spec.label, seed)
    measured = task.reward().clock == "measured"
    with Trace(header, path, measured=measured) as trace:
        optimizer = spec.build(task.problem, np.random.default_rng(seed_sequence(*key, "optimizer")))
        try:
            return run(task, optimizer, budget, trace, seed_sequence(*key, "evaluations"))
        except NaslabError:
            raise
        except Exception as error:
            raise plugin_error(f"{spec.label!r} failed on {task.id}, seed {seed}", error, spec.factory) from error


def _run_job(job: _Job) -> list[dict[str, Any]]:
    """In a worker: the runs of a job, one after the other."""
    spec = optimizer_spec(job.optimizer)
    one = _task(job.task, job.constraint)
    finished = []
    for seed in job.seeds:
        if os.getpid() != job.parent and os.getppid() == 1:
            break  # the comparison was killed: leave the rest to the next one
        started = time.perf_counter()
        _run_one(one, spec, seed, job.budget, trace_path(job.folder, one.id, spec.label, seed))
        seconds = round(time.perf_counter() - started, 6)
        finished.append({"task": one.id, "optimizer": spec.label, "seed": seed, "wall_seconds": seconds})
    return finished


def _jobs(comparison: Comparison, folder: Path, workers: int) -> list[_Job]:
    """The runs that are not finished yet, cut into pieces."""
    jobs = []
    size = 1 if workers == 1 else max(1, min(LARGEST_CHUNK, comparison.seeds // (4 * workers)))
    for one in comparison.tasks:
        for optimizer in comparison.optimizers:
            label = optimizer_spec(optimizer).label
            missing = [
                seed for seed in range(comparison.seeds) if not _finished(trace_path(folder, _id(one), label, seed))
            ]
            jobs += [
                _Job(
                    folder,
                    one,
                    comparison.constraint,
                    optimizer,
                    comparison.budget,
                    tuple(chunk),
                    os.getpid(),
                )
                for chunk in (missing[i : i + size] for i in range(0, len(missing), size))
            ]
    return jobs


def _execute(jobs: Sequence[_Job], workers: int, executor: Executor | None) -> Iterator[dict[str, Any]]:
    if executor is None and (workers == 1 or len(jobs) <= 1):
        for job in jobs:
            yield from _run_job(job)
        return
    # Fresh processes: a forked one would inherit threads and locks of torch and of the caller.
    pool = executor or ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        futures = [pool.submit(_run_job, job) for job in jobs]
        for future in as_completed(futures):
            yield from future.result()
    finally:
        if executor is None:
            pool.shutdown(cancel_futures=True)


def _finished(path: Path) -> bool:
    """Whether a trace ends with its closing line; reads only the end of the file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            tail = file.read()
    except OSError:
        return False
    return tail.endswith(b"}\n") and tail[:-1].rpartition(b"\n")[2].startswith(b'{"end":')


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; refuse if another has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {(error.strerror or str(error)).lower()}") from None
    try:
        if not lock(descriptor, wait=False):
            raise OutputError(f"{folder} is in use by another naslab process; wait for it or give another --out")
        yield
    finally:
        os.close(descriptor)


def _claim(folder: Path, description: dict[str, Any]) -> None:
    """Write what is compared, or check that the folder holds the same comparison."""
    path = folder / SPEC
    try:
        if path.exists():
            found = json.loads(path.read_text())
            if found != description:
                raise OutputError(
                    f"{folder} holds another comparison: {differences(found, description)}; give another --out"
                )
            return
        others = sorted(p.name for p in folder.iterdir() if p.name != ".lock" and not p.name.startswith(f".{SPEC}"))
        if others:
            raise OutputError(
                f"{folder} is not empty ({others[0]}) and holds no comparison; give a new folder as --out"
            )
        draft = folder / f".{SPEC}.{os.getpid()}"
        draft.write_text(json.dumps(description, indent=1) + "\n")
        draft.rename(path)
    except json.JSONDecodeError:
        raise OutputError(f"{path} is damaged; give another --out") from None
    except OSError as error:
        raise OutputError(f"{folder} can't be written: {(error.strerror or str(error)).lower()}") from None


def _id(task_or_id: str | Task) -> str:
    return task_or_id if isinstance(task_or_id, str) else task_or_id.id


def _task(task_or_id: str | Task, constraint: Constraint) -> Task:
    if isinstance(task_or_id, str):
        return _named_task(task_or_id, constraint)
    return task_or_id.constrained(constraint) if constraint.limits else task_or_id


@cache
def _named_task(task_id: str, constraint: Constraint) -> Task:
    found = task(task_id)
    return found.constrained(constraint) if constraint.limits else found


@cache
def _versions() -> dict[str, str]:
    packages = ("numpy", "networkx", "optuna", "torch")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
    }
