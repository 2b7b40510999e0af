"""The loop that runs any black-box optimizer on any task and records the trace.

There is one loop for one worker and for simulated ones, an event queue on the clock that evaluations charge, and one
for real workers (:mod:`naslab.running.real_workers`). What is asked and told is checked and recorded by one
:class:`~naslab.running.session.Session`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from naslab.errors import InvalidValue, PluginError
from naslab.evaluators import Evaluation, Evaluator
from naslab.evaluators.threads import one_thread
from naslab.optimizers import AskTell, Query, Wait
from naslab.running.attempt import Manner
from naslab.running.callbacks import Callback
from naslab.running.crew import Beside, Crew, Helpers, Here, OnExecutor
from naslab.running.execution import ALONE, Execution
from naslab.running.real_workers import run_real
from naslab.running.seeds import TrialGenerator
from naslab.running.session import Session, readings
from naslab.running.trace import Recorded, Told, Trace
from naslab.space import Architecture
from naslab.tasks import Budget, Task

Pending: TypeAlias = tuple[float, int, int, Query, Evaluation, Sequence[str]]


def run(
    task: Task,
    optimizer: AskTell,
    budget: Budget,
    trace: Trace,
    seeds: np.random.SeedSequence,
    execution: Execution = ALONE,
    *,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    evaluator: Evaluator | None = None,
) -> Recorded:
    """Ask, evaluate, charge, tell and record until the budget is spent or the optimizer has nothing to ask.

    What the trace already holds is told again without being evaluated. An evaluation that would end past the budget
    does not count. Infeasible architectures are evaluated and charged. On a measured clock asking is charged, too: the
    seconds from the ask to the end of the evaluation (:class:`~naslab.evaluators.stopwatch.Stopwatch`). On a recorded
    clock (a table's) it costs what the optimizer states (:attr:`~naslab.optimizers.AskTell.asking_seconds`, usually 0).
    In the end the optimizer's finalists are evaluated once more, uncharged; their scores are in the trace's last line.

    *Simulated workers* share the clock: an evaluation ends its seconds after it was begun. All that end at one time are
    told in the order of their asks, then idle workers ask in the order of their numbers. A budget in evaluations counts
    those that are begun; one in seconds is the clock at the end: a worker whose next evaluation would end later stops.
    With one worker this is a plain loop.

    *Failures* (an exception, no number, or what :class:`~naslab.running.execution.Execution` limits) are told and
    recorded as results. They cost what was measured; on a recorded clock what the exception states
    (``error.seconds``), else nothing; an evaluation that ran out of time costs its limit.

    Args:
        task: The task.
        optimizer: Fresh, built from the task's problem.
        budget: In evaluations, or in seconds on the clock that evaluations charge.
        trace: Open; it may hold the beginning of this run.
        seeds: For the evaluations.
        execution: By how many workers, and what happens when an evaluation fails.
        checkpoints: A folder for trials that go on; a temporary one by default.
        callbacks: Are told of what is new.
        evaluator: Of the task's reward, fresh, where one was made already.

    Raises:
        PluginError: The optimizer asks for (or returns) something that is no architecture of the space, or returns
            one that exceeds a limit; waits while nothing is under way; or, where failures are not recorded, the
            evaluator charges a time that is negative, infinite or NaN.
        InvalidValue: Several workers for an evaluator with a state, or simulated ones on a measured clock.
        OutputError: The trace can't be written, or the optimizer does not repeat what is recorded in it.
    """
    recorded = trace.recorded
    if recorded.end is not None:
        return recorded
    evaluator = task.reward() if evaluator is None else evaluator
    if execution.several:
        _check_concurrent(optimizer)
    check_workers(task, evaluator, execution)
    measured = evaluator.clock == "measured"
    goes_on = optimizer.continues and resume_of(task, evaluator) == "continue"
    folder = TemporaryDirectory() if goes_on and checkpoints is None else nullcontext(checkpoints)
    with folder as kept, one_thread() if measured else nullcontext():
        manner = Manner(
            task.problem.device,
            second_worth(task) if measured else None,
            execution.on_failure == "record",
            Path(kept) if goes_on and kept is not None else None,
        )
        crew = _crew(task, evaluator, seeds, execution, manner)
        session = Session(
            task, optimizer, trace, several=execution.several, timed=measured,
            clocked=budget.unit == "s", callbacks=callbacks,
        )  # fmt: skip
        try:
            if isinstance(crew, Beside) and execution.real:
                reason = run_real(session, crew, budget, manner.worth or 1.0)
            else:
                reason = _run(session, crew, budget, execution.simulated, manner.worth or 1.0)
            _finish(session, crew, reason)
        finally:
            crew.close()
    return trace.recorded


def _run(session: Session, crew: Crew, budget: Budget, workers: int, worth: float) -> str:
    """One worker, or several on a simulated clock; returns why it ended."""
    limit_asks = budget.amount if budget.unit == "evaluations" else math.inf
    limit_seconds = budget.amount if budget.unit == "s" else math.inf
    measured, several, known, continues = session.timed, workers > 1, session.known, session.optimizer.continues
    clock, reason, dropped = 0.0, "budget", False
    idle = list(range(workers))
    pending: list[Pending] = []
    while True:
        while idle and session.asks < limit_asks:
            query = session.ask(bool(pending) or dropped)  # what it waits for may be what did not count
            if isinstance(query, Wait):
                break
            if query is None:
                reason, limit_asks = "finished", 0
                break
            number = session.asks - 1
            since = session.since(query.trial) if continues else None
            evaluation, retried = crew.evaluate(number, query, since, known.get(number) if known else None)
            if session.asking and number not in known:
                asking = session.asking * worth if measured else session.asking
                evaluation = evaluation._replace(seconds=evaluation.seconds + asking)
            ends = clock + evaluation.seconds
            if not several:  # there is nothing else to wait for
                if ends > limit_seconds:
                    return reason
                clock = ends
                session.tell(number, query, evaluation, None, retried)
                continue
            worker = heapq.heappop(idle)
            if ends > limit_seconds:
                dropped = True
                continue  # this worker has no time for it: it stops
            heapq.heappush(pending, (ends, number, worker, query, evaluation, retried))
        if not pending:
            return reason
        clock = pending[0][0]
        while pending and pending[0][0] == clock:
            _, number, worker, query, evaluation, retried = heapq.heappop(pending)
            session.tell(number, query, evaluation, Told(session.asks, worker, clock), retried)
            heapq.heappush(idle, worker)


def _finish(session: Session, crew: Crew, reason: str) -> None:
    """Evaluate the finalists, and close the trace with what the optimizer returns."""
    optimizer, problem = session.optimizer, session.task.problem
    finalists = []
    for query in optimizer.finalists():
        architecture = session.architecture(query.architecture, "finalists")
        last = Query(architecture, query.fidelity, session.new_trial())
        evaluation, _ = crew.evaluate(session.asks, last, None, None)
        optimizer.rank(last, evaluation, problem.is_feasible(architecture, evaluation))
        finalists.append({"architecture": list(architecture), "score": float(evaluation.score)})
    best: Architecture | None = optimizer.best()
    if best is not None:
        best = session.architecture(best, "best")
        if not problem.is_feasible(best):
            raise PluginError(
                f"{type(optimizer).__name__}.best() returned {best}, which does not keep {problem.constraint}"
            )
    end: dict[str, Any] = {
        "reason": reason, "best": None if best is None else list(best), "evaluations": session.told
    }  # fmt: skip
    end |= readings(optimizer)
    session.trace.finish({**end, "finalists": finalists} if finalists else end)
    session.ended()


def _crew(
    task: Task, evaluator: Evaluator, seeds: np.random.SeedSequence, execution: Execution, manner: Manner
) -> Crew:
    """Who evaluates."""
    if execution.executor is not None:
        return OnExecutor(execution.executor, execution.workers, task, seeds, manner, execution.retries)
    if execution.workers > 1 or execution.limit is not None:
        return Helpers(execution.workers, task, seeds, manner, execution.retries, execution.limit)
    return Here(evaluator, TrialGenerator(seeds), manner, execution.retries)


def _check_concurrent(optimizer: AskTell) -> None:
    if not optimizer.concurrent:
        raise PluginError(
            f"{type(optimizer).__name__} waits for every answer: it runs with one worker (one that need not wait "
            "states `concurrent = True`)"
        )


def check_workers(task: Task, evaluator: Evaluator, execution: Execution) -> None:
    """Refuse workers that can't evaluate what a task rewards.

    Raises:
        InvalidValue: Several for an evaluator with a state, or simulated ones on a measured clock.
    """
    if evaluator.stateful and (execution.several or execution.limit is not None):
        raise InvalidValue(
            f"{task.id!r}: {type(evaluator).__name__} has a state that every evaluation changes: it takes one worker, "
            "and no limit per evaluation"
        )
    if execution.simulated > 1 and evaluator.clock == "measured":
        raise InvalidValue(
            f"simulated workers on {task.id!r}, whose clock is measured: nothing is recorded that could be simulated. "
            "Fix: real workers (workers=N), or a task of a table"
        )


def resume_of(task: Task, evaluator: Evaluator) -> str:
    """``"continue"`` where a trial goes on from what it has reached, ``"scratch"`` where it begins again.

    Raises:
        InvalidValue: The task says that trials continue, and its evaluator can't.
    """
    if task.resume == "continue" and not evaluator.continues:
        raise InvalidValue(
            f"resume='continue' on {task.id!r}: {type(evaluator).__name__} can't go on with a trial. Fix: "
            "resume='scratch'"
        )
    return task.resume or ("continue" if evaluator.continues else "scratch")


def second_worth(task: Task) -> float:
    """Seconds on the task's clock per second measured here; 1 off the CPU, where the two can't be compared."""
    if task.calibration is None or task.problem.device != "cpu":
        return 1.0
    from naslab.evaluators.calibration import speed

    return speed(task.calibration)
