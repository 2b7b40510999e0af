"""What every strategy over rungs does: it numbers its trials and is told which of them reached which rung."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from naslab.errors import PluginError
from naslab.evaluators import Evaluation
from naslab.optimizers.base import AskTell, Query
from naslab.space import Architecture
from naslab.tasks import Problem

LOST = -float("inf")
"""The score of what failed, or exceeds a limit on a metric: it never goes on."""


class Climbing(AskTell):
    """A strategy whose trials climb rungs.

    Args:
        problem: The problem.
        rng: Its generator.
        rungs: Fidelities, rising: see :func:`~naslab.optimizers.multi_fidelity.rungs.rungs`.

    Attributes:
        trials: The architectures of all trials that were begun, in order; a trial's number is its place.
    """

    concurrent = True
    continues = True

    def __init__(self, problem: Problem, rng: np.random.Generator, rungs: tuple[int, ...]) -> None:
        super().__init__(problem, rng)
        self.rungs = rungs
        self.trials: list[Architecture] = []

    def newcomer(self, rung: int) -> Architecture:
        """An architecture that begins at a rung (by its place among the rungs): a uniform draw."""
        return self.problem.sample(self.rng)

    @abstractmethod
    def reached(self, trial: int, rung: int, score: float, evaluation: Evaluation) -> None:
        """Receive what a trial reached at a rung (by its place); the score of what can't go on is :data:`LOST`."""

    def begin(self, architecture: Architecture, rung: int) -> Query:
        """The query for a new trial."""
        self.trials.append(architecture)
        return Query(architecture, self.rungs[rung])

    def go_on(self, trial: int, rung: int) -> Query:
        """The query for a trial at a higher rung."""
        return Query(self.trials[trial], self.rungs[rung], trial)

    def told(self, query: Query, evaluation: Evaluation) -> None:
        assert query.trial is not None
        assert isinstance(query.fidelity, int)
        good = not evaluation.failure and self.problem.keeps(evaluation)
        rung = self.rungs.index(query.fidelity)
        self.reached(query.trial, rung, evaluation.score if good else LOST, evaluation)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        raise PluginError(
            f"{type(self).__name__} is told with told(query, evaluation), which says the trial and its rung"
        )
