"""The one loop that runs any black-box optimizer on any task and records the trace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np

from naslab.errors import OutputError, PluginError
from naslab.evaluators import Evaluator, check_charge
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.threads import one_thread
from naslab.optimizers import AskTell, Query
from naslab.running.trace import Recorded, Trace
from naslab.space import Architecture
from naslab.tasks import Budget, Task

FREE_EVALUATIONS = 1_000_000


def seed_sequence(*key: object) -> np.random.SeedSequence:
    """The seeds of one run, keyed by what identifies it: adding a run changes no other."""
    digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
    return np.random.SeedSequence(int.from_bytes(digest[:16], "big"))


class StepGenerator:
    """One generator, put into a fresh state before every evaluation.

    The state of step *n* depends on the run and on *n* alone, so that resuming needs no evaluation to be repeated. A
    new generator per step would cost 28 microseconds, this costs one.
    """

    def __init__(self, seeds: np.random.SeedSequence) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seeds))
        self._state = self.rng.bit_generator.state
        self._states = self._draw(np.random.Generator(np.random.PCG64(seeds.spawn(1)[0])))

    def next(self) -> np.random.Generator:
        """The generator for the next step."""
        self._state["state"]["state"] = next(self._states)
        self.rng.bit_generator.state = self._state
        return self.rng

    @staticmethod
    def _draw(rng: np.random.Generator) -> Iterator[int]:
        while True:
            for high, low in rng.integers(2**64, size=(256, 2), dtype=np.uint64).tolist():
                yield high << 64 | low


def run(task: Task, optimizer: AskTell, budget: Budget, trace: Trace, seeds: np.random.SeedSequence) -> Recorded:
    """Ask, evaluate, charge, tell and record until the budget is spent or the optimizer has nothing to ask.

    What the trace already holds is told again without being evaluated. An evaluation that would end past the budget
    does not count. Infeasible architectures are evaluated and charged. On a measured clock asking is charged, too: the
    seconds from the ask to the end of the evaluation (:class:`~naslab.evaluators.stopwatch.Stopwatch`). On a recorded
    clock (a table's) it costs what the optimizer states (:attr:`~naslab.optimizers.AskTell.asking_seconds`, usually 0).
    In the end the optimizer's finalists are evaluated once more, uncharged; their scores are in the trace's last line.

    Args:
        task: The task.
        optimizer: Fresh, built from the task's problem.
        budget: In evaluations, or in seconds on the clock that evaluations charge.
        trace: Open; it may hold the beginning of this run.
        seeds: For the evaluations.

    Raises:
        PluginError: The optimizer asks for (or returns) something that is no architecture of the space, or returns
            one that exceeds a limit; or the evaluator charges a time that is negative, infinite or NaN.
        OutputError: The trace can't be written, or the optimizer does not repeat what is recorded in it.
    """
    recorded = trace.recorded
    if recorded.end is not None:
        return recorded
    evaluator = task.reward()
    with one_thread() if evaluator.clock == "measured" else nullcontext():
        return _run(task, optimizer, budget, trace, StepGenerator(seeds), evaluator)


def _run(
    task: Task, optimizer: AskTell, budget: Budget, trace: Trace, generator: StepGenerator, evaluator: Evaluator
) -> Recorded:
    recorded = trace.recorded
    steps, clock = _replay(optimizer, evaluator, recorded, generator)
    measured = evaluator.clock == "measured"
    worth = second_worth(task) if measured else 1.0
    limit_steps = budget.amount if budget.unit == "evaluations" else float("inf")
    limit_seconds = budget.amount if budget.unit == "s" else float("inf")
    unconstrained = not task.problem.constraint.limits and not task.problem.told
    reason = "budget"
    while steps < limit_steps:
        watch = Stopwatch(task.problem.device) if measured else None
        asked = optimizer.ask()
        if asked is None:
            reason = "finished"
            break
        given, fidelity = asked if isinstance(asked, Query) else (asked, None)
        architecture = _architecture(given, task, optimizer, "ask")
        query = Query(architecture, fidelity)
        evaluation = evaluator.evaluate(architecture, fidelity=fidelity, rng=generator.next())
        if watch is not None:
            evaluation = evaluation._replace(seconds=watch.seconds() * worth)
        elif optimizer.asking_seconds:
            evaluation = evaluation._replace(seconds=evaluation.seconds + optimizer.asking_seconds)
        check_charge(evaluation, evaluator, architecture)
        if clock + evaluation.seconds > limit_seconds:
            break
        clock += evaluation.seconds
        steps += 1
        if clock == 0 and steps >= FREE_EVALUATIONS and limit_seconds < float("inf"):
            raise PluginError(f"{type(evaluator).__name__} charges nothing: give the budget in evaluations")
        feasible = unconstrained or task.problem.is_feasible(architecture, evaluation)
        incumbent = optimizer.receive(query, evaluation, feasible)
        trace.step(query, evaluation, feasible, incumbent)
    finalists = []
    for query in optimizer.finalists():
        architecture = _architecture(query.architecture, task, optimizer, "finalists")
        evaluation = evaluator.evaluate(architecture, fidelity=query.fidelity, rng=generator.next())
        feasible = task.problem.is_feasible(architecture, evaluation)
        optimizer.rank(Query(architecture, query.fidelity), evaluation, feasible)
        finalists.append({"architecture": list(architecture), "score": float(evaluation.score)})
    best = optimizer.best()
    if best is not None:
        best = _architecture(best, task, optimizer, "best")
        if not task.problem.is_feasible(best):
            raise PluginError(
                f"{type(optimizer).__name__}.best() returned {best}, which does not keep {task.problem.constraint}"
            )
    end = {"reason": reason, "best": None if best is None else list(best), "evaluations": steps}
    trace.finish({**end, "finalists": finalists} if finalists else end)
    return trace.recorded


def second_worth(task: Task) -> float:
    """Seconds on the task's clock per second measured here; 1 off the CPU, where the two can't be compared."""
    if task.calibration is None or task.problem.device != "cpu":
        return 1.0
    from naslab.evaluators.calibration import speed

    return speed(task.calibration)


def _architecture(given: object, task: Task, optimizer: AskTell, method: str) -> Architecture:
    """What an optimizer returned, in Python's numbers (JSON can't hold NumPy's); refused if not an architecture."""
    space = task.problem.space
    if type(given) is tuple and space.is_valid(given):
        if space.ranges:
            return space.architecture(given)
        whole = tuple(map(int, given))
        if whole == given:
            return whole
    raise PluginError(
        f"{type(optimizer).__name__}.{method}() returned {given!r}, which is no architecture of {space.name!r}; "
        f"example: {space.first}"
    )


def _replay(
    optimizer: AskTell, evaluator: Evaluator, recorded: Recorded, generator: StepGenerator
) -> tuple[int, float]:
    """Tell a fresh optimizer what is recorded; returns how many evaluations that is and what they cost.

    Only an evaluator with a state evaluates again, to get its state back.
    """
    clock = 0.0
    for number, step in enumerate(recorded.steps):
        asked = optimizer.ask()
        query = asked if isinstance(asked, Query) or asked is None else Query(asked)
        if query != step.query:
            raise OutputError(
                f"evaluation {number + 1} of the recorded run was {step.query.architecture}, but "
                f"{type(optimizer).__name__} now asks {query and query.architecture}: other code wrote this trace; "
                "move it away to run it again"
            )
        rng = generator.next()
        if evaluator.stateful:
            evaluator.evaluate(query.architecture, fidelity=query.fidelity, rng=rng)
        clock += step.evaluation.seconds
        optimizer.receive(step.query, step.evaluation, step.feasible)
    return len(recorded.steps), clock
