"""Training as anybody would write it in plain PyTorch, and rows to train on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.datasets import Rows
from naslab.space import Recipe


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_rows(count: int, shape: Sequence[int] = (4,), classes: int = 3, seed: int = 0) -> Rows:
    """Clouds around one point per class; every tenth label is wrong, so that nobody learns all of them."""
    points = np.random.default_rng(99).standard_normal((classes, *shape))
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=count)
    x = points[y] + 0.8 * rng.standard_normal((count, *shape))
    return Rows(x.astype(np.float32), np.where(rng.random(count) < 0.1, (y + 1) % classes, y))


def tensors(rows: Rows, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(rows.x).to(dtype), torch.from_numpy(rows.y)


def rates(recipe: Recipe, steps: int) -> list[float]:
    if recipe.schedule == "constant":
        return [recipe.learning_rate] * steps
    return [0.5 * recipe.learning_rate * (1.0 + math.cos(math.pi * t / steps)) for t in range(steps)]


def train_by_hand(
    network: nn.Module, train: Rows, recipe: Recipe, generator: torch.Generator, held: Rows
) -> tuple[list[float], list[int], list[int]]:
    """Mean losses, right training rows and right held rows, epoch by epoch. No augmentation."""
    dtype = next(network.parameters()).dtype
    (x, y), (hx, hy) = tensors(train, dtype), tensors(held, dtype)
    if recipe.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            network.parameters(), 1.0, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
        )
    else:
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(network.parameters(), 1.0, weight_decay=recipe.weight_decay)
    batches = len(x) // recipe.batch
    schedule = iter(rates(recipe, batches * recipe.epochs))
    losses, right, scored = [], [], []
    for _ in range(recipe.epochs):
        order = torch.randperm(len(x), generator=generator)
        epoch, correct = 0.0, 0
        network.train()
        for number in range(batches):
            rows = order[number * recipe.batch : (number + 1) * recipe.batch]
            optimizer.param_groups[0]["lr"] = next(schedule)
            if recipe.mixup:
                partners = rows[torch.randperm(len(rows), generator=generator)]
                drawn = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
                share = drawn.beta(recipe.mixup, recipe.mixup)
                logits = network(share * x[rows] + (1 - share) * x[partners])
                loss = share * functional.cross_entropy(logits, y[rows])
                loss = loss + (1 - share) * functional.cross_entropy(logits, y[partners])
            else:
                logits = network(x[rows])
                loss = functional.cross_entropy(logits, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch += loss.item()
            correct += int((logits.argmax(1) == y[rows]).sum())
        network.eval()
        with torch.no_grad():
            scored.append(int((network(hx).argmax(1) == hy).sum()))
        losses.append(epoch / batches)
        right.append(correct)
    return losses, right, scored
