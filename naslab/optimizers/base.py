"""What an optimizer is. A black-box strategy in five lines::

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
from typing import Any, ClassVar, NamedTuple

import numpy as np

from naslab.evaluators import Evaluation, Fidelity
from naslab.space import Architecture
from naslab.tasks import Problem


class Query(NamedTuple):
    """An architecture, and how thoroughly it shall be evaluated.

    Attributes:
        architecture: A valid architecture of the problem's space.
        fidelity: One of the problem's fidelities; None for its default.
        trial: The trial that is evaluated more thoroughly, by its number; None begins one. Trials are numbered from 0
            in the order in which they are begun.
    """

    architecture: Architecture
    fidelity: Fidelity | None = None
    trial: int | None = None


class Wait:
    """What :meth:`AskTell.ask` answers when it has nothing to evaluate before it is told more; see ``concurrent``."""


class Optimizer(ABC):
    """A search strategy.

    Args:
        problem: All that may be known about the task.
        rng: The only source of randomness.

    Attributes:
        runs_networks: Whether it runs networks itself; they are then on the problem's device. Of a run in which
            neither the strategy nor the reward does, no device is recorded.
    """

    runs_networks: ClassVar[bool] = False

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.problem = problem
        self.space = problem.space
        self.rng = rng

    @abstractmethod
    def best(self) -> Architecture | None:
        """The architecture that the search would return now; None where it has found no feasible one."""


@dataclass(frozen=True)
class Step:
    """The result of one epoch of a gradient search.

    Attributes:
        architecture: What the search would return now.
        score: How good the search thinks it is; higher is better.
        metrics: Numbers such as losses and the entropy of the distribution over architectures.
        watching: Seconds of the epoch (see :class:`~naslab.evaluators.stopwatch.Stopwatch`) spent on ``architecture``
            and ``score``. They are not charged, because the search itself needs neither.
    """

    architecture: Architecture
    score: float
    metrics: Mapping[str, float]
    watching: float = field(default=0.0, compare=False)


class GradientSearch(Optimizer):
    """A strategy that learns from gradients through a supernet which it trains itself, an epoch at a time.

    A fresh search of the same specification, given the :meth:`state` after an epoch, continues as if never interrupted.

    Attributes:
        epochs: Number of epochs planned; schedules span them.
    """

    runs_networks = True
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
    """A black-box strategy: it asks for evaluations and is told their results.

    An interrupted run is resumed by asking again and telling what was recorded. What is asked may therefore depend on
    the problem, the generator and what was told, and on nothing else. Under a constraint an infeasible architecture may
    be asked for: it is evaluated and charged, but never returned.

    Attributes:
        concurrent: Whether it may be asked again before it was told what it asked for, as several workers do. It is
            then told in the order in which evaluations end, knows what is under way by what it asked, and may answer
            :class:`Wait`, without changing its state, as long as anything is.
        continues: Whether it asks for trials again, at higher fidelities. Results of trials carry learning curves.
        asking_seconds: The price of the last :meth:`ask`, for strategies that look at networks before they ask. On a
            recorded clock (a table's) it is added to the evaluation's seconds: a stated price, so that a trace does not
            depend on the machine's speed. On a measured clock it is ignored: asking is measured there.
    """

    concurrent: ClassVar[bool] = False
    continues: ClassVar[bool] = False
    asking_seconds: float = 0.0

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self._incumbent: Architecture | None = None
        self._standing: tuple[int, float] = (-1, -float("inf"))
        self._usual = problem.thoroughness(None)

    @abstractmethod
    def ask(self) -> Architecture | Query | Wait | None:
        """What to evaluate next; None ends the asking before the budget is spent."""

    @abstractmethod
    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        """Receive a result. Its score may be any float, NaN and infinities included; ``failure`` then says why."""

    def told(self, query: Query, evaluation: Evaluation) -> None:
        """Receive a result with its query: the fidelity, and the number of the trial. By default: :meth:`tell`."""
        self.tell(query.architecture, evaluation)

    def best(self) -> Architecture | None:
        """The best feasible architecture told; a higher fidelity ranks above any lower one."""
        return self._incumbent

    def finalists(self) -> Sequence[Query]:
        """What is evaluated once more when the budget is spent, before :meth:`best`; neither charged nor told."""
        return ()

    def receive(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        """Note an evaluation and hand it to :meth:`told`. The loop calls this; strategies override the others.

        Returns:
            Whether it is the new incumbent.
        """
        better = self.rank(query, evaluation, feasible)
        self.told(query, evaluation)
        return better

    def rank(self, query: Query, evaluation: Evaluation, feasible: bool) -> bool:
        """Note an evaluation without telling it; returns whether it is the new incumbent."""
        score, fidelity = evaluation.score, query.fidelity
        if not feasible or score - score != 0.0:  # not finite
            return False
        standing = (self._usual if fidelity is None else self.problem.thoroughness(fidelity), score)
        if standing <= self._standing:
            return False
        self._incumbent, self._standing = query.architecture, standing
        return True
