"""Training from scratch as an evaluator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import fx

from naslab.choice import Architecture
from naslab.compiler.network import compile_network
from naslab.compiler.population import stack_networks
from naslab.datasets.rows import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity
from naslab.evaluators.fitting import Training, fit, torch_generator
from naslab.evaluators.recipe import Recipe
from naslab.space import SearchSpace


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
        network: In the state in which the training left it.
        curve: What was recorded epoch by epoch, for one network.
    """

    network: fx.GraphModule
    curve: Training


class TrainingEvaluator(Evaluator):
    """Trains a network from scratch and scores it by its accuracy on the validation rows, in percent.

    A training that diverges is no error: rows for which the network says nothing finite count as wrong, so that its
    score is 0, and ``metrics["diverged"]`` is 1. Further metrics are the accuracy after each epoch,
    ``accuracy/epoch1``... A fidelity is a number of epochs: the beginning of the recipe's training, with its schedule.

    Args:
        space: The search space.
        train: Rows to train on.
        validation: Rows to score by.
        recipe: How to train.
    """

    clock = "measured"

    def __init__(self, space: SearchSpace, train: Labelled, validation: Labelled, recipe: Recipe) -> None:
        self.space, self.rows, self.validation, self.recipe = space, train, validation, recipe

    def train(self, architecture: Architecture, rng: np.random.Generator, epochs: int | None = None) -> Trained:
        """Train one architecture; the network and its learning curve.

        Args:
            architecture: Of the space.
            rng: Initial weights, order of the rows, augmentation.
            epochs: Stop after so many of the recipe's.
        """
        network = compile_network(self.space, architecture, generator=torch_generator(rng))
        held = {"validation": self.validation}
        return Trained(network, fit(network, self.rows, self.recipe, torch_generator(rng), held, epochs))

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        started = time.process_time()
        curve = self.train(architecture, rng, self._epochs(fidelity)).curve
        return self._evaluation(curve, 0, time.process_time() - started)

    def evaluate_many(
        self,
        architectures: Sequence[Architecture],
        *,
        fidelity: Fidelity | None = None,
        rng: np.random.Generator,
    ) -> list[Evaluation]:
        """Train several architectures in one batched computation, on the same batches.

        Each is charged an equal share of the CPU seconds, which is less than it would take alone.

        Raises:
            InvalidSpace: An operation of the space has no stacked form: use :meth:`evaluate`.
        """
        if not architectures:
            return []
        started, epochs = time.process_time(), self._epochs(fidelity)
        networks = [compile_network(self.space, a, generator=torch_generator(rng)) for a in architectures]
        population = stack_networks(self.space, architectures, networks)
        curve = fit(population, self.rows, self.recipe, torch_generator(rng), {"validation": self.validation}, epochs)
        seconds = (time.process_time() - started) / len(architectures)
        return [self._evaluation(curve, member, seconds) for member in range(len(architectures))]

    def _epochs(self, fidelity: Fidelity | None) -> int | None:
        if fidelity is not None and not isinstance(fidelity, int):
            raise InvalidValue(f"fidelity {fidelity!r}. Allowed: 1 to {self.recipe.epochs} epochs")
        return fidelity

    def _evaluation(self, curve: Training, member: int, seconds: float) -> Evaluation:
        accuracies = 100 * curve.scored["validation"][:, member] / len(self.validation)
        metrics = {f"accuracy/epoch{i}": accuracy for i, accuracy in enumerate(accuracies.tolist(), start=1)}
        metrics["diverged"] = float(not np.isfinite(curve.losses[:, member]).all())
        return Evaluation(float(accuracies[-1]), seconds, metrics)
