"""A run under way: what was asked and told, whoever evaluates, and what its trace already holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslab.errors import OutputError, PluginError
from naslab.evaluators import Evaluation, Fidelity
from naslab.evaluators.stopwatch import Stopwatch
from naslab.optimizers import AskTell, Optimizer, Query, Wait
from naslab.running.callbacks import Callback
from naslab.running.trace import Step, Told, Trace
from naslab.space import Architecture
from naslab.tasks import Problem, Task

MOST_FREE, MOST_IN_VAIN = 1_000_000, 10_000
"""Evaluations in a row that cost nothing, and that failed, too: a run with a budget in seconds would never end."""
READS = "reads"
"""Of a header: the sources of a run and what identifies their data. Of its last line: how much of each was read."""


def source_entries(problem: Problem) -> dict[str, Any]:
    """The sources of a problem and what identifies their data, for a header; nothing where it has none."""
    return {READS: {each.id: each.data for each in problem.sources}} if problem.sources else {}


def readings(optimizer: Optimizer) -> dict[str, Any]:
    """What a strategy has read of its sources, for the last line of a trace; nothing where it has none."""
    found = {each.id: {"evaluations": each.evaluations, "seconds": each.seconds} for each in optimizer.problem.sources}
    return {READS: found} if found else {}


class Session:
    """Asks an optimizer and tells it, checks both, and records.

    Args:
        task: The task.
        optimizer: Fresh, built from the task's problem.
        trace: Open; it may hold the beginning of this run. What it holds is told again, and must be asked again.
        several: Whether several workers evaluate: then the trace says who did what when.
        timed: Whether asking is measured.
        clocked: Whether the budget is in seconds.
        callbacks: Are told of every evaluation that is not yet in the trace.

    Attributes:
        asks: How many evaluations were asked for.
        told: How many of them were told.
        recorded: What the trace held, in the order in which it was told.
        known: The same by the numbers of the asks.
        timed: Whether asking is measured.
        asking: Seconds that the last ask took, where that is measured, or what the optimizer states that it costs.
    """

    def __init__(
        self,
        task: Task,
        optimizer: AskTell,
        trace: Trace,
        *,
        several: bool = False,
        timed: bool = False,
        clocked: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.task, self.optimizer, self.trace = task, optimizer, trace
        self.asks = self.told = 0
        self._step = trace.step
        self.asking = 0.0
        self.recorded = list(trace.recorded.steps)
        self.known = {step.ask: step for step in self.recorded}
        self.timed = timed
        self._several, self._clocked, self._callbacks = several, clocked, tuple(callbacks)
        self._continues = optimizer.continues
        self._space, self._problem = task.problem.space, task.problem
        self._unconstrained = not task.problem.constraint.limits and not task.problem.told
        self._trials = 0
        self._reached: dict[int, tuple[Architecture, Fidelity | None]] = {}
        self._open: set[int] = set()
        self._free = self._free_since = 0

    def ask(self, under_way: bool) -> Query | Wait | None:
        """What to evaluate next, with its trial; or that the optimizer waits, or has ended.

        Args:
            under_way: Whether anything is being evaluated.

        Raises:
            PluginError: It asks for something that can't be evaluated, or waits while nothing is under way.
            OutputError: It does not repeat what is recorded.
        """
        watch = Stopwatch(self._problem.device) if self.timed else None
        asked = self.optimizer.ask()
        if asked is None or isinstance(asked, Wait):
            if asked is not None and not under_way:
                raise PluginError(f"{self._who}.ask() waits while nothing is under way")
            return asked
        given, fidelity, trial = asked if type(asked) is Query else (asked, None, None)
        architecture = self.architecture(given, "ask")
        if fidelity is not None:
            self._check_fidelity(fidelity)
        if trial is None:
            trial = self._trials
            self._trials += 1
            if self._continues:
                self._reached[trial] = (architecture, None)
                self._open.add(trial)
        else:
            self._check_continued(architecture, fidelity, trial)
        query = Query(architecture, fidelity, trial)
        if self.known:
            self._check_recorded(query)
        self.asks += 1
        self.asking = self.optimizer.asking_seconds if watch is None else watch.seconds()
        return query

    def new_trial(self) -> int:
        """The number of a trial that begins."""
        self._trials += 1
        return self._trials - 1

    def since(self, trial: int | None) -> Fidelity | None:
        """What a trial was evaluated at."""
        return None if trial is None or trial not in self._reached else self._reached[trial][1]

    def tell(self, ask: int, query: Query, evaluation: Evaluation, told: Told | None = None, retried: Any = ()) -> None:
        """Tell an evaluation, and record it if it is not yet recorded."""
        if not evaluation.seconds and self._clocked:
            self._check_clock(evaluation)
        feasible = self._unconstrained or self._problem.is_feasible(query.architecture, evaluation)
        incumbent = self.optimizer.receive(query, evaluation, feasible)
        if self._continues:
            assert query.trial is not None
            self._open.discard(query.trial)
            if not evaluation.failed:
                fidelity = self._problem.fidelity if query.fidelity is None else query.fidelity
                self._reached[query.trial] = (query.architecture, fidelity)
        number = self.told
        self.told += 1
        if number < len(self.recorded):
            self._check_order(ask, self.recorded[number], told)
            return
        self._step(query, evaluation, feasible, incumbent, ask, told, retried)
        if self._callbacks:
            step = Step(query, evaluation, feasible, incumbent, ask, told, tuple(retried))
            for each in self._callbacks:
                each.told(step)

    def architecture(self, given: object, method: str) -> Architecture:
        """What an optimizer returned, in Python's numbers (JSON can't hold NumPy's); refused if no architecture."""
        space = self._space
        if type(given) is tuple and space.is_valid(given):
            if space.ranges:
                return space.architecture(given)
            whole = tuple(map(int, given))
            if whole == given:
                return whole
        raise PluginError(
            f"{self._who}.{method}() returned {given!r}, which is no architecture of {space.name!r}; "
            f"example: {space.first}"
        )

    def ended(self) -> None:
        """The trace is closed."""
        for each in self._callbacks:
            each.run_finished(self.trace.recorded)

    def another(self, what: str) -> OutputError:
        """The error for a run that is not repeated."""
        return OutputError(f"{what}: other code wrote this trace; move it away to run it again")

    @property
    def _who(self) -> str:
        return type(self.optimizer).__name__

    def _check_clock(self, evaluation: Evaluation) -> None:
        """Refuse a run that would never end; one evaluation that costs something begins the count anew."""
        if self._free_since != self.told - self._free:
            self._free_since, self._free = self.told, 0
        self._free += 1
        if evaluation.failed and self._free >= MOST_IN_VAIN:
            raise PluginError(
                f"{MOST_IN_VAIN:,} evaluations in a row cost nothing, and this one failed: {evaluation.failed}"
            )
        if self._free >= MOST_FREE:
            raise PluginError(f"{self.task.id!r} charges nothing: give the budget in evaluations")

    def _check_fidelity(self, fidelity: Fidelity) -> None:
        allowed = self._problem.fidelities
        if allowed and fidelity not in allowed:
            raise PluginError(
                f"{self._who} asks for the fidelity {fidelity!r}. Allowed on {self.task.id!r}: "
                f"{', '.join(map(str, allowed))}"
            )

    def _check_continued(self, architecture: Architecture, fidelity: Fidelity | None, trial: int) -> None:
        who = f"{self._who} continues trial {trial}"
        if not self._continues:
            raise PluginError(f"{who}; a strategy that does states `continues = True`")
        if trial not in self._reached:
            raise PluginError(f"{who}, which it has not begun; there are {self._trials}")
        if trial in self._open:
            raise PluginError(f"{who}, which is being evaluated")
        began, reached = self._reached[trial]
        if architecture != began:
            raise PluginError(f"{who} with {architecture}, which is another architecture: {began}")
        order = self._problem.fidelities
        wanted = self._problem.fidelity if fidelity is None else fidelity
        if reached is not None and (wanted not in order or order.index(wanted) <= order.index(reached)):
            raise PluginError(f"{who} at the fidelity {wanted!r}, which is not above {reached!r}, what it has reached")
        self._open.add(trial)

    def _check_recorded(self, query: Query) -> None:
        step = self.known.get(self.asks)
        if step is not None and step.query != query:
            raise self.another(
                f"evaluation {self.asks + 1} of the recorded run was {step.query.architecture}, but {self._who} now "
                f"asks {query.architecture}"
            )

    def _check_order(self, ask: int, step: Step, told: Told | None) -> None:
        if step.ask != ask or (self._several and told is not None and step.told != told):
            raise self.another(f"line {self.told + 1} of the recorded run is evaluation {step.ask + 1}, not {ask + 1}")
