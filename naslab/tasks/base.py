"""What a task is: a problem, which is all that an optimizer may see, its reward, and how the outcome is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from naslab.datasets import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation, Evaluator
from naslab.evaluators.arithmetic import checked_precision
from naslab.evaluators.training_objective import ACCURACY, TrainingObjective
from naslab.feasibility import ENUMERABLE
from naslab.registry import called
from naslab.space import Architecture, Recipe
from naslab.tasks.placement import Placement
from naslab.tasks.problem import Constraint, Problem
from naslab.tasks.sources import Source, fits


@dataclass(frozen=True)
class Task:
    """A problem, how a search on it is rewarded, and what its outcome is judged by.

    Attributes:
        id: Such as ``"nasbench201/cifar10"``.
        problem: What an optimizer sees.
        reward: Makes the evaluator that a search may query and pays for; a fresh one for every run
            if it has a state.
        truth: Judges the outcome. Never shown to a search.
        metric: What the truth measures, such as ``"test accuracy"``.
        unit: Its unit, such as ``"%"``.
        direction: ``"max"`` where a higher truth is better, ``"min"`` where a lower one is.
        source: What identifies the data, for the header of a trace (a table's hash).
        test: Test rows, where the task has any. Never shown to a search.
        calibration: Seconds that the fixed training of :mod:`naslab.evaluators.calibration` took on the machine where
            the task's seconds were recorded; None where they are not known.
        recipe: How the architectures of the truth were trained, where it is known.
        training_objective: The loss and the metric of networks that are trained on this task.
        resume: What an evaluation of a trial at a higher fidelity does: ``"continue"`` from what was reached, and pay
            for the rest, or begin from ``"scratch"``. None: the first where the reward's evaluator can.
        recorded: SHA-256 of the recorded numbers of its reward and its truth: tasks that share one are one task under
            two names.
    """

    id: str
    problem: Problem
    reward: Callable[[], Evaluator]
    truth: Evaluator
    metric: str = "score"
    unit: str = ""
    direction: str = "max"
    source: Mapping[str, str] = field(default_factory=dict)
    test: Labelled | None = None
    calibration: float | None = None
    recipe: Recipe | None = None
    training_objective: TrainingObjective = ACCURACY
    resume: str | None = None
    recorded: frozenset[str] = frozenset()

    def constrained(self, constraint: Constraint) -> Task:
        """The same task under a constraint.

        Raises:
            UnknownMetric: A cost or metric that the task does not have.
            InvalidValue: A limit on a cost that no architecture meets (checked where the space can be enumerated).
        """
        problem = dataclasses.replace(self.problem, constraint=constraint)
        if constraint.limits and problem.space.size <= ENUMERABLE:
            try:
                problem.sample(np.random.default_rng(0))
            except InvalidValue as error:
                smallest = ", ".join(
                    f"{limit.metric}={min(problem.cost(limit.metric, a) for a in problem.space.architectures()):,.10g}"
                    for limit in constraint.limits
                    if limit not in problem.metric_limits
                )
                raise InvalidValue(f"{error}; the smallest there is: {smallest}") from None
        return dataclasses.replace(self, problem=problem)

    def optimising(self, objectives: Iterable[str]) -> Task:
        """The same task with these objectives: see :func:`~naslab.tasks.objective.parse_objectives`.

        Raises:
            UnknownMetric, InvalidValue: As that says.
        """
        return dataclasses.replace(self, problem=self.problem.optimising(objectives))

    def on(self, device: str | None = None, precision: str | None = None, deterministic: bool | None = None) -> Task:
        """The same task with all networks on a device: those of its reward, and those that a strategy makes.

        A reward runs networks if it has a method ``on(device, precision)``, which gives the same reward there; one that
        reads a table has none, and stays as it is. What is None stays as it is, too.

        Args:
            device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or ``"auto"`` for a GPU where there is one.
            precision: Of the forward passes of training steps: ``"float32"``, or ``"bfloat16"``. Parameters, scores,
                proxies and predictors are float32.
            deterministic: Whether runs take only algorithms of PyTorch's that add in a fixed order
                (``torch.use_deterministic_algorithms``).

        Raises:
            InvalidValue: There is no such device, or no such precision there.
        """
        own = self.problem
        device = own.device if device is None else device
        if device != "cpu":  # what is there, only PyTorch knows; a search on a table does without it
            from naslab.compiler.devices import resolved

            device = resolved(device)
        precision = checked_precision(own.precision if precision is None else precision, device)
        wanted = Placement(device, precision, own.deterministic if deterministic is None else deterministic)
        if wanted == own.placement:
            return self
        placed = getattr(self.reward, "on", None)
        problem = dataclasses.replace(own, **wanted._asdict())
        return dataclasses.replace(self, problem=problem, reward=placed(device, precision) if placed else self.reward)

    def resuming(self, how: str) -> Task:
        """The same task with trials that ``"continue"``, or begin from ``"scratch"``.

        Raises:
            InvalidValue: Neither of the two.
        """
        if how not in ("continue", "scratch"):
            raise InvalidValue(f"resume {how!r}. Allowed: 'continue', 'scratch'")
        return dataclasses.replace(self, resume=how)

    def reading(self, others: Sequence[Task], *, any_space: bool = False) -> Task:
        """The same task, beside which strategies may read the rewards of others, but not their truths.

        Args:
            others: Tasks whose rewards are recorded.
            any_space: Whether they may have spaces whose architectures are not those of this task.

        Raises:
            InvalidValue: One of them is this task, under whatever name, is given twice, is not recorded, or has another
                space.
        """
        sources: dict[str, Source] = {}
        for other in others:
            if other.id.partition("@")[0] == self.id.partition("@")[0] or other.recorded & self.recorded:
                raise InvalidValue(
                    f"source {other.id!r} is what is searched ({self.id!r}), or the same recorded numbers: a strategy "
                    "may read other tasks alone"
                )
            if other.id in sources:
                raise InvalidValue(f"source {other.id!r} is named twice; name each once")
            if not any_space and not fits(other.problem.space, self.problem.space):
                raise InvalidValue(
                    f"source {other.id!r} is over another space ({other.problem.space.name!r}, not "
                    f"{self.problem.space.name!r}): its architectures mean nothing on {self.id!r}"
                )
            evaluator = called(f"source {other.id!r} can't be read", other.reward)
            if evaluator.clock == "measured" or evaluator.stateful:
                raise InvalidValue(
                    f"source {other.id!r} can't be read: its rewards are not recorded, but trained when they are asked "
                    "for. Fix: a task of a table"
                )
            stated, own = other.source, other.problem
            sources[other.id] = Source(other.id, own.space, evaluator, own.fidelities, own.fidelity, stated)
        return dataclasses.replace(self, problem=dataclasses.replace(self.problem, sources=tuple(sources.values())))

    @property
    def trains(self) -> bool:
        """Whether its reward runs networks."""
        return hasattr(self.reward, "on")

    def true_value(self, architecture: Architecture) -> float:
        """The truth about one architecture, in :attr:`unit`."""
        what, rng = f"the truth of task {self.id!r} can't be told", np.random.default_rng(0)
        told: Evaluation = called(what, self.truth.evaluate, architecture, rng=rng)
        return told.score

    @property
    def sign(self) -> int:
        """+1 where a higher truth is better, else -1."""
        return 1 if self.direction == "max" else -1

    @cached_property
    def optimum(self) -> float | None:
        """The best truth of any feasible architecture; None where the truth is no table, or a limit is on a metric."""
        values = getattr(self.truth, "values", None)
        if not isinstance(values, Mapping) or self.problem.metric_limits:
            return None
        feasible = (v for a, v in values.items() if v == v and self.problem.is_feasible(a))
        return (max if self.direction == "max" else min)(feasible, default=None)
