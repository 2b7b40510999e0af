"""What is told of runs as they go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from naslab.running.trace import Recorded, Step
from naslab.running.workers import Progress
from naslab.tasks import Budget, Task


class Callback:
    """Is told when a run starts, after each of its evaluations (epochs, of a gradient search), and when it has ended.

    Whatever is not overridden does nothing. A run that is resumed tells what is new. Where runs are spread over
    processes, each process has a copy: what is remembered between runs stays there.
    """

    def run_started(self, task: Task, header: Mapping[str, Any]) -> None:
        """A run starts, or goes on.

        Args:
            task: Under its constraint.
            header: The run's specification, as in its trace: ``header["optimizer"]["name"]``, ``header["seed"]``,
                ``header["budget"]``...
        """

    def told(self, step: Step) -> None:
        """An evaluation was told and recorded."""

    def run_finished(self, recorded: Recorded) -> None:
        """A run has ended; ``recorded.end`` is its closing line."""


class ProgressOf(Callback):
    """Hands a run's progress to a function: what is spent, of how much, and what was found last and best.

    Args:
        report: Is called after every evaluation.
    """

    def __init__(self, report: Progress) -> None:
        self._report = report
        self._spent, self._best = 0.0, "nothing yet"

    def run_started(self, task: Task, header: Mapping[str, Any]) -> None:
        self._space, self._budget = task.problem.space, Budget.parse(header["budget"])
        self._spent, self._best = 0.0, "nothing yet"

    def told(self, step: Step) -> None:
        evaluation = step.evaluation
        if self._budget.unit != "s":
            self._spent = max(self._spent, step.ask + 1)
        else:
            self._spent = step.clock(self._spent)
        if step.incumbent:
            self._best = f"{evaluation.score:.6g} by {self._space.to_string(step.query.architecture)}"
        last = evaluation.failed or f"{evaluation.score:.6g}"
        self._report(int(self._spent), math.ceil(self._budget.amount), f"{last}; best {self._best}")
