"""What an optimizer is. A black-box strategy in ten lines::

    class Random(naslab.AskTell):
        def ask(self):
            return self.problem.sample(self.rng)

        def tell(self, architecture, evaluation):
            pass

An optimizer is built from a problem, a generator and its hyperparameters (keyword arguments with defaults), and nothing
else: no global state, no clock, no data but the problem's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from naslab.evaluators import Evaluation, Fidelity
from naslab.space import Architecture
from naslab.tasks import Problem


class Query(NamedTuple):
    """An architecture, and how thoroughly it shall be evaluated.

    Attributes:
        architecture: A valid architecture of the problem's space.
        fidelity: One of the problem's fidelities; its default where None.
    """

    architecture: Architecture
    fidelity: Fidelity | None = None


class Optimizer(ABC):
    """A search strategy.

    Args:
        problem: All that may be known about the task.
        rng: The only source of randomness.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem = problem
        self.space = problem.space
        self.rng = rng

    @abstractmethod
    def best(self) -> Architecture | None:
        """The architecture that the search would return now; None where it has found no feasible one."""


@dataclass(frozen=True)
class Step:
    """What one unit of a gradient search's work left.

    Attributes:
        architecture: What the search would return now.
        score: How good the search thinks it is; higher is better.
        metrics: Such as losses and the entropy of the distribution over architectures.
        watching: CPU seconds of the epoch that went into finding out ``architecture`` and ``score``: the search doesn't
            need them, and isn't charged for them.
    """

    architecture: Architecture
    score: float
    metrics: Mapping[str, float]
    watching: float = field(default=0.0, compare=False)


class GradientSearch(Optimizer):
    """A strategy that learns from gradients through a supernet which it trains itself, an epoch at a time.

    It is a state machine: :meth:`state` after an epoch, restored into a fresh search of the same specification, goes on
    as if nothing had happened.

    Attributes:
        epochs: How many it plans to make; schedules span them.
    """

    epochs: int

    @abstractmethod
    def step(self) -> Step | None:
        """One epoch; None when the search has ended."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything that the next epochs depend on: numbers, lists, dictionaries and tensors."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


class AskTell(Optimizer):
    """A black-box strategy: it asks for evaluations and is told what they found.

    An interrupted run is resumed by asking again and telling what was recorded, so what is asked may depend on the
    problem, the generator and what was told, and on nothing else. Under a constraint an infeasible architecture may be
    asked for: it is evaluated and charged, and never returned.

    Attributes:
        asking_seconds: The price of the last :meth:`ask`, for strategies that look at networks before they ask. A
            clock that tables charge adds it to the evaluation's seconds: a stated price, so that a trace does not
            depend on how fast it was made. A measured clock leaves it alone: there asking is measured.
    """

    asking_seconds: float = 0.0

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self._incumbent: Architecture | None = None
        self._standing: tuple[int, float] = (-1, -float("inf"))

    @abstractmethod
    def ask(self) -> Architecture | Query | None:
        """What to evaluate next; None ends the run before its budget."""

    @abstractmethod
    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """What the evaluation of the last ask found. Its score may be any float, NaN and infinities included."""

    def best(self) -> Architecture | None:
        """The best feasible architecture told; among several fidelities the most thorough decides first."""
        return self._incumbent

    def finalists(self) -> Sequence[Query]:
        """What is evaluated once more when the budget is spent, uncharged and told to nobody, before :meth:`best`."""
        return ()

    def receive(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        """Note an evaluation and :meth:`tell` it. The loop calls this; strategies override :meth:`tell`.

        Returns:
            Whether it is the new incumbent.
        """
        better = self.rank(query, evaluation, feasible)
        self.tell(query.architecture, evaluation)
        return better

    def rank(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        """Note an evaluation without telling it; whether it is the new incumbent."""
        fidelities = self.problem.fidelities
        fidelity = self.problem.fidelity if query.fidelity is None else query.fidelity
        thoroughness = fidelities.index(fidelity) if fidelity in fidelities else 0
        standing = (thoroughness, evaluation.score)
        better = feasible and evaluation.score - evaluation.score == 0.0 and standing > self._standing  # finite
        if better:
            self._incumbent, self._standing = query.architecture, standing
        return better
