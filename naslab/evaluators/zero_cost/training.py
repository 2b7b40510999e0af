"""Baselines that train a little: their cost is real, and they beat most proxies that don't (White et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from naslab.compiler.devices import moved, numbers
from naslab.datasets import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators.fitting import fit, losses_of, new_optimizer
from naslab.evaluators.training_objective import ACCURACY
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.shared import Pass
from naslab.evaluators.zero_cost.values import copied
from naslab.space import Recipe


@dataclass(frozen=True)
class Short:
    """A training, and how much of it is done.

    Attributes:
        train: Rows to train on.
        validation: Rows to score by.
        recipe: How to train; the schedule is that of the whole training.
        steps: How many losses ``early-loss`` sums up; those of the first epoch where None.
        epochs: After how many epochs ``early-accuracy`` looks.
    """

    train: Labelled
    validation: Labelled
    recipe: Recipe
    steps: int | None = None
    epochs: int = 1

    def __post_init__(self) -> None:
        most = self.recipe.batches(len(self.train)) * self.recipe.epochs
        for name, value, allowed in (("steps", self.steps, most), ("epochs", self.epochs, self.recipe.epochs)):
            if value is not None and not 1 <= value <= allowed:
                raise InvalidValue(f"{name}={value} of a short training. Allowed: 1 to the recipe's {allowed}")


def early_loss(known: Pass) -> float:
    """Minus the sum of the losses of the first steps of training (Ru et al. 2021, "SoTL").

    The losses of :attr:`Short.steps` batches, each before its step; no augmentation.
    """
    short = _short(known, "early-loss")
    device = known.x.device
    x, y = (moved(torch.from_numpy(each), device) for each in (short.train.x, short.train.y))
    values, generator, loss_of = known.changed(copied), known.generator("early-loss"), losses_of(ACCURACY, device)
    optimizer = new_optimizer(values.parameters(), short.recipe)  # type: ignore[arg-type]
    per_epoch = short.recipe.batches(len(x))
    losses, waiting = list[Tensor](), list[Tensor]()
    with values.installed(), torch.enable_grad():
        for step in range(per_epoch if short.steps is None else short.steps):
            if not waiting:
                order = moved(torch.randperm(len(x), generator=generator, device="cpu"), device)
                waiting = list(torch.split(order[: per_epoch * short.recipe.batch], short.recipe.batch))
            rows = waiting.pop(0)
            for group in optimizer.param_groups:
                group["lr"] = short.recipe.rate(step, per_epoch * short.recipe.epochs)
            loss = loss_of(known.network(x[rows])[:, None], y[rows])[0]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(loss.detach())
    return -sum(numbers(losses))


def early_accuracy(known: Pass) -> float:
    """Validation accuracy in percent after the first epochs of training: the ranking by a shorter training."""
    short = _short(known, "early-accuracy")
    with known.changed(copied).installed(), torch.enable_grad():
        held = {"validation": short.validation}
        done = fit(known.network, short.train, short.recipe, known.generator("early-accuracy"), held, short.epochs)
    right = float(done.scored["validation"][-1, 0])
    return 100 * right / len(short.validation) if len(short.validation) else WORST


def _short(known: Pass, name: str) -> Short:
    short = known.context.get("short")
    if not isinstance(short, Short):
        raise InvalidValue(f"proxy {name!r} trains: it needs rows to train on and a recipe. Fix: give short=Short(...)")
    if not np.issubdtype(short.train.y.dtype, np.integer):
        raise InvalidValue(
            f"proxy {name!r} trains a classifier: the rows' labels are no class numbers. Fix: leave it out"
        )
    return short
