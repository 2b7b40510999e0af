"""What the parts of a gradient search see of the search: shared weights, a distribution over architectures, batches."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from naslab.compiler.devices import together
from naslab.evaluators.batches import Batches
from naslab.feasibility import Feasibility
from naslab.optimizers.base import GradientSearch
from naslab.optimizers.gradient.model import Model
from naslab.optimizers.gradient.ranking import Ranking
from naslab.space import Architecture


class SharedWeightsSearch(GradientSearch):
    """Shared weights and a distribution over architectures, to score, draw from, and set back.

    Attributes:
        epoch: Number of epochs made.
        ended: Whether the search is over before its last epoch.
        learning_rate: Of the weights at the start.
        weight_decay: Of the weights.
        affine: Whether batch normalisations have weights.
        partial: K: one in K channels passes through a choice.
        model: The supernet and its logits.
        ranking: Judges architectures by the shared weights.
        train_batches: Batches of training rows.
        held_batches: Batches of validation rows.
        weight_optimizer: Of the weights.
        optimizer: Of the logits.
        noise: For what the parts draw.
        ending: Seed of what is drawn when an architecture is derived.
    """

    epoch: int
    ended: bool
    learning_rate: float
    weight_decay: float
    affine: bool
    partial: int
    model: Model
    ranking: Ranking
    train_batches: Batches
    held_batches: Batches
    weight_optimizer: torch.optim.Optimizer
    optimizer: torch.optim.Optimizer
    noise: torch.Generator
    ending: int

    @cached_property
    def feasible(self) -> Feasibility:
        """The architectures that keep rules and limits."""
        return self.problem.feasibility()

    def score(self, architecture: Architecture) -> float:
        """The accuracy of an architecture with the shared weights on all validation rows, in percent."""
        return self.ranking.accuracy(architecture)

    def logits(self) -> list[np.ndarray]:
        """Of every choice, ``(K,)``, float64."""
        return [each.double().numpy() for each in together(self.model.logits)]

    def draws(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        """Feasible architectures, drawn from the distribution as it is."""
        return [tuple(row) for row in self.feasible.sample(self.logits(), rng, count).tolist()]

    def entropy(self) -> float:
        """Of the distribution over architectures, in nats."""
        return self.model.entropy()

    def learnt(self) -> dict[str, Any]:
        """A copy of the trained weights and logits, of the states of their optimisers, and of the epoch."""
        return copy.deepcopy(
            {
                "epoch": self.epoch,
                "supernet": self.model.supernet.state_dict(),
                "architecture": [parameter.detach() for parameter in self.model.architecture],
                "weight_optimizer": self.weight_optimizer.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
        )

    def set_learnt(self, learnt: Mapping[str, Any]) -> None:
        """Go back to what :meth:`learnt` gave."""
        self.epoch = learnt["epoch"]
        self.model.supernet.load_state_dict(learnt["supernet"])
        with torch.no_grad():
            for parameter, value in zip(self.model.architecture, learnt["architecture"], strict=True):
                parameter.copy_(value)
        self.weight_optimizer.load_state_dict(copy.deepcopy(learnt["weight_optimizer"]))
        self.optimizer.load_state_dict(copy.deepcopy(learnt["optimizer"]))
