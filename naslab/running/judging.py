"""Joining the traces of one task with its truth, when results are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from naslab.analysis.data import COSTS, ExactFront, Landscape
from naslab.analysis.front_tables import exact_front
from naslab.analysis.tradeoff import landscape, pareto_front
from naslab.running.archives import cost_column, exact_points, judged_front
from naslab.running.kept import Kept
from naslab.running.outcomes import Outcome
from naslab.running.software import versions
from naslab.running.trace import Recorded, file_name
from naslab.space import Architecture
from naslab.tasks import Problem, Task

LARGEST_LANDSCAPE = 100_000
"""Architectures of a table up to which its exact Pareto fronts are computed."""

MOST_MEASURED = 3
"""Costs of devices that a report shows unasked."""

ANYTIME = ["task", "optimizer", "seed", "evaluations", "seconds", "reward", "truth"]
"""Columns of the frame of all incumbents: which run, and what :meth:`Judge.incumbents` says of it."""


class Judge:
    """Joins traces of one task with its truth; every architecture is judged once.

    A truth that takes trainings is kept in the comparison's folder, so that reading again takes none.
    """

    def __init__(self, one: Task, folder: Path) -> None:
        self.task = one
        self.costs = reported_costs(one.problem)
        self._kept = _kept_truths(one, folder)
        self._truth = _as_truths(self._kept)
        self._points: dict[Architecture, tuple[float, ...]] = {}

    @cached_property
    def tabulated(self) -> Mapping[Architecture, float] | None:
        """The truth of every architecture, where it is a table: then it costs nothing to judge all that a run saw."""
        values = getattr(self.task.truth, "values", None)
        return values if isinstance(values, Mapping) else None

    def landscapes(self) -> dict[str, Landscape]:
        """Cost -> what is known of all feasible architectures; empty where the truth is no table, or a huge one."""
        values, problem = self.tabulated, self.task.problem
        if not values or len(values) > LARGEST_LANDSCAPE:
            return {}
        if problem.metric_limits:  # what is feasible, only evaluations tell
            return {}
        columns = [np.fromiter(values.values(), float, len(values))]
        columns += [cost_column(problem, cost, [*values]) for cost in self.costs]
        points = np.stack(columns, axis=1)
        self._points = dict(zip(values, map(tuple, points.tolist()), strict=True))
        feasible = points[[problem.is_feasible(a) for a in values]]
        known = {cost: feasible[np.isfinite(feasible[:, [0, i]]).all(axis=1)] for i, cost in enumerate(self.costs, 1)}
        return {
            cost: landscape(rows[:, 0], rows[:, i], self.task.sign)
            for i, (cost, rows) in enumerate(known.items(), 1)
            if len(rows)
        }

    def fronts(self, recorded: Recorded) -> list[tuple[str, float, float]]:
        """``(cost, truth, value)`` of the Pareto front of each cost over the feasible architectures of a run: all
        that it evaluated where the truth is a table, else those that were its incumbents."""
        whole = self.tabulated is not None
        seen = {s.query.architecture: None for s in recorded.steps if s.feasible and (whole or s.incumbent)}
        if not seen:
            return []
        truths, *columns = np.array([self._point(architecture) for architecture in seen]).T
        found = []
        for cost, values in zip(self.costs, columns, strict=True):
            finite = np.flatnonzero(np.isfinite(truths) & np.isfinite(values))
            best = finite[pareto_front(self.task.sign * truths[finite], values[finite])]
            found += [(cost, float(truths[i]), float(values[i])) for i in best]
        return found

    def front(self, recorded: Recorded) -> list[dict[str, float]]:
        """The front that a run returns, judged; nothing where there is the score alone."""
        alone = len(self.task.problem.objectives) == 1
        return [] if alone else [values for _, values in judged_front(self.task, recorded, self.truth)]

    def exact_front(self) -> ExactFront | None:
        """What is known of the objectives of all feasible architectures, where they are in tables."""
        values, objectives = self.tabulated, self.task.problem.objectives
        if len(objectives) == 1 or not values or len(values) > LARGEST_LANDSCAPE:
            return None
        points = exact_points(self.task, values)
        if points is None:
            return None
        return exact_front(points * [self.task.sign, *(each.sign for each in objectives[1:])])

    def _point(self, architecture: Architecture) -> tuple[float, ...]:
        """The truth and the costs of an architecture, computed once."""
        if architecture not in self._points:
            costs = (float(self.task.problem.cost(cost, architecture)) for cost in self.costs)
            self._points[architecture] = (self.truth(architecture), *costs)
        return self._points[architecture]

    def truth(self, architecture: Architecture) -> float:
        if architecture not in self._truth:
            self._truth[architecture] = self.task.true_value(architecture)
            self._kept.add([list(architecture), self._truth[architecture]])
        return self._truth[architecture]

    def run(self, outcome: Outcome) -> dict[str, Any]:
        """The row of a finished run."""
        row: dict[str, Any] = {
            "status": outcome.status,
            "evaluations": outcome.evaluations,
            "seconds": outcome.seconds,
            **outcome.carried_out,
        }
        if outcome.best is None:
            return row
        problem, truth, optimum = self.task.problem, self.truth(outcome.best), self.task.optimum
        return {
            **row,
            "architecture": problem.space.to_string(outcome.best),
            "reward": outcome.reward,
            "truth": truth,
            "regret": math.nan if optimum is None else abs(optimum - truth),
            **{cost: problem.cost(cost, outcome.best) for cost in problem.costs},
            **outcome.metrics,
        }

    def incumbents(self, outcome: Outcome) -> list[dict[str, Any]]:
        """A row each time the incumbent changed, stamped with the clock at the end of its evaluation."""
        return [
            {
                "evaluations": each.evaluations,
                "seconds": each.seconds,
                "reward": each.reward,
                "truth": self.truth(each.architecture),
            }
            for each in outcome.incumbents
        ]


def reported_costs(problem: Problem) -> list[str]:
    """The costs that quality is shown against: parameters and the like, those that are limited or optimised, and where
    there are none of these the first few that were measured."""
    named = [*(limit.metric for limit in problem.constraint.limits), *(each.name for each in problem.objectives)]
    found = [name for name in dict.fromkeys((*COSTS, *named)) if name in problem.costs]
    measured = [name for name in problem.measured if not name.endswith("train_seconds")]
    return found or measured[:MOST_MEASURED]


def _kept_truths(one: Task, folder: Path) -> Kept:
    """Where the truths of a task are kept: nowhere, if they only have to be looked up."""
    if one.truth.clock != "measured":
        return Kept(None, {}, "truths")
    header = {**versions("naslab", "numpy", "torch"), "task": one.id, "source": dict(one.source)}
    return Kept(folder / "truths" / f"{file_name(one.id)}.jsonl", header, "truths")


def _as_truths(kept: Kept) -> dict[Architecture, float]:
    """What was judged before."""
    try:
        return {tuple(architecture): float(value) for architecture, value in kept.entries}
    except (TypeError, ValueError):
        raise kept.damaged() from None
