"""``<task>@joint``: the architecture and how it is trained, in one search."""

from __future__ import annotations

import dataclasses

from naslab.errors import InvalidValue
from naslab.evaluators.training import TrainingEvaluator
from naslab.space import SGD, Choice, Range, Recipe, SearchSpace
from naslab.tasks import Task
from naslab.tasks.problem import Problem
from naslab.tasks.rewards import TrainedReward, known_recipe

BATCHES = (16, 32, 64, 128)


def joint(task: Task, recipe: Recipe | None = None) -> Task:
    """The task's networks, trained by recipes that are searched along with them.

    Its space is the task's graph with a recipe in which the learning rate, the weight decay, the rows per batch and the
    optimizer (AdamW, or SGD with its momentum) are decisions; epochs, schedule and augmentation are those of the task's
    table. An evaluation trains a network and scores it on the validation rows, at measured CPU seconds as those of
    ``TASK@live``. The truth is a training by the same recipe, from a fixed seed, judged on the test rows: it is
    computed when results are read.

    Args:
        task: With rows to train on and to test on.
        recipe: With decisions; the above by default.

    Raises:
        InvalidValue: The task lacks rows, or neither it nor the argument has a recipe.
    """
    problem, space, test = task.problem, task.problem.space, task.test
    if problem.train is None or problem.validation is None or test is None:
        raise InvalidValue(
            f"task {task.id!r} has no rows to train and test on. Those that have: pocket-cell/..., pocket-mlp/..."
        )
    if recipe is None:
        recipe = _open(known_recipe(task, task.recipe), len(problem.train))
    cells = [cell for cell in space.cells if cell is not space.graph]
    searched = SearchSpace(space.graph, name=f"{space.name}@joint", rules=space.rules, cells=cells, recipe=recipe)
    truth = TrainingEvaluator(searched, problem.train, test, recipe, task.training_objective)
    placed = problem.placement._asdict()
    problem = Problem(searched, train=problem.train, validation=problem.validation, **placed)
    return dataclasses.replace(
        task,
        id=f"{task.id}@joint",
        problem=problem,
        reward=TrainedReward(TrainingEvaluator, problem, recipe, task.training_objective),
        truth=truth,
        source={**task.source, "reward": repr(recipe)},
        recipe=None,
    )


def _open(recipe: Recipe, rows: int) -> Recipe:
    """A recipe whose rate, decay, batch and optimizer are decisions."""
    return dataclasses.replace(
        recipe,
        batch=Choice("batch", tuple(batch for batch in BATCHES if batch <= rows) or (rows,)),
        learning_rate=Range("learning_rate", 1e-4, 1e-1, log=True),
        weight_decay=Range("weight_decay", 1e-5, 1e-1, log=True),
        optimizer=Choice("optimizer", ("adamw", SGD(momentum=Range("momentum", 0.1, 0.999)))),
    )
