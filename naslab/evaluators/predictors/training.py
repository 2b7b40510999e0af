"""How predictors that learn by gradients are trained: one loop, float32, explicit generators."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from naslab.compiler.devices import moved
from naslab.errors import InvalidValue
from naslab.evaluators.fitting import has_fused

Inputs = tuple[Tensor, ...]
"""What a network takes, each with one row per architecture."""
TrainingObjective = Callable[[Inputs, Tensor], Tensor]
"""The loss of a batch, from its inputs and its targets."""

_ROWS_AT_ONCE = 512  # when predicting; with more, a transformer's activations no longer fit the processor's cache


@dataclass(frozen=True)
class Schedule:
    """How long, in which steps.

    Attributes:
        epochs: Passes over the rows.
        batch: Rows of a step; all where there are fewer. A last batch that is not full is left out.
        learning_rate: Of Adam.
        weight_decay: Added to the gradient (Adam's, not AdamW's).
        betas: Adam's.
        cosine: Whether the rate falls to zero along half a cosine, epoch by epoch; constant otherwise.
        clip: Largest norm of the gradient, 0 for no limit.
        most_steps: Most steps of an epoch, 0 for no limit. More rows than fit are taken in larger batches, at a rate
            that grows with the square root of the batch.

    Raises:
        InvalidValue: A number that makes no sense.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    cosine: bool = True
    clip: float = 0.0
    most_steps: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1:
            raise InvalidValue(f"epochs={self.epochs}, batch={self.batch}. Allowed: whole numbers of at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0 and self.weight_decay >= 0):
            raise InvalidValue(
                f"learning_rate={self.learning_rate}, weight_decay={self.weight_decay}. Allowed: a rate above 0, a "
                "decay of at least 0"
            )

    def sized(self, rows: int) -> Schedule:
        """The schedule for so many rows."""
        batch = max(self.batch, rows // self.most_steps) if self.most_steps else self.batch
        rate = self.learning_rate * math.sqrt(batch / self.batch)
        return replace(self, batch=min(batch, rows), learning_rate=rate)

    def rate(self, epoch: int) -> float:
        """The learning rate in an epoch, counted from 0."""
        if not self.cosine:
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


class Addition(Protocol):
    """What may be added to the loss of the training rows, with variables of its own."""

    def loss(self) -> Tensor | None:
        """The term of this step; None where it is zero."""

    def update(self) -> None:
        """Called after the term's gradient is known and before the network's step."""


class Training:
    """A training that can be continued.

    Args:
        model: Trained from its present weights, on the device that it and the rows are on.
        objective: The loss of a batch.
        inputs: The rows.
        targets: ``(n,)``.
        schedule: How to train.
        generator: The order of the rows.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: TrainingObjective,
        inputs: Inputs,
        targets: Tensor,
        schedule: Schedule,
        generator: torch.Generator,
    ) -> None:
        self.model, self.objective, self.generator = model, objective, generator
        self.schedule = schedule.sized(len(targets))
        self.rows = (*inputs, targets)
        self._parameters = list(model.parameters())
        self._optimizer = torch.optim.Adam(
            self._parameters,
            self.schedule.learning_rate,
            betas=schedule.betas,
            weight_decay=schedule.weight_decay,
            fused=has_fused(self._parameters),  # one pass over the parameters a step instead of eight
        )

    def run(self, after: Callable[[], None] | None = None) -> None:
        """All epochs of the schedule; ``after`` is called after each."""
        for epoch in range(self.schedule.epochs):
            self.epoch(self.schedule.rate(epoch))
            if after is not None:
                after()

    def epoch(self, rate: float, addition: Addition | None = None) -> None:
        """One pass over the rows, in a new order."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        rows = len(self.rows[0])
        batch = self.schedule.batch
        order = torch.randperm(rows, generator=self.generator, device="cpu")[: rows // batch * batch]
        order = moved(order, self.rows[0].device)
        shuffled = [torch.split(tensor[order], batch) for tensor in self.rows]
        for *inputs, targets in zip(*shuffled, strict=True):
            loss = self.objective(tuple(inputs), targets)
            term = None if addition is None else addition.loss()
            self._optimizer.zero_grad(set_to_none=True)
            (loss if term is None else loss + term).backward()  # type: ignore[no-untyped-call]
            if addition is not None:
                addition.update()
            if self.schedule.clip:
                nn.utils.clip_grad_norm_(self._parameters, self.schedule.clip)
            self._optimizer.step()


def outputs_of(model: nn.Module, inputs: Inputs) -> Tensor:
    """The outputs of a network for all rows, in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        blocks = zip(*(torch.split(tensor, _ROWS_AT_ONCE) for tensor in inputs), strict=True)
        return torch.cat([model(*block) for block in blocks])
