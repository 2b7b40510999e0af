"""How a network is trained from scratch, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from naslab.errors import InvalidValue


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: Passes over the training rows.
        batch: Rows per step; rows at the end of an epoch's order that do not fill a batch are left out.
        optimizer: ``"sgd"`` (Nesterov momentum 0.9) or ``"adamw"`` (betas 0.9 and 0.999).
        learning_rate: The learning rate at the start.
        schedule: ``"cosine"`` falls towards zero, which it would reach one step after the last (Loshchilov & Hutter
            2017, without restarts); ``"constant"`` keeps the learning rate.
        weight_decay: Applied to every parameter; decoupled with AdamW.
        augmentation: ``"none"``, or ``"shift"``: each batch of images is moved by up to one pixel in each direction.
    """

    epochs: int
    batch: int
    learning_rate: float
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 0.0
    augmentation: Literal["none", "shift"] = "none"

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise InvalidValue(f"recipe: {name}={getattr(self, name)!r}. Allowed: {', '.join(allowed)}")
        for name in ("epochs", "batch"):
            if not (isinstance(getattr(self, name), int) and getattr(self, name) > 0):
                raise InvalidValue(f"recipe: {name}={getattr(self, name)!r}. Allowed: whole numbers of at least 1")
        if not (0 < self.learning_rate < math.inf and 0 <= self.weight_decay < math.inf):
            raise InvalidValue("recipe: the learning rate must be above 0 and the weight decay at least 0, both finite")

    def batches(self, rows: int) -> int:
        """Number of steps in one epoch over ``rows`` training rows.

        Raises:
            InvalidValue: There are fewer rows than one batch needs.
        """
        if self.batch > rows:
            raise InvalidValue(f"a batch of {self.batch} is larger than the {rows} training rows")
        return rows // self.batch

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step ``step`` of ``steps``."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / steps)) / 2


_ALLOWED = {"optimizer": ("sgd", "adamw"), "schedule": ("cosine", "constant"), "augmentation": ("none", "shift")}
