"""Joining the traces of one task with its truth, when results are read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from naslab.analysis.carried_out import FAILURES, MAKESPAN, READ, READ_SECONDS, REASON, RESUME, UTILISATION
from naslab.analysis.data import COMPLETE, COSTS, FAILED, NO_FEASIBLE, ExactFront, Landscape
from naslab.analysis.front_tables import exact_front
from naslab.analysis.tradeoff import landscape, pareto_front
from naslab.running.archives import cost_column, exact_points, judged_front
from naslab.running.kept import Kept
from naslab.running.runs import has_failed
from naslab.running.session import READS
from naslab.running.software import versions
from naslab.running.trace import Recorded, file_name
from naslab.space import Architecture
from naslab.tasks import Task

LARGEST_LANDSCAPE = 100_000
"""Architectures of a table up to which its exact Pareto fronts are computed."""


class Judge:
    """Joins traces of one task with its truth; every architecture is judged once.

    A truth that takes trainings is kept in the comparison's folder, so that reading again takes none.
    """

    def __init__(self, one: Task, folder: Path) -> None:
        self.task = one
        self.costs = [name for name in COSTS if name in one.problem.costs]
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
            cost: landscape(rows[:, 0], rows[:, i], self._sign)
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
            known = np.flatnonzero(np.isfinite(truths) & np.isfinite(values))
            best = known[pareto_front(self._sign * truths[known], values[known])]
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
        return exact_front(points * [self._sign, *(each.sign for each in objectives[1:])])

    def _point(self, architecture: Architecture) -> tuple[float, ...]:
        """The truth and the costs of an architecture, computed once."""
        if architecture not in self._points:
            costs = (float(self.task.problem.cost(cost, architecture)) for cost in self.costs)
            self._points[architecture] = (self.truth(architecture), *costs)
        return self._points[architecture]

    @property
    def _sign(self) -> int:
        return 1 if self.task.direction == "max" else -1

    def truth(self, architecture: Architecture) -> float:
        if architecture not in self._truth:
            self._truth[architecture] = self.task.true_value(architecture)
            self._kept.add([list(architecture), self._truth[architecture]])
        return self._truth[architecture]

    def run(self, recorded: Recorded) -> dict[str, Any]:
        """The row of a finished run."""
        seconds = math.fsum(step.evaluation.seconds for step in recorded.steps)
        assert recorded.end is not None
        status = FAILED if has_failed(recorded) else NO_FEASIBLE
        row: dict[str, Any] = {"status": status, "evaluations": len(recorded.steps), "seconds": seconds}
        row |= _carried_out(recorded, seconds)
        if self.task.problem.constraint.limits:
            row["infeasible"] = sum(not step.feasible for step in recorded.steps)
        if recorded.end["best"] is None:
            return row
        best: Architecture = tuple(recorded.end["best"])
        problem, truth = self.task.problem, self.truth(best)
        optimum = self.task.optimum
        chosen = [s for s in recorded.steps if s.query.architecture == best]
        scores = [s.evaluation.score for s in chosen if s.incumbent]
        told = {} if not chosen else sorted(chosen, key=lambda s: s.incumbent)[-1].evaluation.metrics
        return {
            **row,
            "status": COMPLETE,
            "architecture": problem.space.to_string(best),
            "reward": scores[-1] if scores else math.nan,
            "truth": truth,
            "regret": math.nan if optimum is None else abs(optimum - truth),
            **{cost: problem.cost(cost, best) for cost in problem.costs},
            **{name: told[name] for name in problem.measurable if name in told},
        }

    def incumbents(self, recorded: Recorded) -> list[dict[str, Any]]:
        """A row each time the incumbent changed, stamped with the clock at the end of its evaluation."""
        rows = []
        for number, (step, clock) in enumerate(zip(recorded.steps, recorded.clocks(), strict=True), start=1):
            if step.incumbent:
                rows.append(
                    {
                        "evaluations": number,
                        "seconds": clock,
                        "reward": step.evaluation.score,
                        "truth": self.truth(step.query.architecture),
                    }
                )
        return rows


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
