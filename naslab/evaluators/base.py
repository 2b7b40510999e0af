"""What an evaluator is: it says how good an architecture is and what it cost to find out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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
        curve: The learning curve of a trial, ``(epochs, score)`` up to what was paid for; empty where none was asked
            for.
        failed: Why there is no score, as ``"kind: reason"``, where the evaluator raised, ran out of time or answered
            with what is no number; see :data:`FAILURES`.
    """

    score: float
    seconds: float
    metrics: Mapping[str, float] = _NOTHING
    curve: tuple[tuple[int, float], ...] = ()
    failed: str = ""

    @property
    def failure(self) -> str:
        """Why the evaluation failed, or nothing: a score that is not finite is a failure, too."""
        return self.failed or ("" if self.score - self.score == 0.0 else f"no number: the score is {self.score}")


FAILURES = ("error", "time limit", "died", "no number")
"""Kinds of failures: it raised; it took too long; its process ended; what it answered is no finite number."""


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
        continues: Whether it can go on with a trial: see :meth:`proceed`.
        timed: Whether its seconds mean anything; false where nobody recorded any, and all are 0.
    """

    clock: ClassVar[Literal["recorded", "measured"]] = "recorded"
    stateful: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    learned: Sequence[Architecture] = ()
    continues: bool = False
    timed: bool = True

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

    def proceed(
        self,
        architecture: Architecture,
        *,
        fidelity: Fidelity | None,
        since: Fidelity | None,
        rng: np.random.Generator,
        checkpoint: Path,
    ) -> Evaluation:
        """Begin a trial, or evaluate it more thoroughly, charging only what is new; with its learning curve.

        Args:
            architecture: The trial's.
            fidelity: How thoroughly, more than before.
            since: What the trial was evaluated at, and paid for, before; None where it begins.
            rng: In the state in which it was when the trial began.
            checkpoint: A file for what is needed to go on. It may be lost: then everything is done again, and only what
                is new is charged.

        Raises:
            PluginError: The evaluator can't do this: its :attr:`continues` is false.
        """
        raise PluginError(f"{type(self).__name__} does not continue trials; what can has `continues = True`")

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
    """Refuse an evaluation that charges what no clock can show, or that is none.

    Raises:
        PluginError: The seconds are negative, infinite or NaN; or the answer, or its score, is of another type.
    """
    if type(evaluation) is Evaluation and type(evaluation.score) is float and 0.0 <= evaluation.seconds < math.inf:
        return  # nearly always
    who = type(evaluator).__name__
    if not isinstance(evaluation, Evaluation):
        raise PluginError(f"{who} answered {evaluation!r} for {architecture}: give an Evaluation")
    score, seconds = evaluation.score, evaluation.seconds
    if not isinstance(score, _NUMBERS) or isinstance(score, bool):
        raise PluginError(f"{who} gave the score {score!r} to {architecture}: give a number")
    if not isinstance(seconds, _NUMBERS) or not 0 <= seconds < math.inf:
        raise PluginError(f"{who} charged {seconds} s for {architecture}: seconds are finite and at least 0")


_NUMBERS = (float, int, np.floating, np.integer)


class AtFidelity(Evaluator):
    """Another evaluator, asked at one fidelity where the caller gives none."""

    def __init__(self, inner: Evaluator, fidelity: Fidelity | None) -> None:
        self.inner, self.fidelity = inner, fidelity

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return self.inner.evaluate(architecture, fidelity=self.fidelity if fidelity is None else fidelity, rng=rng)
