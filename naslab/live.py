"""A task whose reward is not looked up but trained, here and now."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluator
from naslab.evaluators.recipe import Recipe
from naslab.evaluators.training import TrainingEvaluator
from naslab.tasks import Problem, Task


def live(task: Task, recipe: Recipe | None = None) -> Task:
    """The same problem and the same truth, but every evaluation trains a network on the task's rows.

    It charges measured CPU seconds, converted to seconds of the machine on which the task's table was recorded, so
    that a live search and one on the table can be compared on one clock.

    Args:
        task: With rows to train on.
        recipe: How to train; the one of the task's table by default.

    Raises:
        InvalidValue: The task has no rows to train on, or no recipe is known.
    """
    problem, recipe = task.problem, recipe or task.recipe
    if problem.train is None or problem.validation is None:
        raise InvalidValue(
            f"task {task.id!r} has no rows to train on. Those that have: pocket-cell/..., pocket-mlp/..."
        )
    if recipe is None:
        raise InvalidValue(f"how the networks of {task.id!r} were trained is not recorded. Fix: give a recipe")
    epochs = tuple(range(1, recipe.epochs + 1))
    problem = dataclasses.replace(problem, fidelities=epochs, fidelity=recipe.epochs)
    return dataclasses.replace(
        task,
        id=f"{task.id}@live",
        problem=problem,
        reward=_Training(problem, recipe),
        source={**task.source, "reward": repr(recipe)},
    )


@dataclass(frozen=True)
class _Training:
    """Makes the evaluator of a run."""

    problem: Problem
    recipe: Recipe

    def __call__(self) -> Evaluator:
        assert self.problem.train is not None
        assert self.problem.validation is not None
        return TrainingEvaluator(self.problem.space, self.problem.train, self.problem.validation, self.recipe)
