"""Endless batches of rows, in an order that can be stored and resumed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from naslab.compiler.devices import moved
from naslab.datasets import Labelled
from naslab.errors import InvalidValue, UnknownName

AUGMENTATIONS = ("none", "crop-flip")
PADDING = 4


class Batches:
    """Every pass takes the rows in a new random order; a last batch that is not full is left out.

    Args:
        rows: To draw from.
        size: Of a batch, at most the number of rows.
        generator: Draws the orders and the augmentation.
        augmentation: ``"none"``, or ``"crop-flip"``: each image is padded by four zeros, cropped to its size at random,
            and mirrored half of the time, as is usual on CIFAR. Zeros are mean colours, as images are standardised.
        device: Where the rows and the batches are.

    Raises:
        UnknownName: There is no such augmentation.
        InvalidValue: Rows are to be cropped and are no images.
    """

    def __init__(
        self,
        rows: Labelled,
        size: int,
        generator: torch.Generator,
        augmentation: str = "none",
        *,
        device: str = "cpu",
    ) -> None:
        if augmentation not in AUGMENTATIONS:
            raise UnknownName(augmentation, AUGMENTATIONS, of="augmentation")
        if augmentation != "none" and rows.x.ndim != 4:
            raise InvalidValue(f"augmentation={augmentation!r} is for images; the rows have shape {rows.x.shape[1:]}")
        self.x, self.y = (moved(torch.from_numpy(each), device) for each in (rows.x, rows.y))
        self.size, self.generator, self.augmentation = size, generator, augmentation
        self._waiting: list[Tensor] = []

    def next(self) -> tuple[Tensor, Tensor]:
        """The next batch."""
        if not self._waiting:
            order = torch.randperm(len(self.y), generator=self.generator, device="cpu")
            self._waiting = list(torch.split(order[: len(order) // self.size * self.size], self.size))
        drawn = moved(self._waiting.pop(0), self.x.device)
        x = self.x[drawn]
        return x if self.augmentation == "none" else crop_flip(x, self.generator), self.y[drawn]

    def state(self) -> dict[str, Any]:
        """What is left of this pass, and the generator."""
        return {"waiting": list(self._waiting), "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._waiting = list(state["waiting"])
        self.generator.set_state(state["generator"])


def crop_flip(x: Tensor, generator: torch.Generator) -> Tensor:
    """Move each image of ``(B, C, H, W)`` by up to four pixels each way, filled up with zeros; mirror half of them."""
    count, channels, height, width = x.shape
    down, right = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator, device="cpu")
    mirrored = torch.rand((count, 1), generator=generator, device="cpu") < 0.5
    rows, columns = torch.arange(height, device="cpu") + down, torch.arange(width, device="cpu") + right
    columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = moved(rows, x.device), moved(columns, x.device)
    padded = functional.pad(x, (PADDING,) * 4)
    images, depth = torch.arange(count, device=x.device), torch.arange(channels, device=x.device)
    picked = images[:, None, None, None], depth[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
    return padded[picked]
