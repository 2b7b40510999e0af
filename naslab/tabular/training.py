"""Training from scratch on one's own table: the validation rows choose the epoch, the test rows choose nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from naslab.datasets import Labelled
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.evaluators.fitting import outputs_of
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import TrainingObjective
from naslab.running import seed_sequence
from naslab.space import Architecture, Recipe
from naslab.tabular.scoring import Outputs
from naslab.tasks import Problem


@dataclass(frozen=True, eq=False)
class Candidate:
    """A network trained from scratch.

    Attributes:
        architecture: The network's architecture.
        network: As it was after its best epoch.
        validation: Its score on the validation rows, which chose that epoch.
    """

    architecture: Architecture
    network: nn.Module
    validation: float


@dataclass(frozen=True, eq=False)
class Scratch(Evaluator):
    """Trains a network from scratch and judges it on rows that its training has not seen.

    Attributes:
        problem: Has the rows to train on and those that choose the epoch.
        test: The rows to judge by.
        recipe: How to train.
        objective: Loss and metric.
    """

    problem: Problem
    test: Labelled
    recipe: Recipe
    objective: TrainingObjective

    clock = "measured"

    def train(self, architecture: Architecture, rng: np.random.Generator) -> Candidate:
        """Train one architecture; the test rows are not looked at."""
        train, validation = self.problem.train, self.problem.validation
        assert train is not None
        assert validation is not None
        judge = TrainingEvaluator(self.problem.space, train, validation, self.recipe, self.objective, best_epoch=True)
        network = judge.train(architecture, rng).network.eval()
        return Candidate(
            architecture, network, self.objective.score(network_outputs(network, validation), validation.y)
        )

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        started = time.process_time()
        outputs = network_outputs(self.train(architecture, rng).network, self.test)
        return Evaluation(self.objective.score(outputs, self.test.y), time.process_time() - started)


class Trainings:
    """Networks of a task, each trained from scratch once, by the same recipe and seed.

    An architecture's initial weights and batches depend on the seed and on the architecture alone, whoever proposes it.
    """

    def __init__(self, scratch: Scratch, seed: int, tick: Callable[[str], None]) -> None:
        self.scratch, self.seed, self.tick = scratch, seed, tick
        self._trained: dict[Architecture, Candidate] = {}

    def __getitem__(self, architecture: Architecture) -> Candidate:
        if architecture not in self._trained:
            name = self.scratch.problem.space.to_string(architecture)
            rng = np.random.default_rng(seed_sequence("csv", "training", self.seed, name))
            self._trained[architecture] = self.scratch.train(architecture, rng)
            self.tick(name)
        return self._trained[architecture]


def network_outputs(network: nn.Module, rows: Labelled) -> Outputs:
    """A network's outputs for rows, ``(N, classes)`` or ``(N, 1)``."""
    outputs: Outputs = outputs_of(network, torch.from_numpy(rows.x))[:, 0].numpy()
    return outputs
