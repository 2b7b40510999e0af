"""One run: its seeds, its trace, its result. A comparison is many of these."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import FOREIGN, InvalidValue, NaslabError
from naslab.evaluators.arithmetic import fixed_order
from naslab.evaluators.stopwatch import WALL
from naslab.optimizers import AskTell, GradientSearch, Optimizer, OptimizerSpec, optimizer_spec, plugin_error
from naslab.registry import called
from naslab.running.archives import FrontMember, front_members, objective_entries
from naslab.running.callbacks import Callback, ProgressOf
from naslab.running.execution import ALONE, Execution, parse_limit
from naslab.running.gradient_loop import run_gradient
from naslab.running.loop import check_workers, resume_of, run
from naslab.running.seeds import seed_sequence
from naslab.running.session import source_entries
from naslab.running.software import machine, placement_entries, versions
from naslab.running.trace import FORMAT, Recorded, Trace, read, trace_path
from naslab.running.workers import Progress
from naslab.space import Architecture
from naslab.tasks import Budget, Constraint, Placement, Problem, Task, task
from naslab.tasks.placement import AS_IT_IS, DEFAULT

VERSIONS = ("python", "numpy", "networkx", "optuna", "torch")


@dataclass(frozen=True)
class SearchResult:
    """What one search found.

    Attributes:
        task: Its task id.
        architecture: The best feasible architecture, or None if there was none.
        name: The architecture in the space's official notation.
        score: The reward it was chosen for, else its last one; None without an architecture, or if never evaluated.
        truth: What the task's truth says about it: its ``metric``, in its ``unit``.
        trace: Everything that was evaluated.
        failed: Whether there is no architecture because no evaluation gave a finite score.
        problem: What was searched, with its limits and objectives.
    """

    task: str
    architecture: Architecture | None
    name: str
    score: float | None
    truth: float | None
    metric: str
    unit: str
    trace: Recorded
    failed: bool = False
    problem: Problem | None = None

    def front(self) -> list[FrontMember]:
        """What no other evaluated architecture beats in all objectives, best score first."""
        assert self.problem is not None
        return front_members(self.problem, self.trace.steps)

    def _repr_html_(self) -> str:
        """What a notebook shows: what was found, what is known about it, and its picture where its space has one."""
        from naslab.analysis.notebook import card  # pandas and matplotlib take a second

        facts: dict[str, Any] = {"found": self.name or "no feasible architecture"}
        facts |= {} if self.score is None else {"reward": f"{self.score:.6g}"}
        facts |= {} if self.truth is None else {self.metric: f"{self.truth:.6g} {self.unit}".rstrip()}
        facts["evaluations"] = len(self.trace.steps)
        pictures = []
        if self.problem is not None and self.architecture is not None:
            with suppress(InvalidValue):  # too large to be read, or no network
                pictures = [(self.name, self.problem.space.draw(self.architecture))]
        return card(f"Search on {self.task} by {self.trace.header['optimizer']['name']}", facts, [], pictures)


def search(
    task: str | Task,
    optimizer: str | type[Optimizer],
    *,
    budget: str | int | float | Budget,
    seed: int = 0,
    max: Mapping[str, float] | Iterable[str] = (),
    objectives: Sequence[str] = (),
    out: str | Path | None = None,
    device: str | None = None,
    precision: str | None = None,
    deterministic: bool | None = None,
    resume: str | None = None,
    simulate_workers: int = 1,
    workers: int = 1,
    executor: Executor | None = None,
    on_failure: str = "record",
    retries: int = 0,
    evaluation_limit: str | float | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[Callback] = (),
) -> SearchResult:
    """Run one search; the same run as with this seed in a comparison.

    Args:
        task: A task id, or a task of one's own.
        optimizer: As in :func:`naslab.compare`.
        budget: As in :func:`naslab.compare`.
        seed: 0 or more.
        max: Limits on costs, or on metrics that the task's evaluations report.
        objectives: As in :func:`naslab.compare`.
        out: A folder for the trace ``runs/<task>/<optimizer>/<seed>.jsonl``; resumed where it holds the beginning of
            this run.
        device: Where networks run, if any do: see :meth:`naslab.tasks.Task.on`. By default the task's own, the CPU.
        precision: Of the forward passes of training steps: ``"float32"`` or ``"bfloat16"``; likewise.
        deterministic: Whether PyTorch takes only algorithms that add in a fixed order; likewise.
        resume: What evaluating a trial again, at a higher fidelity, does: see :class:`naslab.tasks.Task`.
        simulate_workers: Workers on the recorded clock of a table, as if so many machines evaluated.
        workers: Processes that evaluate at the same time. Their clock is the time since the run began.
        executor: Evaluates instead, ``workers`` at a time: any :class:`concurrent.futures.Executor` that shares the
            file system.
        on_failure: ``"record"`` keeps an evaluation that failed as a result with its reason; ``"raise"`` ends the run.
        retries: How often an evaluation that failed is tried again.
        evaluation_limit: Seconds (``"60s"``) after which an evaluation is stopped and counts as failed.
        progress: Called after every evaluation with what is spent and the budget, and what was found; for a gradient
            search after every epoch with the epochs made and planned.
        callbacks: Are told when the run starts, of every evaluation, and when it has ended.

    Raises:
        NaslabError: For anything that is wrong with the arguments, before anything is written.
    """
    if not isinstance(seed, int) or seed < 0:
        raise InvalidValue(f"seed {seed!r}: give a whole number of at least 0")
    constraint, spec = Constraint.parse(max), optimizer_spec(optimizer)
    limit = parse_limit(evaluation_limit)
    execution = Execution(simulate_workers, workers, executor, on_failure, retries, limit)
    prepared = constrained_task(task, constraint, Placement(device, precision, deterministic), resume, objectives)
    check_budget(spec, Budget.parse(budget))  # this and the next two refuse errors before anything is written
    spec.build(informed(prepared, spec).problem, np.random.default_rng(0))
    check_execution(prepared, [spec], execution, Budget.parse(budget))
    path = None if out is None else trace_path(Path(out), prepared.id, spec.label, seed)
    recorded = run_one(prepared, spec, seed, Budget.parse(budget), path, progress, execution, callbacks)
    if path is not None:
        recorded = read(path)
    assert recorded.end is not None
    if recorded.end["best"] is None:
        metric, unit, failed = prepared.metric, prepared.unit, has_failed(recorded)
        return SearchResult(prepared.id, None, "", None, None, metric, unit, recorded, failed, prepared.problem)
    best = tuple(recorded.end["best"])
    told = [step for step in reversed(recorded.steps) if step.query.architecture == best]
    scores = [step.evaluation.score for step in sorted(told, key=lambda s: not s.incumbent)]
    finals = [each["score"] for each in recorded.end.get("finalists", ()) if tuple(each["architecture"]) == best]
    score = next(iter([*finals, *scores]), None)
    name = prepared.problem.space.to_string(best)
    truth = prepared.true_value(best)
    metric, unit = prepared.metric, prepared.unit
    return SearchResult(prepared.id, best, name, score, truth, metric, unit, recorded, problem=prepared.problem)


def has_failed(recorded: Recorded) -> bool:
    """Whether a run failed: its weights diverged, or it evaluated architectures, and none got a finite score.

    Only those count that it might have returned; where no feasible architecture was evaluated at all, the others tell.
    """
    if recorded.end is not None and recorded.end["reason"] == "failed":
        return True
    steps = [step for step in recorded.steps if step.feasible] or recorded.steps
    return bool(steps) and not any(math.isfinite(step.evaluation.score) for step in steps)


def default_budget(spec: OptimizerSpec) -> str:
    """100 evaluations; for a gradient search all epochs that it plans, twice as many if it may go back."""
    if spec.unit != "epochs":
        return "100"
    settings = spec.describe()["hyperparameters"]
    return f"{settings['epochs'] * (2 if settings.get('stopping') == 'adaptive-l2' else 1)}epochs"


def check_budget(spec: OptimizerSpec, budget: Budget) -> None:
    """Refuse a budget in a unit that a strategy does not work in.

    Raises:
        InvalidValue: Evaluations for a gradient search, or epochs for a black-box strategy.
    """
    if budget.unit not in ("s", spec.unit):
        example = "50epochs" if spec.unit == "epochs" else "100"
        raise InvalidValue(f"budget {budget}: {spec.label!r} works in {spec.unit} ({example}) or in seconds (60s)")


def check_execution(task: Task, specs: Iterable[OptimizerSpec], execution: Execution, budget: Budget) -> None:
    """Refuse, before anything is written, what can't be carried out.

    Raises:
        InvalidValue: Several workers for an evaluator with a state, simulated ones on a measured clock, trials that
            can't continue, or a budget in seconds where none were recorded.
    """
    asking = [spec for spec in specs if issubclass(spec.factory, AskTell)]
    evaluator = called(f"the reward of {task.id!r} can't be made", task.reward) if asking else None
    for spec in asking:
        assert evaluator is not None
        if budget.unit == "s" and not evaluator.timed and not execution_of(spec, execution).real:
            raise InvalidValue(
                f"budget {budget} on {task.id!r}, whose table has no training seconds: nothing would be charged, and a "
                "run would never end. Fix: a number of evaluations, such as 100, or import train_seconds"
            )
        check_workers(task, evaluator, execution_of(spec, execution))
        if getattr(spec.factory, "continues", False):
            resume_of(task, evaluator)


def run_one(
    task: Task,
    spec: OptimizerSpec,
    seed: int,
    budget: Budget,
    path: Path | None,
    progress: Progress | None = None,
    execution: Execution = ALONE,
    callbacks: Sequence[Callback] = (),
    *,
    paired: bool = False,
) -> Recorded:
    """Run, or finish, one run.

    Args:
        task: The task, under its constraint.
        spec: The optimizer.
        seed: Which of the optimizer's runs.
        budget: What it may spend.
        path: Where its trace is; None keeps it in memory.
        progress: As of :func:`search`.
        execution: How evaluations are carried out; a gradient search has none.
        callbacks: Are told of what is new.
        paired: Whether the run begins with the same random numbers as those of other optimizers with this seed.
    """
    task, execution = placed(task, spec), execution_of(spec, execution)
    device, gradient = task.problem.device, issubclass(spec.factory, GradientSearch)
    evaluator = None if gradient else called(f"the reward of {task.id!r} can't be made", task.reward)
    measured = evaluator is None or evaluator.clock == "measured" or execution.real
    header = {
        **versions("naslab"),
        "format": FORMAT,
        "task": task.id,
        "source": dict(task.source),
        "constraint": task.problem.constraint.as_dict(),
        "optimizer": spec.describe(),
        "seed": seed,
        "budget": str(budget),
        "versions": versions(*VERSIONS) | ({"machine": machine(device)} if measured else {}),
    }
    header |= placement_entries(task.problem) | objective_entries(task.problem)
    if measured and device != "cpu":
        header["clock"] = WALL
    header |= execution.entries()
    if evaluator is not None and getattr(spec.factory, "continues", False):
        header["resume"] = resume_of(task, evaluator)
    if progress is not None and not gradient:
        callbacks = (*callbacks, ProgressOf(progress))
    if paired:
        header["paired"] = True
    problem = informed(task, spec).problem
    header |= source_entries(problem)
    key = (task.id, seed) if paired else (task.id, spec.label, seed)
    with Trace(header, path, measured=measured) as trace, fixed_order(task.problem.deterministic):
        optimizer = spec.build(problem, np.random.default_rng(seed_sequence(*key, "optimizer")))
        for each in callbacks if trace.recorded.end is None else ():
            each.run_started(task, trace.recorded.header)
        try:
            if isinstance(optimizer, GradientSearch):
                checkpoint = path and path.with_suffix(".checkpoint")
                return run_gradient(task, optimizer, budget, trace, checkpoint, progress, execution, callbacks)
            assert isinstance(optimizer, AskTell)
            kept = path and path.with_suffix(".trials")
            seeds = seed_sequence(*key, "evaluations")
            parts = (task, optimizer, budget, trace, seeds, execution)
            found = run(*parts, checkpoints=kept, callbacks=callbacks, evaluator=evaluator)
            if kept is not None and kept.exists():
                shutil.rmtree(kept)
            return found
        except NaslabError:
            raise
        except FOREIGN as error:
            raise plugin_error(f"{spec.label!r} failed on {task.id}, seed {seed}", error, spec.factory) from error


def execution_of(spec: OptimizerSpec, execution: Execution) -> Execution:
    """How a strategy is run: one that waits for every answer, with one worker."""
    return execution if getattr(spec.factory, "concurrent", False) else execution.alone()


def placed(task: Task, spec: OptimizerSpec) -> Task:
    """The task as a strategy runs on it: a run without networks is the same run, wherever it was to be."""
    return task if task.trains or spec.factory.runs_networks else task.on(*DEFAULT)


def informed(task: Task, spec: OptimizerSpec) -> Task:
    """The task with what else a strategy may read on it, unread: the sources that it names, else the problem's own.

    One that declares no ``sources`` may read none.

    Raises:
        NaslabError: A source is unknown, the task itself, over another space, or not recorded.
    """
    named = spec.sources
    if named:
        any_space = getattr(spec.factory, "any_space", False)
        return task.reading([_named_task(each, Constraint()) for each in named], any_space=any_space)
    sources = () if named is None else tuple(each.unread() for each in task.problem.sources)
    if sources == task.problem.sources:
        return task
    return replace(task, problem=replace(task.problem, sources=sources))


def constrained_task(
    task_or_id: str | Task,
    constraint: Constraint,
    placement: Placement = AS_IT_IS,
    resume: str | None = None,
    objectives: Sequence[str] = (),
) -> Task:
    """A task under a constraint, placed, with objectives; tasks named by id are built once per process."""
    if isinstance(task_or_id, str):
        found = _named_task(task_or_id, constraint)
    else:
        found = task_or_id.constrained(constraint) if constraint.limits else task_or_id
    found = (found.optimising(objectives) if objectives else found).on(*placement)
    return found if resume is None else found.resuming(resume)


def forget_tasks() -> None:
    """Look tasks up again: a table may have been imported again meanwhile."""
    _named_task.cache_clear()


@cache
def _named_task(task_id: str, constraint: Constraint) -> Task:
    found = task(task_id)
    return found.constrained(constraint) if constraint.limits else found
