"""Self-evolution: a predictor's earlier evaluations as constraints on what it learns (Lu et al. 2021, TNASP).

Section 3.2 of the paper, equations (8) and (11) to (13), algorithm 1. V validation architectures are never trained on
with their labels. Each round t predicts them, ``yhat(t)``, and learns one number from their labels, the mean squared
error ``e(t)`` (equation 9). Auxiliary targets ``ybar`` stand in for the labels, and must have that distance from each
earlier prediction::

    min over theta, ybar    max over lambda
        sum_i (f(x_i) - y_i)^2 + alpha sum_j (f(v_j) - ybar_j)^2
        + 1/T sum_t lambda_t (1/V sum_j (yhat_j(t) - ybar_j)^2 - e(t))

by descent on theta and ybar and ascent on lambda, all from the same point.

Not published, so our choice: alpha, the number of rounds, the epochs of a round (the paper's "until converged"), the
step sizes, and where ybar and lambda start: ybar at the first prediction (the first residual is then ``-e(1)``), and
each lambda at 0. T is the number of constraints so far. All three terms are means (the whole is divided by n, and alpha
is per validation architecture). Theta takes Adam steps on a batch of the training rows and one of the validation rows.
A step of an entry of ybar follows the gradient of its own terms, without the division by V.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.devices import array, moved
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.base import Floats
from naslab.evaluators.predictors.targets import transform
from naslab.evaluators.predictors.training import Inputs, Training


@dataclass(frozen=True)
class Evolution:
    """The constants of self-evolution; all of them are our choice.

    Attributes:
        rounds: T. 0 is plain training.
        alpha: Weight of the auxiliary targets.
        epochs: Passes over the training rows in each round.
        learning_rate: Of the network in the rounds.
        target_rate: Step size of the auxiliary targets.
        multiplier_rate: Step size of the multipliers; 0 leaves them at 0.

    Raises:
        InvalidValue: A negative number, or rounds without epochs.
    """

    rounds: int = 0
    alpha: float = 0.5
    epochs: int = 30
    learning_rate: float = 1e-5
    target_rate: float = 0.01
    multiplier_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("rounds", "alpha", "target_rate", "multiplier_rate"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InvalidValue(f"{name}={getattr(self, name)}. Allowed: numbers of at least 0")
        if self.epochs < 1 or not 0 < self.learning_rate < float("inf"):
            given = f"round_epochs={self.epochs}, round_rate={self.learning_rate}"
            raise InvalidValue(f"{given}. Allowed: at least one epoch, a rate above 0")


class Constrained:
    """The terms of the objective other than that of the training rows, and their variables.

    Args:
        predict: From validation inputs to the network's outputs, with their graph.
        inputs: Of the validation rows.
        alpha: Weight of the auxiliary targets.
        batch: Validation rows in a step of the network.
        target_rate: Step size of the auxiliary targets.
        multiplier_rate: Step size of the multipliers.
        generator: Draws the batches.

    Attributes:
        predictions: ``(t, V)`` earlier predictions.
        errors: ``(t,)`` their mean squared errors.
        targets: ``(V,)`` auxiliary targets.
        multipliers: ``(t,)``.
    """

    def __init__(
        self,
        predict: Callable[[Inputs], Tensor],
        inputs: Inputs,
        alpha: float,
        batch: int,
        target_rate: float,
        multiplier_rate: float,
        generator: torch.Generator,
    ) -> None:
        self.predict, self.inputs, self.alpha, self.generator = predict, inputs, alpha, generator
        self.target_rate, self.multiplier_rate = target_rate, multiplier_rate
        count = len(inputs[0])
        self.batch = min(batch, count)
        none = torch.empty(0, device=inputs[0].device)
        self.predictions, self.errors = none.new_empty(0, count), none
        self.targets, self.multipliers = none, none
        self._pull: tuple[Tensor, Tensor] | None = None

    def constrain(self, predictions: Tensor, error: float) -> None:
        """Add a constraint: the targets have this mean squared distance from the predictions ``(V,)``."""
        if not len(self.errors):
            self.targets = predictions.clone()
        self.predictions = torch.cat([self.predictions, predictions[None]])
        self.errors = torch.cat([self.errors, self.errors.new_full((1,), error)])
        self.multipliers = torch.cat([self.multipliers, self.multipliers.new_zeros(1)])

    def residuals(self) -> Tensor:
        """``(t,)``: by how much the targets' mean squared distance from each prediction exceeds its error."""
        return (self.predictions - self.targets).square().mean(dim=1) - self.errors

    def loss(self) -> Tensor | None:
        """``alpha`` times the mean squared distance of a batch's outputs from their targets; None where it is zero."""
        if self.alpha == 0:
            return None
        rows = torch.randperm(len(self.targets), generator=self.generator, device="cpu")[: self.batch]
        rows = moved(rows, self.targets.device)
        outputs = self.predict(tuple(tensor[rows] for tensor in self.inputs))
        self._pull = rows, outputs.detach()
        return self.alpha * (outputs - self.targets[rows]).square().mean()

    def update(self) -> None:
        """Equations (12) and (13), from the point that the network's gradient was taken at."""
        ascent = self.residuals() / len(self.errors)
        descent = 2 * (self.multipliers[:, None] * (self.targets - self.predictions)).mean(dim=0)
        if self._pull is not None:
            rows, outputs = self._pull
            descent[rows] += 2 * self.alpha * (self.targets[rows] - outputs) * (len(descent) / len(rows))
        self.targets = self.targets - self.target_rate * descent
        self.multipliers = self.multipliers + self.multiplier_rate * ascent


def evolve(
    training: Training,
    evolution: Evolution,
    inputs: Inputs,
    labels: Floats,
    predict: Callable[[Inputs], Tensor],
    outputs: Callable[[Inputs], Tensor],
) -> Constrained:
    """Algorithm 1, lines 2 to 10: the rounds after plain training.

    With ``alpha=0`` and ``multiplier_rate=0`` it is ``rounds * epochs`` further epochs of plain training, to the bit.

    Args:
        training: Plain training is done.
        evolution: The constants.
        inputs: Of the V validation rows.
        labels: ``(V,)`` on the scale of the training's targets.
        predict: The network's outputs with their graph, as while training.
        outputs: The network's outputs as when predicting.
    """
    # Its own generator, so that the training's draws are those of plain training.
    generator = torch.Generator().manual_seed(training.generator.initial_seed())
    constrained = Constrained(
        predict,
        inputs,
        evolution.alpha,
        training.schedule.batch,
        evolution.target_rate,
        evolution.multiplier_rate,
        generator,
    )
    for _ in range(evolution.rounds):
        predictions = outputs(inputs).clone()
        error = float(np.mean((array(predictions.double()) - labels) ** 2))
        constrained.constrain(predictions, error)
        for _ in range(evolution.epochs):
            training.epoch(evolution.learning_rate, constrained)
    return constrained


def on_scale(scores: Floats, known: Floats, target: str) -> Floats:
    """Further scores on the scale of the targets that were made of known scores.

    Args:
        scores: ``(v,)``.
        known: ``(n,)`` those that were learned from.
        target: See :func:`naslab.evaluators.predictors.targets.transform`. Ranks are interpolated between known scores
            and constant beyond them.
    """
    if target == "rank":
        order = np.argsort(known, kind="stable")
        return np.interp(scores, known[order], transform(known, target)[order])
    both = transform(np.concatenate([known, scores]), target)
    first = both[: len(known)]
    rescaled: Floats = (both[len(known) :] - first.mean()) / first.std()
    return rescaled
