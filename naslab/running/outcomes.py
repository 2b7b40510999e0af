"""What a run came to: its incumbents and its result, all that is kept where a whole trace would be too much."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from naslab.analysis.carried_out import FAILURES, MAKESPAN, READ, READ_SECONDS, REASON, RESUME, UTILISATION
from naslab.analysis.data import COMPLETE, FAILED, NO_FEASIBLE
from naslab.running.runs import has_failed
from naslab.running.session import READS
from naslab.running.trace import Recorded
from naslab.space import Architecture
from naslab.tasks import Problem


class Incumbent(NamedTuple):
    """What a run held for the best from one of its evaluations on.

    Attributes:
        evaluations: How many there had been, this one included.
        seconds: The run's clock at its end.
        reward: Its score.
        architecture: What was evaluated.
    """

    evaluations: int
    seconds: float
    reward: float
    architecture: Architecture


@dataclass(frozen=True)
class Outcome:
    """A finished run before it is judged.

    Attributes:
        status: Whether it is complete, or why it has no architecture (:mod:`naslab.analysis.data`).
        best: The architecture that it returned.
        evaluations: How many were told.
        seconds: The sum of what they were charged.
        incumbents: In their order.
        carried_out: Columns on failures, sources, workers and trials that go on, where there are any.
        metrics: What the evaluation of ``best`` reported of the problem's metrics.
    """

    status: str
    best: Architecture | None
    evaluations: int
    seconds: float
    incumbents: tuple[Incumbent, ...]
    carried_out: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def reward(self) -> float:
        """The score that ``best`` was chosen for; NaN where it never was the incumbent."""
        return next((each.reward for each in reversed(self.incumbents) if each.architecture == self.best), math.nan)


def outcome_of(problem: Problem, recorded: Recorded) -> Outcome:
    """The outcome of a finished run of a problem."""
    assert recorded.end is not None
    seconds = math.fsum(step.evaluation.seconds for step in recorded.steps)
    clocked = zip(recorded.steps, recorded.clocks(), strict=True)
    incumbents = tuple(
        Incumbent(number, clock, step.evaluation.score, step.query.architecture)
        for number, (step, clock) in enumerate(clocked, start=1)
        if step.incumbent
    )
    carried_out = _carried_out(recorded, seconds)
    if problem.constraint.limits:
        carried_out["infeasible"] = sum(not step.feasible for step in recorded.steps)
    found = recorded.end["best"]
    best: Architecture | None = None if found is None else tuple(found)
    status = COMPLETE if best is not None else FAILED if has_failed(recorded) else NO_FEASIBLE
    chosen = [step for step in recorded.steps if step.query.architecture == best]
    told = sorted(chosen, key=lambda step: step.incumbent)[-1].evaluation.metrics if chosen else {}
    metrics = {name: told[name] for name in problem.measurable if name in told}
    return Outcome(status, best, len(recorded.steps), seconds, incumbents, carried_out, metrics)


def _carried_out(recorded: Recorded, seconds: float) -> dict[str, Any]:
    """What failed, what was read of other tasks, how long several workers took and how busy they were, if at all."""
    failed = [step.evaluation.failed for step in recorded.steps if step.evaluation.failed]
    found: dict[str, Any] = {}
    if failed:
        kinds = Counter(reason.partition(":")[0] for reason in failed)
        found = {FAILURES: len(failed), **{f"{FAILURES}: {kind}": count for kind, count in kinds.items()}}
        found[REASON] = Counter(failed).most_common(1)[0][0]
    if READS in recorded.header:
        assert recorded.end is not None
        read = recorded.end[READS].values()
        found[READ] = sum(each["evaluations"] for each in read)
        found[READ_SECONDS] = math.fsum(math.nan if each["seconds"] is None else each["seconds"] for each in read)
    if RESUME in recorded.header:
        found[RESUME] = recorded.header[RESUME]
    if "workers" in recorded.header and recorded.steps:
        makespan = max(step.told.at for step in recorded.steps if step.told is not None)
        ((_, workers),) = recorded.header["workers"].items()
        found |= {MAKESPAN: makespan, UTILISATION: seconds / (workers * makespan) if makespan else math.nan}
    return found
