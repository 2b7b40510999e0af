"""Checks of optimizers."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from naslab.errors import InvalidValue
from naslab.optimizers import AskTell, Optimizer, optimizer_spec
from naslab.running import search, trace_path
from naslab.tasks import Budget, Problem, Source, Task
from naslab.testing.common import context, expect, global_randomness_untouched
from naslab.testing.toys import SEED, ToyReward, toy_tasks, toy_trainings, toy_trials

EVALUATIONS, EPOCHS = 40, 3
WORKERS = 4


def check_optimizer(optimizer: str | type[Optimizer]) -> None:
    """Check an optimizer on every toy task: a gradient search on those with rows, for three epochs.

    It must ask for valid architectures only, keep within the budget, survive scores that are not finite, give the same
    trace for the same seed (in a fresh process with another hash seed, too), resume to the same trace, return a
    feasible architecture, and leave the problem and the global random states alone. A space with ranges and a recipe it
    may also refuse, in one line, when it is built.

    One that declares ``sources`` has two on every toy task, one of which is often no number: give it here without.

    One that is ``concurrent`` must do the same with four workers, and one that ``continues`` trials with trials that go
    on; some of these evaluations fail. Every toy task offers 1, 3 and 9 epochs to the latter.

    Args:
        optimizer: A name as on the command line (``module:Class``, ``./file.py:Class``), or a class at module level.

    Raises:
        ConformanceError: A check fails.
    """
    label = optimizer_spec(optimizer).label
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: _checked_trace(optimizer, task, Path(folder)) for name, task in _accepted(label).items()}
        _check_trials(optimizer, Path(folder))
    for name, content in _traces_elsewhere(label).items():
        expect(traces[name].decode() == content, f"{label} on toy/{name}: a fresh process gave another trace")


def _checked_trace(optimizer: str | type[Optimizer], task: Task, folder: Path) -> bytes:
    """Check one task; returns the trace."""
    label = optimizer_spec(optimizer).label
    before = _fingerprint(task.problem)
    with context(f"{label} on {task.id}"):
        # Imports of the first build may draw random numbers (scikit-learn does), which is not the optimizer's doing.
        optimizer_spec(optimizer).build(task.problem, np.random.default_rng(SEED))
    with context(f"{label} on {task.id}"), global_randomness_untouched():
        content = _trace(optimizer, task, folder / "first")
        result = search(task, optimizer, budget=_budget(label), seed=SEED, out=folder / "first")
        expect(_fingerprint(task.problem) == before, "the problem was changed")
        most = Budget.parse(_budget(label)).amount
        expect(len(result.trace.steps) <= most, f"{len(result.trace.steps)} {optimizer_spec(label).unit} were made")
        if result.architecture is not None:
            feasible = task.problem.is_feasible(result.architecture)
            expect(feasible, f"best() is {result.architecture}, which breaks {task.problem.constraint}")
        expect(_trace(optimizer, task, folder / "second") == content, "the same seed gave another trace")
        lines = content.splitlines(keepends=True)
        for kept in sorted({1, len(lines) // 2, len(lines) - 1}):
            third = folder / f"resumed{kept}"
            path = trace_path(third, task.id, label, SEED)
            path.parent.mkdir(parents=True)
            path.write_bytes(b"".join(lines[:kept]) + lines[min(kept, len(lines) - 1)][:5])
            for side in trace_path(folder / "first", task.id, label, SEED).parent.glob("*.seconds"):
                (path.parent / side.name).write_bytes(side.read_bytes())
            expect(_trace(optimizer, task, third) == content, f"a run cut after line {kept} resumed to another trace")
        if optimizer_spec(label).unit == "epochs":
            return content  # its seconds are measured
        seconds = search(task, optimizer, budget="50s", seed=SEED).trace.steps
        expect(math.fsum(s.evaluation.seconds for s in seconds) <= 50, "a budget of 50 s was exceeded")
    return content


def _check_trials(optimizer: str | type[Optimizer], folder: Path) -> None:
    """Check a strategy that states that it need not wait, or goes on with trials, on evaluations that may fail."""
    spec = optimizer_spec(optimizer)
    task = _with_sources(toy_trials()) if spec.sources is not None else toy_trials()
    if not issubclass(spec.factory, AskTell) or not (spec.factory.concurrent or spec.factory.continues):
        return
    for workers in (1, WORKERS) if spec.factory.concurrent else (1,):
        with context(f"{spec.label} on {task.id} with {workers} workers"), global_randomness_untouched():
            made = [folder / f"{workers}-{name}" for name in ("first", "second", "resumed")]
            traces = []
            for each in made[:2]:
                result = search(task, optimizer, budget="150s", seed=SEED, out=each, simulate_workers=workers)
                traces.append(trace_path(each, task.id, spec.label, SEED).read_bytes())
            expect(traces[0] == traces[1], "the same seed gave another trace")
            if result.architecture is None:
                expect(not result.trace.steps, "it evaluated, and best() is None")
            expect(all(step.told is None or step.told.at <= 150 for step in result.trace.steps), "150 s were exceeded")
            path = trace_path(made[2], task.id, spec.label, SEED)
            path.parent.mkdir(parents=True)
            lines = traces[0].splitlines(keepends=True)
            path.write_bytes(b"".join(lines[: len(lines) // 2]))
            search(task, optimizer, budget="150s", seed=SEED, out=made[2], simulate_workers=workers)
            expect(path.read_bytes() == traces[0], "a run that was cut resumed to another trace")


def _trace(optimizer: str | type[Optimizer], task: Task, folder: Path) -> bytes:
    label = optimizer_spec(optimizer).label
    search(task, optimizer, budget=_budget(label), seed=SEED, out=folder)
    return trace_path(folder, task.id, label, SEED).read_bytes()


def _tasks(label: str) -> dict[str, Task]:
    spec = optimizer_spec(label)
    tasks = toy_trainings() if spec.unit == "epochs" else toy_tasks()
    if spec.unit != "epochs" and issubclass(spec.factory, AskTell) and spec.factory.continues:
        tasks = {name: _with_fidelities(task) for name, task in tasks.items()}
    return tasks if spec.sources is None else {name: _with_sources(task) for name, task in tasks.items()}


def _with_sources(task: Task) -> Task:
    """The task with two others to read from, one of which is often no number."""
    own = task.problem
    sources = [
        Source(f"{task.id}-{name}", own.space, ToyReward(broken=broken), own.fidelities, own.fidelity)
        for name, broken in (("before", False), ("elsewhere", True))
    ]
    return dataclasses.replace(task, problem=dataclasses.replace(own, sources=tuple(sources)))


def _with_fidelities(task: Task) -> Task:
    return dataclasses.replace(task, problem=dataclasses.replace(task.problem, fidelities=(1, 3, 9), fidelity=9))


def _accepted(label: str) -> dict[str, Task]:
    """The toy tasks without those that the optimizer refuses, which may be a joint search alone."""
    tasks = _tasks(label)
    if "joint" in tasks:
        try:
            optimizer_spec(label).build(tasks["joint"].problem, np.random.default_rng(SEED))
        except InvalidValue as error:
            expect("\n" not in str(error), f"{label} refuses toy/joint in more than one line: {error}")
            del tasks["joint"]
    return tasks


def _budget(label: str) -> str:
    return f"{EPOCHS}epochs" if optimizer_spec(label).unit == "epochs" else f"{EVALUATIONS}"


def _traces_elsewhere(label: str) -> dict[str, str]:
    """The same runs in a fresh process, with another hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
    command = [sys.executable, "-m", "naslab.testing", label]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    complaint = done.stderr.decode().strip()[-300:]
    expect(done.returncode == 0, f"{label} fails in a fresh process (is it at module level?): {complaint}")
    traces: dict[str, str] = json.loads(done.stdout)
    return traces


def print_traces(label: str) -> None:
    """What an optimizer's traces on the toy tasks are, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: _trace(label, task, Path(folder)).decode() for name, task in _accepted(label).items()}
    print(json.dumps(traces))


def _fingerprint(problem: Problem) -> str:
    space = problem.space
    graph = repr(list(space.graph.nodes(data=True))), repr(list(space.graph.edges(data=True)))
    return repr((graph, space.choices, space.rules, problem.constraint, problem.fidelities, problem.fidelity))
