"""Judging architectures by weights that all of them share, trained while they are judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from naslab.compiler.devices import array, number, resolved
from naslab.compiler.layout import channels_last
from naslab.compiler.supernet import Supernet, compile_supernet
from naslab.datasets import Labelled
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.arithmetic import checked_precision, forward
from naslab.evaluators.base import AtFidelity, Evaluation, Evaluator, Fidelity, TaskLike
from naslab.evaluators.batches import Batches
from naslab.evaluators.fitting import count_right, losses_of, new_optimizer, scores, torch_generator
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.training_objective import ACCURACY, TrainingObjective
from naslab.space import Architecture, Recipe, SearchSpace

FIDELITIES = ("step", "full-validation")


class OneShot(Evaluator):
    """Weight sharing as in TuNAS (Bender et al. 2020) and TabNAS (Yang et al. 2022): every evaluation is a step.

    A step trains the shared weights on one batch of training rows, through the architecture asked for, and then scores
    the same architecture on one batch of validation rows. Batches follow random orders of the rows. Each architecture
    is scored on a different batch; the noise is left to the search's baseline, as in the papers. A metric that is no
    mean over rows (roc-auc, r2, rmse, balanced accuracy) has a different expectation on batches than on all rows.

    Layer warm-up: in the first quarter of the steps each width is replaced by the largest one, for training, with a
    probability that falls from one to zero. These steps are marked (``metrics["warm_up"]``): strategies that learn from
    rewards do not learn from them (TuNAS' delay). Weights that an architecture does not use get no gradient and are not
    decayed.

    The fidelity ``"full-validation"`` trains nothing and scores on all validation rows.

    Args:
        space: The search space.
        train: Rows to train the weights on.
        validation: Rows to score by.
        recipe: Of the shared weights; its schedule spans ``epochs`` passes over the training rows. No weight decay.
        objective: The loss and the metric; accuracy by default, in percent.
        warm_up: The share of the steps that are warm-up.
        validation_batch: Rows of one score; four times the training batch by default, as in TuNAS.
        device: Where the shared weights and the rows are.
        precision: Of the forward passes that train; scores are float32's. ``"float32"`` or ``"bfloat16"``.

    Raises:
        InvalidValue: There is no such device, no such precision there, or a number that makes no sense.
    """

    clock = "measured"
    stateful: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        train: Labelled,
        validation: Labelled,
        recipe: Recipe,
        objective: TrainingObjective = ACCURACY,
        *,
        warm_up: float = 0.25,
        validation_batch: int | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        space.require_network("shared weights")
        space.require_one_size("shared weights")
        if recipe.weight_decay:
            raise InvalidValue(f"weight_decay={recipe.weight_decay}. Allowed: 0 (it would shrink weights not in use)")
        if recipe.mixup:
            raise InvalidValue(f"mixup={recipe.mixup}. Allowed: 0 (shared weights are trained on rows as they are)")
        if not 0 <= warm_up < 1:
            raise InvalidValue(f"warm_up={warm_up}. Allowed: from 0 to below 1")
        self.space, self.recipe, self.objective, self.warm_up = space, recipe, objective, warm_up
        self.device = resolved(device)
        self.precision = checked_precision(precision, self.device)
        self.steps = recipe.epochs * recipe.batches(len(train))
        self.step = 0
        self._rows, self._held = train, validation
        self._scored = min(len(validation), validation_batch or 4 * recipe.batch)
        self._largest = [_largest(choice.options) for choice in space.choices]
        self._state: _State | None = None

    @classmethod
    def for_task(cls, task: TaskLike, rng: np.random.Generator, *, epochs: int | None = None) -> Evaluator:  # type: ignore[override]
        """Weights trained by uniform paths on the task's training rows; then they only score, on all validation rows.

        Every step trains a uniformly drawn architecture on one batch (Guo et al. 2020, "SPOS"); no warm-up. The recipe
        is that of ``TASK@shared``: the table's for four times as many epochs, without weight decay.

        Args:
            task: With rows to train on.
            rng: Draws the weights, the paths and the batches.
            epochs: Passes over the training rows.
        """
        problem, recipe = task.problem, task.recipe
        if problem.train is None or problem.validation is None or recipe is None:
            raise InvalidValue(f"one-shot weights of {task.id!r}: it has no rows to train on, or no recipe is known")
        recipe = dataclasses.replace(recipe, epochs=epochs or 4 * recipe.epochs, weight_decay=0.0)
        parts = (problem.space, problem.train, problem.validation, recipe, task.training_objective)
        made = cls(*parts, warm_up=0.0, device=problem.device, precision=problem.precision)
        made.train_uniformly(rng)
        return AtFidelity(made, "full-validation")

    def train_uniformly(self, rng: np.random.Generator) -> None:
        """Train the shared weights to the end of the recipe, in each step those of a uniformly drawn architecture."""
        if self._state is None:
            self._state = _State(self, rng)
        while self.step < self.steps:
            self._state.train(self.space.sample(rng))
            self.step += 1

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        if fidelity not in (None, *FIDELITIES):
            raise UnknownName(str(fidelity), FIDELITIES, of="fidelity")
        watch = Stopwatch(self.device)
        if self._state is None:
            self._state = _State(self, rng)
        if fidelity == "full-validation":
            score = self._state.score_all(architecture)
            return Evaluation(score, watch.seconds())
        warm = self.step < self.warm_up * self.steps
        loss = self._state.train(self._widened(architecture, rng) if warm else architecture)
        score = self._state.score(architecture)
        self.step += 1
        return Evaluation(score, watch.seconds(), {"loss": number(loss), "warm_up": float(warm)})

    @property
    def supernet(self) -> Supernet | None:
        """The shared weights; None before the first evaluation."""
        return None if self._state is None else self._state.supernet

    def _widened(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        replaced = rng.random(len(architecture)) < 1 - self.step / (self.warm_up * self.steps)
        options = zip(architecture, self._largest, replaced.tolist(), strict=True)
        return tuple(option if large is None or not widen else large for option, large, widen in options)


class _State:
    """Shared weights, their optimiser, and the position in the batches."""

    def __init__(self, owner: OneShot, rng: np.random.Generator) -> None:
        self.owner = owner
        device = owner.device
        supernet = compile_supernet(owner.space, "categorical", generator=torch_generator(rng), device=device)
        self.supernet = channels_last(supernet)
        self._modules = list(self.supernet.modules())
        self.optimizer = new_optimizer(list(self.supernet.parameters()), owner.recipe)
        if isinstance(self.optimizer, torch.optim.SGD):
            for parameter in self.supernet.parameters():
                # Fused SGD can't take a step while some parameters have momentum and others have had no gradient yet.
                self.optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        self.loss_of = _loss(owner.objective, device)
        self.train_batches = Batches(owner._rows, owner.recipe.batch, torch_generator(rng), device=device)
        self.score_batches = Batches(owner._held, owner._scored, torch_generator(rng), device=device)

    def train(self, architecture: Architecture) -> Tensor:
        """One step; returns its loss, which nobody waits for."""
        owner = self.owner
        for group in self.optimizer.param_groups:
            group["lr"] = owner.recipe.rate(min(owner.step, owner.steps), owner.steps)
        x, y = self.train_batches.next()
        self._mode(training=True)
        outputs = forward(self.supernet, x, architecture, precision=owner.precision, device=owner.device)
        loss = self.loss_of(outputs, y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def score(self, architecture: Architecture) -> float:
        x, y = self.score_batches.next()
        self._mode(training=False)
        with torch.inference_mode():
            outputs = self.supernet(x, architecture)
        if self.owner.objective.metric != "accuracy":
            return self.owner.objective.score(array(outputs), array(y))
        return 100.0 * number((outputs.argmax(dim=1) == y).sum()) / len(y)

    def _mode(self, *, training: bool) -> None:
        """Faster than ``train()`` and ``eval()``, which take as long as a small network's forward pass."""
        for module in self._modules:
            object.__setattr__(module, "training", training)  # a tenth of nn.Module's own time

    def score_all(self, architecture: Architecture) -> float:
        held = self.score_batches
        network = self.supernet.extract(architecture)
        if self.owner.objective.metric != "accuracy":
            return float(scores(network, held.x, held.y, self.owner.objective)[0])
        return 100.0 * float(count_right(network, held.x, held.y)[0]) / len(held.y)


def _loss(objective: TrainingObjective, device: str) -> Callable[[Tensor, Tensor], Tensor]:
    if objective.kind == "classification" and not objective.class_weights:
        return functional.cross_entropy  # one kernel; the same loss up to its last bit
    losses = losses_of(objective, device)
    return lambda outputs, y: losses(outputs[:, None], y)[0]


def _largest(options: tuple[object, ...]) -> int | None:
    """The largest of options that are widths; None where they are something else."""
    widths = [option for option in options if isinstance(option, int) and not isinstance(option, bool)]
    return options.index(max(widths)) if len(widths) == len(options) else None
