"""Tasks whose reward comes from training networks, not from a table: ``<task>@live``, ``@shared`` and proxy tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from naslab.datasets import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluator, Fidelity
from naslab.evaluators.one_shot import FIDELITIES, OneShot
from naslab.evaluators.proxy_training import Kind, ProxyTraining, levels
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import TrainingObjective
from naslab.space import Recipe
from naslab.tasks import Task
from naslab.tasks.problem import Problem


def live(task: Task, recipe: Recipe | None = None) -> Task:
    """The same problem and the same truth, but every evaluation trains a network on the task's rows.

    It charges measured CPU seconds, converted to seconds of the machine on which the task's table was recorded, so
    that a live search and one on the table can be compared on one clock. Off the CPU seconds are those of the device,
    and are not converted.

    Args:
        task: With rows to train on.
        recipe: How to train; the one of the task's table by default. Where the space itself says how its networks are
            trained, that holds, and none is given.

    Raises:
        InvalidValue: The task has no rows to train on, no recipe is known, or one is given beside the space's.
    """
    own = task.problem.space.recipe
    if own is not None and recipe is not None:
        raise InvalidValue(f"space {task.problem.space.name!r} states how its networks are trained: give no recipe")
    recipe = own or recipe or task.recipe
    known = recipe is not None and isinstance(recipe.epochs, int)
    epochs = tuple(range(1, recipe.epochs + 1)) if recipe is not None and known else ()
    return _trained(task, recipe, "live", TrainingEvaluator, epochs, epochs[-1] if epochs else None)


def shared(task: Task, recipe: Recipe | None = None) -> Task:
    """The same problem and the same truth, but an evaluation is a training step of shared weights.

    See :class:`naslab.evaluators.one_shot.OneShot`. Seconds are measured, as those of :func:`live`.

    Args:
        task: With rows to train on.
        recipe: Of the shared weights; by default that of the task's table for four times as many epochs, without
            weight decay.

    Raises:
        InvalidValue: The task has no rows to train on, no recipe is known, or it is part of the space.
    """
    task.problem.space.require_network("shared weights")
    if recipe is None and task.recipe is not None:
        recipe = dataclasses.replace(task.recipe, epochs=4 * task.recipe.epochs, weight_decay=0.0)
    return _trained(task, recipe, "shared", OneShot, FIDELITIES, FIDELITIES[0])


def fewer_rows(task: Task) -> Task:
    """The same problem and truth; evaluations train on an eighth, a quarter, half or all of the rows: ``TASK@rows``."""
    return _proxy(task, "rows")


def smaller_images(task: Task) -> Task:
    """The same problem and truth; evaluations train on images of lower resolution: ``TASK@resolution``."""
    return _proxy(task, "resolution")


def narrower_networks(task: Task) -> Task:
    """The same problem and truth; evaluations train networks with fewer features: ``TASK@width``."""
    return _proxy(task, "width")


def _proxy(task: Task, kind: Kind) -> Task:
    """As :func:`live`, with proxy tasks as fidelities: see :class:`~naslab.evaluators.proxy_training.ProxyTraining`."""
    space, recipe = task.problem.space, task.problem.space.recipe or task.recipe
    found = levels(kind, space, _training_rows(task), known_recipe(task, recipe))
    return _trained(task, recipe, kind, partial(ProxyTraining, kind=kind), found, found[-1])


def _training_rows(task: Task) -> Labelled:
    """A task's rows to train on; there are some to score by, too.

    Raises:
        InvalidValue: It lacks either.
    """
    train, validation = task.problem.train, task.problem.validation
    if train is None or validation is None:
        raise InvalidValue(
            f"task {task.id!r} has no rows to train on. Those that have: pocket-cell/..., pocket-mlp/..."
        )
    return train


def known_recipe(task: Task, recipe: Recipe | None) -> Recipe:
    """A recipe for a task's networks.

    Raises:
        InvalidValue: There is none.
    """
    if recipe is None:
        raise InvalidValue(f"how the networks of {task.id!r} were trained is not recorded. Fix: give a recipe")
    return recipe


@dataclass(frozen=True)
class TrainedReward:
    """Makes an evaluator for each run; none is shared."""

    kind: Callable[..., Evaluator]
    problem: Problem
    recipe: Recipe
    objective: TrainingObjective

    def __call__(self) -> Evaluator:
        assert self.problem.train is not None
        assert self.problem.validation is not None
        parts = (self.problem.space, self.problem.train, self.problem.validation, self.recipe, self.objective)
        return self.kind(*parts, device=self.problem.device, precision=self.problem.precision)

    def on(self, device: str, precision: str) -> TrainedReward:
        """The same on a device: see :meth:`naslab.tasks.Task.on`."""
        return dataclasses.replace(self, problem=dataclasses.replace(self.problem, device=device, precision=precision))


def _trained(
    task: Task,
    recipe: Recipe | None,
    mode: str,
    kind: Callable[..., Evaluator],
    fidelities: tuple[Fidelity, ...],
    fidelity: Fidelity | None,
) -> Task:
    _training_rows(task)
    recipe = known_recipe(task, recipe)
    problem = dataclasses.replace(task.problem, fidelities=fidelities, fidelity=fidelity)
    return dataclasses.replace(
        task,
        id=f"{task.id}@{mode}",
        problem=problem,
        reward=TrainedReward(kind, problem, recipe, task.training_objective),
        source={**task.source, "reward": repr(recipe)},
    )
