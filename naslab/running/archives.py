"""What a run evaluated: its non-dominated part, a row for each evaluation, and the best front that a table has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from naslab.analysis.fronts import non_dominated
from naslab.running.trace import Recorded, Step
from naslab.space import Architecture
from naslab.tasks import Problem, Task

Floats = npt.NDArray[np.float64]


class FrontMember(NamedTuple):
    """An architecture that no other evaluated one beats in all objectives.

    Attributes:
        architecture: The architecture.
        name: In the space's official notation.
        values: The objectives as they were told, by name, each in its own direction and unit.
    """

    architecture: Architecture
    name: str
    values: Mapping[str, float]


def objective_entries(problem: Problem) -> dict[str, Any]:
    """What a header says of a problem's objectives: nothing where there is the score alone."""
    return {"objectives": [*map(str, problem.objectives)]} if len(problem.objectives) > 1 else {}


def told_front(problem: Problem, steps: Iterable[Step]) -> list[Step]:
    """The feasible evaluations that no other dominates, as they were told, best score first.

    As for the best architecture, a higher fidelity ranks above any lower one: only the highest that was reached counts.
    An architecture that was evaluated several times appears once, as it was told at its best score.
    """
    kept = [step for step in steps if step.feasible]
    depths = [problem.thoroughness(step.query.fidelity) for step in kept]
    most = max(depths, default=0)
    kept = [step for step, depth in zip(kept, depths, strict=True) if depth == most]
    points = np.array([problem.values(step.query.architecture, step.evaluation) for step in kept])
    points = points.reshape(-1, len(problem.objectives))
    points[~np.isfinite(points).all(axis=1)] = np.nan  # failed
    best = np.flatnonzero(non_dominated(points))
    found: dict[Architecture, Step] = {}
    for i in best[np.argsort(-points[best, 0], kind="stable")]:
        found.setdefault(kept[i].query.architecture, kept[i])
    return list(found.values())


def front_members(problem: Problem, steps: Iterable[Step]) -> list[FrontMember]:
    """:func:`told_front` for readers."""
    return [
        FrontMember(each.query.architecture, problem.space.to_string(each.query.architecture), told(problem, each))
        for each in told_front(problem, steps)
    ]


def told(problem: Problem, step: Step) -> dict[str, float]:
    """The objectives of an evaluation by name, each in its own direction and unit."""
    return {
        each.name: problem.value(each.name, step.query.architecture, step.evaluation) for each in problem.objectives
    }


def judged_front(
    task: Task, recorded: Recorded, truth: Callable[[Architecture], float]
) -> list[tuple[Architecture, dict[str, float]]]:
    """The front that a run returns (:func:`told_front`), judged: its score by the truth, in the truth's own direction
    and unit. Costs are what they are; a metric that only evaluations tell has no truth, and stays as it was told."""
    front = told_front(task.problem, recorded.steps)
    return [
        (a, {**told(task.problem, step), "score": truth(a)}) for step, a in ((s, s.query.architecture) for s in front)
    ]


def exact_points(task: Task, truths: Mapping[Architecture, float]) -> Floats | None:
    """The objectives of all feasible architectures of a table, ``(n, objectives)``, each in its own direction and unit.

    The score is the truth. None where an objective, or a limit, is told by evaluations alone.
    """
    problem = task.problem
    names = [each.name for each in problem.objectives[1:]]
    if problem.metric_limits or not all(name in problem.costs for name in names):
        return None
    columns = [np.fromiter(truths.values(), float, len(truths)), *(cost_column(problem, n, [*truths]) for n in names)]
    return np.column_stack(columns)[[problem.is_feasible(a) for a in truths]]


def cost_column(problem: Problem, cost: str, architectures: Sequence[Architecture]) -> Floats:
    """One cost of many architectures, ``(n,)``."""
    model = problem.space.cost_model
    if cost in problem.measured or cost in problem.additive or not hasattr(model, "values"):
        return np.array([problem.cost(cost, a) for a in architectures], float)
    return np.asarray(model.values(cost, np.array(architectures)), float)
