"""Mixup: a batch averaged with itself in another order (Zhang et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.devices import moved


@dataclass(frozen=True, eq=False)
class Mixed:
    """How one batch is mixed.

    Attributes:
        share: The weight of every row; its partner has the rest.
        order: The partner of every row.
    """

    share: float
    order: Tensor

    def of(self, own: Tensor, others: Tensor) -> Tensor:
        """The average of what belongs to the rows and what belongs to their partners."""
        return self.share * own + (1 - self.share) * others


def mixed(rows: int, alpha: float, generator: torch.Generator, device: torch.device | str = "cpu") -> Mixed:
    """Draw how a batch of so many rows is mixed.

    Args:
        rows: Of the batch.
        alpha: Above 0; the share is from Beta(alpha, alpha).
        generator: Draws the partners, and seeds another for the share: PyTorch has no Beta with a generator. Nothing
            else has a state, so that a training that goes on mixes as if it had not been interrupted.
        device: Of the rows.
    """
    order = torch.randperm(rows, generator=generator, device="cpu")
    seed = int(torch.randint(2**62, (), generator=generator, device="cpu"))
    return Mixed(float(np.random.default_rng(seed).beta(alpha, alpha)), moved(order, device))
