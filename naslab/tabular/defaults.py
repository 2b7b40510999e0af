"""Default widths, limit, recipes and class weights, scaled to the table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslab.space import Recipe

LADDER = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
SHARE = 0.25
STEPS = 3000
_LARGEST_BATCH, _BATCHES, _MOST_EPOCHS = 256, 16, 200


def default_widths(rows: int) -> tuple[int, ...]:
    """The ladder's widths up to the first that is at least 32 and at least twice the square root of the training rows.

    Two layers of that width have about four times as many weights between them as there are rows.
    """
    wanted = max(32.0, 2 * math.sqrt(rows))
    return LADDER[: 1 + next((i for i, width in enumerate(LADDER) if width >= wanted), len(LADDER) - 1)]


def training_recipe(rows: int) -> Recipe:
    """How a network is trained from scratch: AdamW, cosine schedule, 3,000 steps but at most 200 epochs.

    Chosen on five tables that no study of naslab reports, with the epoch chosen by the validation rows: see
    ``experiments/csv_recipes.py``.
    """
    batch = batch_size(rows)
    epochs = min(_MOST_EPOCHS, math.ceil(STEPS / (rows // batch)))
    return Recipe(epochs, batch, learning_rate=1e-3, optimizer="adamw", weight_decay=1.0)


def shared_recipe(rows: int, steps: int) -> Recipe:
    """How shared weights are trained: like one network, without weight decay, for about ``steps`` steps."""
    batch = batch_size(rows)
    epochs = max(1, math.ceil(steps / (rows // batch)))
    return Recipe(epochs, batch, learning_rate=3e-3, optimizer="adamw")


def balanced_weights(labels: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Class weights that make every class count the same in the loss; over the rows they are 1 on average."""
    counts = np.bincount(labels, minlength=classes)
    return tuple((len(labels) / (classes * counts)).tolist())


def batch_size(rows: int) -> int:
    """The largest power of two that cuts an epoch into at least 16 batches, from 4 to 256."""
    return int(min(_LARGEST_BATCH, max(4, 2 ** int(math.log2(max(rows / _BATCHES, 1))))))
