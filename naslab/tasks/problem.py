"""What an optimizer may see: a space, rows, and the limits that an architecture must keep."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from naslab.datasets import Labelled
from naslab.errors import InvalidValue, PluginError, UnknownMetric
from naslab.evaluators import Evaluation, Fidelity
from naslab.feasibility import Backend, Feasibility, FeasibleSet, largest
from naslab.files import read_number
from naslab.space import METRICS, Architecture, CostPerArchitecture, Factor, SearchSpace, rounding
from naslab.tasks.objective import SCORE, Objective, parse_objectives
from naslab.tasks.placement import Placement
from naslab.tasks.sources import Source

RESERVED = frozenset(
    {
        *("score", "task", "optimizer", "seed", "status", "architecture", "reward", "truth", "regret", "evaluation"),
        *("evaluations", "seconds", "clock", "fidelity", "feasible", "infeasible", "incumbent"),
    }
)
"""Columns of results, which no metric may be called."""


@dataclass(frozen=True)
class Limit:
    """An upper bound on one cost, or on a metric.

    Attributes:
        metric: ``"params"``, ``"macs"``... of the cost model, a cost the task measured (``"latency_seconds"``), or a
            metric that evaluations of the task report.
        maximum: The largest value allowed, inclusive.
    """

    metric: str
    maximum: float

    def __str__(self) -> str:
        return f"{self.metric} <= {self.maximum:,.10g}"


@dataclass(frozen=True)
class Constraint:
    """Limits that an architecture must meet, all of them."""

    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str] | Mapping[str, float]) -> Constraint:
        """``["params=41153", "macs=1e6"]`` or a mapping.

        Raises:
            InvalidValue: Not of that form, not a positive number, or a cost limited twice.
        """
        if not isinstance(texts, Mapping):
            pairs = [(metric, number) for metric, _, number in (text.partition("=") for text in texts)]
            twice = [metric for metric, times in Counter(metric for metric, _ in pairs).items() if times > 1]
            if twice:
                raise InvalidValue(f"{twice[0]} is limited twice; give each cost once")
        else:
            pairs = [(metric, str(number)) for metric, number in texts.items()]
        limits = []
        for metric, number in pairs:
            maximum = read_number(number)
            if maximum is None or maximum <= 0:
                raise InvalidValue(f"limit {metric}={number}: give a cost and a positive number, such as params=41153")
            limits.append(Limit(metric, maximum))
        return cls(tuple(sorted(limits, key=lambda limit: limit.metric)))

    def __str__(self) -> str:
        return ", ".join(map(str, self.limits))

    def as_dict(self) -> dict[str, float]:
        return {limit.metric: limit.maximum for limit in self.limits}


@dataclass(frozen=True)
class Problem:
    """What an optimizer may see.

    Attributes:
        space: The search space.
        constraint: Limits on costs, which are known beforehand, and on metrics, which only an evaluation tells.
        fidelities: What :class:`~naslab.optimizers.Query` may ask for, least thorough first; empty where there
            is no choice.
        fidelity: The fidelity of a query that states none.
        measured: Costs that were measured for every architecture, by name.
        additive: Costs that are sums of tables, such as a fitted latency (:mod:`naslab.feasibility.additive`), by name.
        metrics: What evaluations report beside the score, by name: with its direction and unit it can be an objective,
            a limit, an axis and a column. Whoever has an evaluator of their own declares it here.
        objectives: What is optimised, the score first.
        train: Training rows, where the task has any; loaded when they are first looked at.
        validation: Validation rows, likewise.
        device: Where networks run that a strategy or an evaluator makes: see :meth:`naslab.tasks.Task.on`.
        precision: Of the forward passes by which they are trained.
        deterministic: Whether a run takes only algorithms of PyTorch's that add in a fixed order.
        sources: Other tasks whose rewards a strategy may read that declares ``sources``.
    """

    space: SearchSpace
    constraint: Constraint = Constraint()
    fidelities: tuple[Fidelity, ...] = ()
    fidelity: Fidelity | None = None
    measured: Mapping[str, Mapping[Architecture, float]] = field(default_factory=dict)
    additive: Mapping[str, Sequence[Factor]] = field(default_factory=dict)
    metrics: Mapping[str, Objective] = field(default_factory=dict)
    objectives: tuple[Objective, ...] = (SCORE,)
    train: Labelled | None = None
    validation: Labelled | None = None
    device: str = "cpu"
    precision: str = "float32"
    deterministic: bool = False
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        for name, metric in self.metrics.items():
            if name != metric.name or name in RESERVED or name in self.costs:
                raise InvalidValue(
                    f"metric {name!r}: give it under its own name, which is no cost ({', '.join(self.costs)}) and none "
                    f"of {', '.join(sorted(RESERVED))}"
                )
        for limit in self.constraint.limits:
            if limit.metric not in self.costs and limit.metric not in self.metrics:
                raise UnknownMetric(limit.metric, (*self.costs, *self.metrics))

    def thoroughness(self, fidelity: Fidelity | None) -> int:
        """How thorough a fidelity is: its place among the problem's, from 0. None: that of a query that states none."""
        wanted = self.fidelity if fidelity is None else fidelity
        return self.fidelities.index(wanted) if wanted in self.fidelities else 0

    @property
    def placement(self) -> Placement:
        """Where networks run, and how exactly."""
        return Placement(self.device, self.precision, self.deterministic)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the costs that an architecture has here."""
        computed = METRICS if self.space.has_network else ()
        return (*computed, *self.measured, *self.additive)

    def cost(self, metric: str, architecture: Architecture) -> float:
        """One cost of an architecture, computed, measured or fitted."""
        if metric in self.measured:
            return self.measured[metric][architecture]
        if metric in self.additive:
            return float(sum(each.table[tuple(architecture[i] for i in each.scope)] for each in self.additive[metric]))
        return self.space.cost_model.value(metric, architecture)

    @cached_property
    def measurable(self) -> dict[str, Objective]:
        """What can be an objective: the score, the costs and the declared metrics, by name."""
        costs = {name: Objective.of_cost(name) for name in self.costs}
        stated = {each.name: each for each in self.objectives}
        return {SCORE.name: SCORE, **costs, **self.metrics, **stated}

    def optimising(self, names: Iterable[str]) -> Problem:
        """The same problem with other objectives: see :func:`~naslab.tasks.objective.parse_objectives`.

        Raises:
            UnknownMetric, InvalidValue: As that says.
        """
        return dataclasses.replace(self, objectives=parse_objectives(names, self.measurable))

    def value(self, name: str, architecture: Architecture, evaluation: Evaluation) -> float:
        """The score, a cost or a metric of an evaluated architecture, in its own direction and unit.

        NaN where an evaluation that failed (its score is not finite) does not report it.

        Raises:
            PluginError: An evaluation does not report a metric that the task declares.
            UnknownMetric: It does not report one that the task does not declare, either.
        """
        if name == SCORE.name:
            return float(evaluation.score)
        return float(self.cost(name, architecture)) if name in self._costs else self._reported(name, evaluation)

    def values(self, architecture: Architecture, evaluation: Evaluation) -> tuple[float, ...]:
        """The objectives of an evaluated architecture, in order, turned so that higher is better."""
        return tuple(each.sign * self.value(each.name, architecture, evaluation) for each in self.objectives)

    def is_feasible(self, architecture: Architecture, evaluation: Evaluation | None = None) -> bool:
        """Whether an architecture meets every limit.

        Limits on metrics are met or not once there is an evaluation (:meth:`keeps`); without one only costs are looked
        at.
        """
        met = all(self.cost(metric, architecture) <= most for metric, most in self._most)
        return met and (evaluation is None or self.keeps(evaluation))

    def keeps(self, evaluation: Evaluation) -> bool:
        """Whether an evaluation meets the limits on metrics; where there are none, it does.

        What failed and does not report a metric exceeds nothing: a failure is not called infeasible.

        Raises:
            PluginError, UnknownMetric: It lacks a metric that has a limit or is an objective: see :meth:`value`.
        """
        if not self.told:
            return True
        found = {name: self._reported(name, evaluation) for name in self.told}
        failed = not math.isfinite(evaluation.score)
        values = ((found[limit.metric], limit.maximum) for limit in self.metric_limits)
        return all(value <= most or (failed and math.isnan(value)) for value, most in values)

    @cached_property
    def told(self) -> tuple[str, ...]:
        """The metrics among objectives and limits: what only evaluations tell."""
        names = [*(each.name for each in self.objectives), *(each.metric for each in self.metric_limits)]
        return tuple(name for name in dict.fromkeys(names) if name != SCORE.name and name not in self._costs)

    def _reported(self, name: str, evaluation: Evaluation) -> float:
        """A metric of an evaluation; NaN where that failed and does not report it."""
        value = evaluation.metrics.get(name)
        if value is not None:
            return float(value)
        if not math.isfinite(evaluation.score):
            return math.nan
        unknown = UnknownMetric(name, evaluation.metrics, of="an evaluation")
        raise PluginError(f"a declared metric is not reported: {unknown}") if name in self.metrics else unknown

    @cached_property
    def metric_limits(self) -> tuple[Limit, ...]:
        """The limits on metrics, of which nothing is known before an evaluation."""
        return tuple(limit for limit in self.constraint.limits if limit.metric not in self._costs)

    def require_known_limits(self, who: str) -> None:
        """Refuse limits on metrics, for strategies that must know what is feasible before they ask.

        Raises:
            InvalidValue: There is one.
        """
        for limit in self.metric_limits:
            raise InvalidValue(
                f"{limit} is known only after an evaluation; {who} takes limits on costs: {', '.join(self.costs)}"
            )

    def require_known_objectives(self, who: str) -> None:
        """Refuse objectives that are metrics, for strategies that see no evaluations.

        Raises:
            InvalidValue: There is one.
        """
        for name in self.told:
            raise InvalidValue(
                f"objective {name!r} is told by evaluations, which {who} does not make; beside the score it takes "
                f"costs: {', '.join(self.costs)}"
            )

    @cached_property
    def _costs(self) -> frozenset[str]:
        return frozenset(self.costs)

    @cached_property
    def _most(self) -> list[tuple[str, float]]:
        """The limits on costs, up to what the order of additions makes of sums of real numbers."""
        return [
            (each.metric, each.maximum + rounding(self.additive.get(each.metric, ())))
            for each in self.constraint.limits
            if each.metric in self._costs
        ]

    def idle_limits(self) -> list[tuple[Limit, float]]:
        """The limits that no architecture exceeds, each with the largest value of its cost."""
        found = []
        for limit in self.constraint.limits:
            if limit in self.metric_limits:
                continue
            if limit.metric in self.measured:
                values = self.measured[limit.metric]
                # NaN where one was not measured: that one is excluded, so the limit has an effect.
                most = float(np.max([values[a] for a in self.space.architectures()]))
            elif limit.metric not in self.additive and isinstance(self.space.cost_model, CostPerArchitecture):
                continue  # not known without asking all
            else:
                factors = {**self.space.cost_model.factors, **self.additive}[limit.metric]
                most = largest(self.space, limit.metric, factors)
            if most <= limit.maximum:
                found.append((limit, most))
        return found

    def feasibility(self, backend: Backend = "auto", **estimate: Any) -> Feasibility:
        """The feasible architectures under a factorised policy; without limits, the valid ones.

        Args:
            backend: See :class:`naslab.feasibility.Feasibility`.
            estimate: ``samples`` and ``rng`` of the back end ``"monte-carlo"``.

        Raises:
            InvalidValue: A limit is on a metric.
        """
        self.require_known_limits("a policy over feasible architectures")
        limits, additive, measured = self.constraint.as_dict(), self.additive, self.measured
        return Feasibility(self.space, limits, backend, additive=additive, measured=measured, **estimate)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the feasible architectures; limits on metrics are unknown to it, and to moves."""
        return self._feasible.sample(rng) if self._most else self.space.sample(rng)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The feasible architectures one move away."""
        return self._feasible.neighbors(architecture)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the feasible neighbours."""
        return self._feasible.mutate(architecture, rng) if self._most else self.space.mutate(architecture, rng)

    @cached_property
    def _feasible(self) -> FeasibleSet:
        known = [limit for limit in self.constraint.limits if limit not in self.metric_limits]
        return FeasibleSet(self.space, self.is_feasible, ", ".join(map(str, known)))
