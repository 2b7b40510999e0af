"""What an evaluator is: it says how good an architecture is and what it cost to find out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from naslab.datasets import Labelled
from naslab.errors import PluginError
from naslab.space import Architecture, Recipe, SearchSpace

if TYPE_CHECKING:
    from naslab.evaluators.training_objective import TrainingObjective

Fidelity: TypeAlias = int | str
"""How thorough an evaluation is: a number of epochs, or a name that the evaluator defines."""

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Evaluation(NamedTuple):
    """What one evaluation found.

    Attributes:
        score: Higher is better. Not finite where the evaluation failed.
        seconds: What the search is charged.
        metrics: Anything else worth recording, by name.
    """

    score: float
    seconds: float
    metrics: Mapping[str, float] = _NOTHING


class ProblemLike(Protocol):
    """What an evaluator may look at of a :class:`naslab.tasks.Problem`."""

    @property
    def space(self) -> SearchSpace: ...
    @property
    def train(self) -> Labelled | None: ...
    @property
    def validation(self) -> Labelled | None: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    def sample(self, rng: np.random.Generator) -> Architecture: ...


class TaskLike(Protocol):
    """What an evaluator may look at of a :class:`naslab.tasks.Task`: neither its truth nor its test rows."""

    @property
    def id(self) -> str: ...
    @property
    def problem(self) -> ProblemLike: ...
    @property
    def reward(self) -> Callable[[], Evaluator]: ...
    @property
    def recipe(self) -> Recipe | None: ...
    @property
    def training_objective(self) -> TrainingObjective: ...


class Evaluator(ABC):
    """Judges architectures of one space.

    Attributes:
        clock: ``"recorded"`` where ``seconds`` depend on the arguments alone (a table's), ``"measured"`` where they are
            measured on this machine; those are kept out of traces.
        stateful: Whether an evaluation depends on those before it (shared weights). A run with such an evaluator is
            resumed by repeating the recorded evaluations.
        learns: Whether it is fitted to rewards of architectures. All such evaluators get the same draws, so that those
            with the same number of labels learn from the same architectures.
        learned: The architectures that this evaluator learned from: no evaluator is judged on them.
    """

    clock: ClassVar[Literal["recorded", "measured"]] = "recorded"
    stateful: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    learned: Sequence[Architecture] = ()

    @classmethod
    def for_task(cls, task: TaskLike, rng: np.random.Generator, **options: Any) -> Evaluator:
        """An evaluator for a task, ready for use; ``naslab correlate`` calls it for each evaluator named.

        Subclasses override it. What has to be trained first is trained here.

        Args:
            task: The task without its truth and its test rows.
            rng: For draws while the evaluator is made.
            **options: Those in brackets after the evaluator's name. A subclass that takes ``**options`` itself passes
                them to its constructor as keyword-only arguments.
        """
        raise PluginError(f"{cls.__name__} can't be made for a task by its name: it lacks the class method for_task()")

    @abstractmethod
    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        """Judge one architecture.

        Args:
            architecture: Of the evaluator's space.
            fidelity: How thoroughly; the task's default where None.
            rng: The only source of randomness. It is reset for every evaluation: don't keep it.
        """

    def evaluate_many(
        self,
        architectures: Sequence[Architecture],
        *,
        fidelity: Fidelity | None = None,
        rng: np.random.Generator,
    ) -> list[Evaluation]:
        """Judge several architectures, one by one unless a subclass has a faster way."""
        return [self.evaluate(a, fidelity=fidelity, rng=rng) for a in architectures]


def check_charge(evaluation: Evaluation, evaluator: Evaluator, architecture: Architecture) -> None:
    """Refuse an evaluation that charges what no clock can show.

    Raises:
        PluginError: The seconds are negative, infinite or NaN.
    """
    if not 0 <= evaluation.seconds < math.inf:
        raise PluginError(
            f"{type(evaluator).__name__} charged {evaluation.seconds} s for {architecture}: seconds are finite and at "
            "least 0"
        )


class AtFidelity(Evaluator):
    """Another evaluator, asked at one fidelity where the caller gives none."""

    def __init__(self, inner: Evaluator, fidelity: Fidelity | None) -> None:
        self.inner, self.fidelity = inner, fidelity

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return self.inner.evaluate(architecture, fidelity=self.fidelity if fidelity is None else fidelity, rng=rng)
