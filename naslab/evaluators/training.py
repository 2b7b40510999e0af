"""Training from scratch as an evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import fx, nn

from naslab.compiler.devices import resolved
from naslab.compiler.network import compile_network
from naslab.compiler.population import stack_networks
from naslab.datasets import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators.arithmetic import checked_precision
from naslab.evaluators.base import AtFidelity, Evaluation, Evaluator, Fidelity, TaskLike
from naslab.evaluators.fitting import Placed, Training, fit, placed, torch_generator
from naslab.evaluators.kept_training import KeptTraining
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.training_objective import ACCURACY, TrainingObjective
from naslab.space import Architecture, Recipe, SearchSpace


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
        network: In the state after its last epoch, or after its best one.
        curve: What was recorded epoch by epoch, for one network.
    """

    network: fx.GraphModule
    curve: Training


class TrainingEvaluator(Evaluator):
    """Trains a network from scratch and scores it on the validation rows.

    A training that diverges is no error: rows whose outputs are not finite count as wrong, so that the accuracy is 0
    (any other score is NaN), and ``metrics["diverged"]`` is 1. Further metrics are the score after each epoch,
    ``accuracy/epoch1``... A fidelity is a number of epochs: the beginning of the recipe's training, with its schedule.

    Where the space has a recipe of its own, each architecture is trained by what it decides there.

    Args:
        space: The search space.
        train: Rows to train on.
        validation: Rows to score by.
        recipe: How to train: the space's own where it has one.
        objective: The loss and the metric; accuracy by default, in percent.
        best_epoch: Whether a network is taken from the epoch with the best validation score; by default from the last.
        device: Where networks are trained; rows are moved there once.
        precision: Of the forward passes of training: see :func:`~naslab.evaluators.fitting.fit`.

    Raises:
        InvalidValue: The space has another recipe, or there is no such device, or no such precision there.
    """

    clock = "measured"

    def __init__(
        self,
        space: SearchSpace,
        train: Labelled,
        validation: Labelled,
        recipe: Recipe,
        objective: TrainingObjective = ACCURACY,
        *,
        best_epoch: bool = False,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        if space.recipe is not None and recipe != space.recipe:
            raise InvalidValue(f"space {space.name!r} states how its networks are trained: give no other recipe")
        space.require_one_size("training")
        self.space, self.rows, self.validation, self.recipe = space, train, validation, recipe
        self.objective, self.best_epoch, self.device = objective, best_epoch, resolved(device)
        self.precision = checked_precision(precision, self.device)

    @classmethod
    def for_task(cls, task: TaskLike, rng: np.random.Generator, *, epochs: int | None = None) -> Evaluator:  # type: ignore[override]
        """Trains on the task's rows by its table's recipe, or by the first epochs of it."""
        problem, recipe = task.problem, task.problem.space.recipe or task.recipe
        if problem.train is None or problem.validation is None or recipe is None:
            raise InvalidValue(f"training for {task.id!r}: it has no rows to train on, or no recipe is known")
        parts = (problem.space, problem.train, problem.validation, recipe, task.training_objective)
        made = cls(*parts, device=problem.device, precision=problem.precision)
        return AtFidelity(made, made.check_fidelity(epochs))

    def train(self, architecture: Architecture, rng: np.random.Generator, epochs: int | None = None) -> Trained:
        """Train one architecture and return its network and learning curve.

        Args:
            architecture: Of the space.
            rng: Initial weights, order of the rows, augmentation.
            epochs: Stop after this many of the recipe's epochs.
        """
        network = compile_network(self.space, architecture, generator=torch_generator(rng), device=self.device)
        keep = "validation" if self.best_epoch else ""
        return Trained(network, self._fit(network, self.recipe_of(architecture), rng, epochs, keep))

    def recipe_of(self, architecture: Architecture) -> Recipe:
        """How one architecture is trained."""
        return self.space.recipe_of(architecture) or self.recipe

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        watch = Stopwatch(self.device)
        curve = self.train(architecture, rng, self.check_fidelity(fidelity)).curve
        return self._evaluation(curve, 0, watch.seconds())

    @property
    def continues(self) -> bool:  # type: ignore[override]
        """Whether trials can be continued: not where an architecture decides on its epochs, or the best one counts."""
        return isinstance(self.recipe.epochs, int) and not self.best_epoch

    def proceed(
        self,
        architecture: Architecture,
        *,
        fidelity: Fidelity | None,
        since: Fidelity | None,
        rng: np.random.Generator,
        checkpoint: Path,
    ) -> Evaluation:
        """Train from a trial's checkpoint; the recipe's schedule spans all of its epochs, whatever the fidelity.

        Charged are the epochs after ``since``, with what building and scoring takes.
        """
        watch, kept = Stopwatch(self.device), KeptTraining(checkpoint)
        epochs = self.check_fidelity(fidelity) or self.recipe.epochs
        paid, known = self.check_fidelity(since) or 0, len(kept.recorded.get("seconds", ()))
        if known > epochs:
            raise InvalidValue(f"{checkpoint} is of another training; move it away")
        network = compile_network(self.space, architecture, generator=torch_generator(rng), device=self.device)
        recipe, (train, validation) = self.recipe_of(architecture), self._placed
        parts = (network, train, recipe, torch_generator(rng), {"validation": validation}, epochs, self.objective)
        curve = fit(*parts, precision=self.precision, kept=kept)
        spent = [0.0, *curve.seconds.tolist()]
        others = watch.seconds() - (spent[-1] - spent[known])
        found = self._evaluation(curve, 0, max(0.0, others) + spent[-1] - spent[paid])
        scores = [found.metrics[f"{self.objective.metric}/epoch{i}"] for i in range(1, epochs + 1)]
        return found._replace(metrics={"diverged": found.metrics["diverged"]}, curve=tuple(enumerate(scores, start=1)))

    def evaluate_many(
        self,
        architectures: Sequence[Architecture],
        *,
        fidelity: Fidelity | None = None,
        rng: np.random.Generator,
    ) -> list[Evaluation]:
        """Train several architectures in one batched computation, on the same batches.

        Each is charged an equal share of the seconds, which is less than it would take alone. Where the space's recipe
        has decisions, those that decide alike are trained together.

        Raises:
            InvalidSpace: An operation of the space has no stacked form: use :meth:`evaluate`.
        """
        epochs = self.check_fidelity(fidelity)
        alike: dict[Recipe, list[int]] = {}
        for i, architecture in enumerate(architectures):
            alike.setdefault(self.recipe_of(architecture), []).append(i)
        found: dict[int, Evaluation] = {}
        for recipe, members in alike.items():
            told = self._many([architectures[i] for i in members], recipe, epochs, rng)
            found |= dict(zip(members, told, strict=True))
        return [found[i] for i in range(len(architectures))]

    def _many(
        self, architectures: Sequence[Architecture], recipe: Recipe, epochs: int | None, rng: np.random.Generator
    ) -> list[Evaluation]:
        """Several architectures by one recipe."""
        watch = Stopwatch(self.device)
        networks = [compile_network(self.space, a, generator=torch_generator(rng)) for a in architectures]
        population = stack_networks(self.space, architectures, networks).to(self.device)
        curve = self._fit(population, recipe, rng, epochs)
        seconds = watch.seconds() / len(architectures)
        return [self._evaluation(curve, member, seconds) for member in range(len(architectures))]

    def _fit(
        self, model: nn.Module, recipe: Recipe, rng: np.random.Generator, epochs: int | None, keep: str = ""
    ) -> Training:
        train, validation = self._placed
        held = {"validation": validation}
        return fit(model, train, recipe, torch_generator(rng), held, epochs, self.objective, keep, self.precision)

    @cached_property
    def _placed(self) -> tuple[Placed, Placed]:
        return placed(self.rows, self.device), placed(self.validation, self.device)

    def check_fidelity(self, fidelity: Fidelity | None) -> int | None:
        """A fidelity as a number of epochs.

        Raises:
            InvalidValue: It is none of the recipe's numbers of epochs, or the architecture decides on the epochs.
        """
        if fidelity is None:
            return None
        most = self.recipe.epochs
        if not isinstance(most, int):
            raise InvalidValue(f"fidelity {fidelity!r}: the epochs of {self.space.name!r} are a decision; ask for none")
        if not isinstance(fidelity, int) or not 1 <= fidelity <= most:
            raise InvalidValue(f"fidelity {fidelity!r}. Allowed: 1 to the recipe's {most} epochs")
        return fidelity

    def _evaluation(self, curve: Training, member: int, seconds: float) -> Evaluation:
        scores, metric = curve.scored["validation"][:, member], self.objective.metric
        if metric == "accuracy":
            scores = 100 * scores / len(self.validation)
        metrics = {f"{metric}/epoch{i}": score for i, score in enumerate(scores.tolist(), start=1)}
        metrics["diverged"] = float(not np.isfinite(curve.losses[:, member]).all())
        return Evaluation(float(np.fmax.reduce(scores) if self.best_epoch else scores[-1]), seconds, metrics)
