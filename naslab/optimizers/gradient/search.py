"""The gradient search: a relaxation, an update, a perturbation and a derivation together."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from naslab.compiler.devices import numbers
from naslab.compiler.drop_path import DropPath
from naslab.compiler.layout import channels_last
from naslab.compiler.supernet import Form, compile_supernet
from naslab.errors import InvalidValue, TrainingFailed, UnknownName
from naslab.evaluators.batches import Batches
from naslab.evaluators.fitting import torch_generator
from naslab.evaluators.stopwatch import Stopwatch
from naslab.optimizers.base import Step
from naslab.optimizers.gradient.base import SharedWeightsSearch
from naslab.optimizers.gradient.derivations import new_derivation
from naslab.optimizers.gradient.model import Model, unmoved_statistics
from naslab.optimizers.gradient.penalties import ExpectedCost
from naslab.optimizers.gradient.perturbations import new_perturbation
from naslab.optimizers.gradient.ranking import Ranking
from naslab.optimizers.gradient.relaxations import RELAXATIONS, new_relaxation
from naslab.optimizers.gradient.sampled_updates import new_update
from naslab.optimizers.gradient.stopping import new_stopping
from naslab.optimizers.gradient.updates import Learner
from naslab.space import Architecture, scope
from naslab.tasks import Problem

ORDERS = ("logits-first", "weights-first")
UNROLLED = ("momentum", "taken")


class OneShotSearch(SharedWeightsSearch):
    """Shared weights and a distribution over architectures, trained in turn.

    Every step updates the logits on a batch of validation rows (after ``warm_up`` epochs) and the weights on a batch of
    training rows. An epoch is one pass over the training rows. The named strategies differ only in their parts
    and defaults, and any part of one can be given to another: ``gdas[perturbation=random]``.

    Weights, logits and rows are on the problem's device. What a step finds is looked at when its epoch is over; only
    relaxations and updates that draw a path from the logits wait for them in a step. The forward passes of losses have
    the problem's precision; rewards of drawn paths, rankings and the curvature are float32's.

    Args:
        problem: With rows to train on.
        rng: Its generator.
        weights: The relaxation under which weights are trained.
        relaxation: The one under which the architecture learns.
        update: How it learns.
        unroll: Which step of the weights the second-order updates look through: ``"momentum"``, plain momentum without
            clipping, as DARTS does whatever its optimiser takes; or ``"taken"``, the step that is taken.
        order: Which of the two a step updates first: ``"logits-first"`` (DARTS' algorithm 1) or ``"weights-first"``.
        perturbation: Of the probabilities while weights are trained.
        derivation: From probabilities to an architecture.
        stopping: When the search ends before its last epoch.
        epochs: Number of epochs of the search; schedules span them.
        batch: Rows of a training batch and of a validation batch.
        augmentation: Of training and validation images; see :class:`~naslab.evaluators.batches.Batches`.
        learning_rate: Of the weights at the start: SGD, cosine schedule.
        end_rate: Of the weights at the end.
        momentum: Of the weights.
        nesterov: Whether it is Nesterov's.
        weight_decay: Of the weights.
        clip: The largest norm of the weights' gradient.
        architecture_rate: Of the logits: Adam.
        architecture_decay: Of the logits.
        first_beta: Adam's first beta for the logits.
        warm_up: First epochs, in which the logits do not learn.
        warm_up_rate: Of the weights at the start of the warm-up, which then has a schedule of its own, down to 0; 0
            gives all epochs one schedule.
        partial: K: one in K channels passes through a choice (PC-DARTS).
        edges: Whether edges that meet in a node are weighted against each other (PC-DARTS).
        affine: Whether batch normalisations have weights.
        statistics: What these normalise by when architectures are ranked: ``"batch"``, ``"running"`` or
            ``"recalibrated"``; see :class:`~naslab.optimizers.gradient.ranking.Ranking`.
        drop_path: The final probability that all options that lead to a node are dropped (Bender et al. 2018).
        penalty: Weight of the expected cost (0 to 1) in the loss of the logits.
        resource: The cost: ``"params"``, ``"macs"`` or ``"activation_bytes"``.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        weights: str = "softmax",
        relaxation: str = "softmax",
        update: str = "first-order",
        unroll: str = "momentum",
        order: str = "logits-first",
        perturbation: str = "none",
        derivation: str = "argmax",
        stopping: str = "epochs",
        epochs: int = 50,
        batch: int = 64,
        augmentation: str = "none",
        learning_rate: float = 0.025,
        end_rate: float = 0.001,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 5e-4,
        clip: float = 5.0,
        architecture_rate: float = 3e-4,
        architecture_decay: float = 1e-3,
        first_beta: float = 0.5,
        warm_up: int = 0,
        warm_up_rate: float = 0.0,
        partial: int = 1,
        edges: bool = False,
        affine: bool = False,
        statistics: str = "batch",
        drop_path: float = 0.0,
        penalty: float = 0.0,
        resource: str = "macs",
    ) -> None:
        super().__init__(problem, rng)
        problem.space.require_network("a search through shared weights")
        train, held = problem.train, problem.validation
        if train is None or held is None:
            raise InvalidValue(
                "this search trains weights, and the task has no rows to train on. Tasks that have: pocket-cell/..., "
                "pocket-mlp/...; for those of NAS-Bench-201 give a folder of CIFAR (naslab search TASK --data DIR)"
            )
        if epochs < 1 or not 1 <= batch <= min(len(train), len(held)):
            most = min(len(train), len(held))
            raise InvalidValue(
                f"epochs={epochs}, batch={batch}. Allowed: 1 or more epochs, a batch of 1 to {most} rows"
            )
        if not (learning_rate > 0 and end_rate >= 0 and 0 <= momentum < 1 and clip > 0 and architecture_rate > 0):
            raise InvalidValue("rates and clip must be above 0, momentum within [0, 1)")
        if penalty < 0 or partial < 1:
            raise InvalidValue(f"penalty={penalty}, partial={partial}. Allowed: penalty 0 or more, partial 1 or more")
        if penalty and update == "none":
            raise InvalidValue(f"penalty={penalty} with update=none: nothing learns from it. Fix: update=first-order")
        if warm_up < 0 or (warm_up >= epochs and update != "none"):
            raise InvalidValue(
                f"warm_up={warm_up}, epochs={epochs}: the logits would never learn. Allowed: a warm-up from 0 to "
                f"{epochs - 1}. Fix: warm_up={round(0.3 * epochs)}, or more epochs"
            )
        for name, allowed, of in ((order, ORDERS, "order"), (unroll, UNROLLED, "unroll")):
            if name not in allowed:
                raise UnknownName(name, allowed, of=of)
        if warm_up_rate < 0:
            raise InvalidValue(f"warm_up_rate={warm_up_rate}. Allowed: 0 or more")
        if not (weight_decay >= 0 and architecture_decay >= 0 and 0 <= first_beta < 1):
            raise InvalidValue(
                f"weight_decay={weight_decay}, architecture_decay={architecture_decay}, first_beta={first_beta}. "
                "Allowed: decays of at least 0, a beta within [0, 1)"
            )
        self.epochs, self.epoch, self.warm_up, self.ended = epochs, 0, warm_up, False
        self.learning_rate, self.end_rate, self.clip = learning_rate, end_rate, clip
        self.warm_up_rate, self.order, self.unroll = warm_up_rate, order, unroll
        self.weight_decay, self.affine, self.partial, self.penalty = weight_decay, affine, partial, penalty
        self.weights, self.relaxation = new_relaxation(weights), new_relaxation(relaxation)
        self.update, self.perturbation = new_update(update), new_perturbation(perturbation)
        self.derivation, self.stopping = new_derivation(derivation), new_stopping(stopping)
        if self.update.differentiates and not self.relaxation.differentiable:
            raise InvalidValue(
                f"update={update} with relaxation={relaxation}, through which no gradient reaches the logits. Allowed: "
                f"{', '.join(name for name, each in RELAXATIONS.items() if each.differentiable)}; or update=reinforce"
            )
        problem.space.require_one_size(type(self).__name__)
        self.weights.space = self.relaxation.space = problem.space
        device = problem.device
        self.cost = ExpectedCost(problem.space, resource, device)
        self.generator, self.noise = torch_generator(rng), torch_generator(rng)
        if any(scope(node.get("width")) for _, node in problem.space.graph.nodes(data=True)):
            self.weights.use_tensors()
            self.relaxation.use_tensors()
        form: Form = "mixed" if "mixed" in (self.weights.form, self.relaxation.form) else "categorical"
        supernet = compile_supernet(
            problem.space,
            form,
            generator=torch_generator(rng),
            affine=affine,
            track_running_stats=statistics != "batch",
            partial_channels=partial,
            drop_path=DropPath.operations(drop_path, self.generator) if drop_path else None,
            fast=update != "second-order-exact",
            device=device,
        )
        if self.weights.form == "categorical":
            channels_last(supernet)
        self.model = Model(supernet, self.generator, edges=edges, device=device, precision=problem.precision)
        self.weight_optimizer = torch.optim.SGD(
            self.model.weights,
            learning_rate,
            momentum=momentum,
            nesterov=nesterov and momentum > 0,
            weight_decay=weight_decay,
        )
        self.optimizer = torch.optim.Adam(
            self.model.architecture, architecture_rate, betas=(first_beta, 0.999), weight_decay=architecture_decay
        )
        self.train_batches = Batches(train, batch, torch_generator(rng), augmentation, device=device)
        self.held_batches = Batches(held, batch, torch_generator(rng), augmentation, device=device)
        self.steps = len(train) // batch
        held_rows, train_rows = ((each.x, each.y) for each in (self.held_batches, self.train_batches))
        self.ranking = Ranking(supernet, held_rows, train_rows, statistics)
        self.ending = int(rng.integers(2**63))
        self.prepare(rng)

    def prepare(self, rng: np.random.Generator) -> None:
        """Set up whatever else a strategy needs."""

    def step(self) -> Step | None:
        if self.ended or self.epoch >= self.epochs:
            return None
        self._schedule()
        self.model.supernet.train()
        learner, learning = self.learner(), self.epoch >= self.warm_up
        finite: list[Tensor] = []  # before each step and after the last: whether all logits are
        losses: list[Tensor] = []
        held_losses: list[Tensor | None] = []
        try:
            for _ in range(self.steps):
                train, held = self.train_batches.next(), self.held_batches.next()
                finite.append(_all_finite(self.model.architecture))
                if learning and self.order == "logits-first":
                    held_losses.append(self.update.update(learner, train, held))
                losses.append(self._train(*train))
                if learning and self.order == "weights-first":
                    held_losses.append(self.update.update(learner, train, held))
        except TrainingFailed:
            self._checked(finite, losses)  # what failed before the draw did says more
            raise
        told = self._checked([*finite, _all_finite(self.model.architecture)], losses)
        self.epoch += 1
        metrics = {"train_loss": float(np.mean(told))}
        held_told = numbers(each for each in held_losses if each is not None)
        if held_told and not math.isnan(held_told[0]):
            metrics["validation_loss"] = float(np.mean(held_told))
        metrics |= self.after_epoch()
        metrics |= self.stopping.after_epoch(self)
        if not all(numbers([_all_finite(self.model.weights)])):
            raise TrainingFailed(f"a weight is not finite after epoch {self.epoch}; fix: a lower learning_rate")
        watch = Stopwatch(self.problem.device)
        metrics["entropy"] = self.entropy()
        architecture = self.derivation.derive(self, final=False)
        score = self.score(architecture)
        return Step(architecture, score, metrics, watch.seconds())

    def learner(self) -> Learner:
        """What updates of the logits work on."""
        clip = self.clip if self.unroll == "taken" else None
        parts = (self.model, self.relaxation, self.optimizer, self.weight_optimizer, self.generator)
        return Learner(*parts, self._penalty, clip)

    def after_epoch(self) -> dict[str, float]:
        """Do whatever else belongs to an epoch; returns metrics to record."""
        return {}

    def best(self) -> Architecture:
        return self.derivation.derive(self, final=True)

    def state(self) -> dict[str, Any]:
        others = {
            "ended": self.ended,
            "weight_decay": self.weight_decay,
            "update": self.update.state(),
            "stopping": self.stopping.state(),
            "generator": self.generator.get_state(),
            "noise": self.noise.get_state(),
            "train": self.train_batches.state(),
            "held": self.held_batches.state(),
        }
        return {**self.learnt(), **copy.deepcopy(others)}

    def restore(self, state: dict[str, Any]) -> None:
        self.set_learnt(state)
        self.ended, self.weight_decay = state["ended"], state["weight_decay"]
        self.update.restore(state["update"])
        self.stopping.restore(state["stopping"])
        self.generator.set_state(state["generator"])
        self.noise.set_state(state["noise"])
        self.train_batches.restore(state["train"])
        self.held_batches.restore(state["held"])

    def _checked(self, finite: Sequence[Tensor], losses: Sequence[Tensor]) -> list[float]:
        """The losses of an epoch's steps; the first thing that is not finite ends the search."""
        told, epoch = numbers(losses), self.epoch + 1
        for logits, loss in itertools.zip_longest(numbers(finite), told, fillvalue=0.0):
            if not logits:
                raise TrainingFailed(f"a logit is not finite in epoch {epoch}; fix: a lower architecture_rate")
            if not math.isfinite(loss):
                raise TrainingFailed(f"the training loss is {loss} in epoch {epoch}; fix: a lower learning_rate")
        return told

    def _schedule(self) -> None:
        """Set everything that changes from epoch to epoch."""
        progress = self.epoch / max(1, self.epochs - 1)
        for part in (self.weights, self.relaxation, self.perturbation):
            part.set_progress(progress)
        if self.model.supernet.drop_path is not None:
            self.model.supernet.drop_path.progress = progress
        for group in self.weight_optimizer.param_groups:
            group["lr"], group["weight_decay"] = self.rate(), self.weight_decay

    def rate(self) -> float:
        """The weights' learning rate of this epoch."""
        if self.warm_up_rate and self.epoch < self.warm_up:
            return annealed(self.warm_up_rate, 0.0, self.epoch, self.warm_up)
        begun = self.warm_up if self.warm_up_rate else 0
        return annealed(self.learning_rate, self.end_rate, self.epoch - begun, self.epochs - begun)

    def _penalty(self) -> Tensor | None:
        """What the expected cost adds to the loss of the logits."""
        return self.penalty * self.cost(self.model.probabilities()) if self.penalty else None

    def _train(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of the weights; returns its loss."""
        edges = self.model.edge_weights()
        held_edges = edges and {name: weight.detach() for name, weight in edges.items()}
        noise = self.generator.get_state()  # the same draws in every evaluation of this step

        def loss_of(probabilities: Any) -> Tensor:
            self.generator.set_state(noise)
            decisions = self.weights.decide(probabilities, self.generator)
            return self.model.loss(decisions, x, y, self.weights.form, held_edges)

        with unmoved_statistics(self.model.supernet):  # an adversary's passes must not count as training
            perturbed = self.perturbation.perturbed(self.model.probabilities(), loss_of, self.noise)
        loss = loss_of(perturbed)
        self.weight_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.weights, self.clip)
        self.weight_optimizer.step()
        return loss.detach()


def _all_finite(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([each.isfinite().all() for each in tensors]).all()


def annealed(start: float, end: float, epoch: int, epochs: int) -> float:
    """A cosine from ``start`` in epoch 0 to ``end`` in epoch ``epochs``; it rises again after that."""
    cosine = (1 + math.cos(math.pi * epoch / epochs)) / 2
    return end + (start - end) * cosine
