"""Batches of rows without end, in an order that can be stored and taken up again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from naslab.datasets.rows import Labelled


class Batches:
    """A new random order of the rows for every pass; rows that fill no batch are left out of it.

    Args:
        rows: To draw from.
        size: Of a batch, at most the number of rows.
        generator: Of the orders.
    """

    def __init__(self, rows: Labelled, size: int, generator: torch.Generator) -> None:
        self.x, self.y = torch.from_numpy(rows.x), torch.from_numpy(rows.y)
        self.size, self.generator = size, generator
        self._waiting: list[Tensor] = []

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch."""
        if not self._waiting:
            order = torch.randperm(len(self.y), generator=self.generator)
            self._waiting = list(torch.split(order[: len(order) // self.size * self.size], self.size))
        drawn = self._waiting.pop(0)
        return self.x[drawn], self.y[drawn]

    def state(self) -> dict[str, Any]:
        """What is left of this pass, and the generator."""
        return {"waiting": list(self._waiting), "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._waiting = list(state["waiting"])
        self.generator.set_state(state["generator"])
