"""The search by gradients: which relaxation, update, perturbation and derivation make it up."""

from __future__ import annotations

import copy
import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from naslab.choice import Architecture, scope
from naslab.compiler.supernet import Form, compile_supernet
from naslab.errors import InvalidValue, TrainingFailed
from naslab.evaluators.batches import Batches
from naslab.evaluators.fitting import torch_generator
from naslab.feasibility import Feasibility
from naslab.optimizers.base import GradientSearch, Step
from naslab.optimizers.gradient.derivations import new_derivation
from naslab.optimizers.gradient.model import Model
from naslab.optimizers.gradient.perturbations import new_perturbation
from naslab.optimizers.gradient.relaxations import new_relaxation
from naslab.optimizers.gradient.sampled_updates import new_update
from naslab.optimizers.gradient.updates import Learner
from naslab.problem import Problem

ROWS_AT_ONCE = 256


class OneShotSearch(GradientSearch):
    """Shared weights and a distribution over architectures, trained in turn.

    Every step updates the logits on a batch of validation rows (after ``warm_up`` epochs), then the weights on a batch
    of training rows. An epoch is one pass over the training rows. The named strategies differ in their parts and
    defaults alone, and any part of one can be given to another: ``gdas[perturbation=random]``.

    Args:
        problem: With rows to train on.
        rng: Its generator.
        weights: The relaxation under which weights are trained.
        relaxation: The one under which the architecture learns.
        update: How it learns.
        perturbation: Of the probabilities while weights are trained.
        derivation: From probabilities to an architecture.
        epochs: After which the search ends; schedules span them.
        batch: Rows of a step, of training and of validation.
        learning_rate: Of the weights at the start: SGD with Nesterov momentum, cosine schedule.
        end_rate: Of the weights at the end.
        momentum: Of the weights.
        weight_decay: Of the weights.
        clip: The largest norm of the weights' gradient.
        architecture_rate: Of the logits: Adam.
        architecture_decay: Of the logits.
        first_beta: Adam's first beta for the logits.
        warm_up: Epochs in which the logits stay.
        partial: One in how many channels passes through a choice (PC-DARTS).
        edges: Whether edges that meet in a node are weighted among each other (PC-DARTS).
        affine: Whether batch normalisations have weights.
    """

    def __init__(
        self,
        problem: Problem,
        rng: np.random.Generator,
        *,
        weights: str = "softmax",
        relaxation: str = "softmax",
        update: str = "first-order",
        perturbation: str = "none",
        derivation: str = "argmax",
        epochs: int = 50,
        batch: int = 64,
        learning_rate: float = 0.025,
        end_rate: float = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        clip: float = 5.0,
        architecture_rate: float = 3e-4,
        architecture_decay: float = 1e-3,
        first_beta: float = 0.5,
        warm_up: int = 0,
        partial: int = 1,
        edges: bool = False,
        affine: bool = False,
    ) -> None:
        super().__init__(problem, rng)
        train, held = problem.train, problem.validation
        if train is None or held is None:
            raise InvalidValue("this search trains weights: it needs a task with rows, such as pocket-cell/mnist")
        if epochs < 1 or not 1 <= batch <= min(len(train), len(held)):
            most = min(len(train), len(held))
            raise InvalidValue(
                f"epochs={epochs}, batch={batch}. Allowed: 1 or more epochs, a batch of 1 to {most} rows"
            )
        if not (learning_rate > 0 and end_rate >= 0 and 0 <= momentum < 1 and clip > 0 and architecture_rate > 0):
            raise InvalidValue("rates and clip must be above 0, momentum within [0, 1)")
        self.epochs, self.epoch, self.warm_up = epochs, 0, warm_up
        self.learning_rate, self.end_rate, self.clip = learning_rate, end_rate, clip
        self.weights, self.relaxation = new_relaxation(weights), new_relaxation(relaxation)
        self.update, self.perturbation = new_update(update), new_perturbation(perturbation)
        self.derivation = new_derivation(derivation)
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
            partial_channels=partial,
            fast=update != "second-order-exact",
        )
        self.model = Model(supernet, self.generator, edges=edges)
        self.weight_optimizer = torch.optim.SGD(
            self.model.weights, learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay
        )
        self.optimizer = torch.optim.Adam(
            self.model.architecture, architecture_rate, betas=(first_beta, 0.999), weight_decay=architecture_decay
        )
        self.train_batches = Batches(train, batch, torch_generator(rng))
        self.held_batches = Batches(held, batch, torch_generator(rng))
        self.steps = len(train) // batch

    @cached_property
    def feasible(self) -> Feasibility:
        """The architectures that keep rules and limits."""
        return self.problem.feasibility()

    def step(self) -> Step | None:
        if self.epoch >= self.epochs:
            return None
        progress = self.epoch / max(1, self.epochs - 1)
        for part in (self.weights, self.relaxation, self.perturbation):
            part.set_progress(progress)
        cosine = (1 + math.cos(math.pi * self.epoch / self.epochs)) / 2
        rate = self.end_rate + (self.learning_rate - self.end_rate) * cosine
        for group in self.weight_optimizer.param_groups:
            group["lr"] = rate
        self.model.supernet.train()
        learner = Learner(self.model, self.relaxation, self.optimizer, self.weight_optimizer, self.generator)
        losses, held_losses = [], []
        for _ in range(self.steps):
            train, held = self.train_batches.next(), self.held_batches.next()
            if self.epoch >= self.warm_up:
                held_losses.append(self.update.update(learner, train, held))
            losses.append(self._train(*train))
        self.epoch += 1
        loss = float(np.mean(losses))
        if not math.isfinite(loss):
            raise TrainingFailed(f"the training loss is {loss} in epoch {self.epoch}; fix: a lower learning_rate")
        architecture = self.derivation.derive(self, final=False)
        metrics = {"train_loss": loss, "entropy": self.model.entropy()}
        if held_losses and not math.isnan(held_losses[0]):
            metrics["validation_loss"] = float(np.mean(held_losses))
        return Step(architecture, self.score(architecture), metrics)

    def best(self) -> Architecture:
        return self.derivation.derive(self, final=True)

    def score(self, architecture: Architecture) -> float:
        """The accuracy of an architecture with the shared weights on all validation rows, in percent."""
        paths = self.model.supernet.view("categorical").eval()
        x, y = self.held_batches.x, self.held_batches.y
        with torch.inference_mode():
            pairs = zip(torch.split(x, ROWS_AT_ONCE), torch.split(y, ROWS_AT_ONCE), strict=True)
            right = sum(int((paths(rows, architecture).argmax(dim=1) == labels).sum()) for rows, labels in pairs)
        return 100.0 * right / len(y)

    def state(self) -> dict[str, Any]:
        return copy.deepcopy(
            {
                "epoch": self.epoch,
                "supernet": self.model.supernet.state_dict(),
                "architecture": [parameter.detach() for parameter in self.model.architecture],
                "weight_optimizer": self.weight_optimizer.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "update": self.update.state(),
                "generator": self.generator.get_state(),
                "noise": self.noise.get_state(),
                "train": self.train_batches.state(),
                "held": self.held_batches.state(),
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]
        self.model.supernet.load_state_dict(state["supernet"])
        with torch.no_grad():
            for parameter, value in zip(self.model.architecture, state["architecture"], strict=True):
                parameter.copy_(value)
        self.weight_optimizer.load_state_dict(state["weight_optimizer"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.update.restore(state["update"])
        self.generator.set_state(state["generator"])
        self.noise.set_state(state["noise"])
        self.train_batches.restore(state["train"])
        self.held_batches.restore(state["held"])

    def _train(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """One step of the weights."""
        edges = self.model.edge_weights()
        held_edges = edges and {name: weight.detach() for name, weight in edges.items()}
        noise = self.generator.get_state()  # the same draws in every evaluation of this step

        def loss_of(probabilities: Any) -> torch.Tensor:
            self.generator.set_state(noise)
            decisions = self.weights.decide(probabilities, self.generator)
            return self.model.loss(decisions, x, y, self.weights.form, held_edges)

        loss = loss_of(self.perturbation.perturbed(self.model.probabilities(), loss_of, self.noise))
        self.weight_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.weights, self.clip)
        self.weight_optimizer.step()
        return float(loss.detach())
