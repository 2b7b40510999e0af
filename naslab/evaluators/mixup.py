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


class Mixup:
    """Draws how batches are mixed.

    Args:
        alpha: Above 0; shares are from Beta(alpha, alpha).
        generator: Draws the partners, and seeds the generator of the shares: PyTorch has no Beta with a generator.
    """

    def __init__(self, alpha: float, generator: torch.Generator) -> None:
        self.alpha, self.generator = alpha, generator
        self._rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator, device="cpu")))

    def draw(self, rows: int, device: torch.device | str = "cpu") -> Mixed:
        """The mixture of a batch of so many rows."""
        order = torch.randperm(rows, generator=self.generator, device="cpu")
        return Mixed(float(self._rng.beta(self.alpha, self.alpha)), moved(order, device))
