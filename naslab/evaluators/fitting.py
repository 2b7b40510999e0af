"""The one training loop: a network alone, or a population in one batched computation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import array, moved
from naslab.datasets import Labelled
from naslab.errors import InvalidValue
from naslab.evaluators.arithmetic import forward
from naslab.evaluators.kept_training import KeptTraining
from naslab.evaluators.mixup import mixed
from naslab.evaluators.stopwatch import Stopwatch
from naslab.evaluators.training_objective import ACCURACY, TrainingObjective, check_dense
from naslab.space import Adam, AdamW, Recipe

_ROWS_AT_ONCE = 64  # when scoring; with more, the activations of 16 networks no longer fit the processor's cache


@dataclass(frozen=True, eq=False)
class Placed:
    """Examples with their labels as tensors on a device: see :class:`~naslab.datasets.Labelled`."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


def placed(rows: Labelled, device: str) -> Placed:
    """Rows on a device, for trainings to come."""
    return Placed(*(torch.as_tensor(each, device=device) for each in (rows.x, rows.y)))


@dataclass(frozen=True, eq=False)
class Training:
    """What a training recorded, for P networks and E epochs.

    Attributes:
        losses: ``(E, P)``: mean loss of the epoch's batches, each before its step; not finite where the training
            diverged.
        train: ``(E, P)``: how many training rows were classified rightly when their batch was drawn; 0 for a
            regression. Of a mixture of two rows (mixup) the label of the first counts.
        scored: By name of the rows: ``(E, P)``, how many were classified rightly after the epoch. A row with a NaN, or
            whose largest output is infinite, counts as wrong. For a metric other than accuracy: float64, the score
            after the epoch, NaN if any output is not finite.
        seconds: ``(E,)``: CPU seconds (off the CPU: seconds of the device, see
            :class:`~naslab.evaluators.stopwatch.Stopwatch`) of training up to and including each epoch, scoring left
            out.
    """

    losses: npt.NDArray[np.float64]
    train: npt.NDArray[np.int64]
    scored: dict[str, npt.NDArray[Any]]
    seconds: npt.NDArray[np.float64]


def fit(
    model: nn.Module,
    train: Labelled | Placed,
    recipe: Recipe,
    generator: torch.Generator,
    score: Mapping[str, Labelled | Placed] | None = None,
    epochs: int | None = None,
    objective: TrainingObjective = ACCURACY,
    keep: str = "",
    precision: str = "float32",
    kept: KeptTraining | None = None,
) -> Training:
    """Train a network, or a population, starting from its present weights, on the device that it is on.

    Parts that are fitted to rows (:func:`fit_parts`) are fitted to the training rows first.

    Args:
        model: From ``(B, ...)`` to ``(B, classes)``, or to ``(B, P, classes)`` for P members; to the shape of a target
            where targets are dense. Members are trained by the sum of their losses: each as if it were alone.
        train: Rows to train on.
        recipe: How to train.
        generator: Order of the rows, augmentation and mixup; every member sees the same batches.
        score: Rows to score after every epoch, by name.
        epochs: Stop after this many of the recipe's epochs; these do not change.
        objective: The loss, and what rows are scored by.
        keep: A name in ``score``. The network (no population) is left as after the epoch with the best score on these
            rows, the first of equals; by default as after the last.
        precision: Of the forward passes that train: with ``"bfloat16"`` PyTorch's autocast rounds what goes into matrix
            products and convolutions to 8 bits. Parameters, losses and scores are in the parameters' own type.
        kept: A training to go on with, if it holds one; in the end it holds this one. Not together with ``keep``.

    Raises:
        InvalidValue: A batch larger than the rows, epochs below 1 or more than the recipe has, or shifts of rows that
            are no images.
        KeyError: ``keep`` names no rows of ``score``.
    """
    epochs = recipe.epochs if epochs is None else epochs
    if not 1 <= epochs <= recipe.epochs:
        raise InvalidValue(f"epochs={epochs}. Allowed: 1 to the recipe's {recipe.epochs}")
    per_epoch = recipe.batches(len(train))
    if recipe.augmentation == "shift" and train.x.ndim != 4:
        raise InvalidValue("augmentation='shift' moves images; the training rows are none")
    if recipe.augmentation == "shift" and objective.kind == "dense":
        raise InvalidValue("augmentation='shift' moves images, but not their targets")
    steps = per_epoch * recipe.epochs
    parameters = list(model.parameters())
    dtype, device = parameters[0].dtype, parameters[0].device
    x, y = _tensors(train, device, dtype)
    held = {name: _tensors(rows, device, dtype) for name, rows in (score or {}).items()}
    judge = count_right if objective.metric == "accuracy" else partial(scores, objective=objective)
    loss_of = losses_of(objective, device)
    optimizer = new_optimizer(parameters, recipe)
    losses, right, seconds = [], [], []
    scored: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in held}
    best = -np.inf
    best_weights: dict[str, Tensor] = {}
    watch = Stopwatch(str(device))
    if kept is not None and kept.recorded:
        kept.restore(model, optimizer, generator)
        losses, right, seconds = (_arrays(kept.recorded[name]) for name in ("losses", "right", "seconds"))
        scored = {name: _arrays(kept.recorded["scored"][name]) for name in held}
    else:
        fit_parts(model, x)
    step, spent = per_epoch * len(seconds), float(seconds[-1]) if seconds else watch.seconds()
    for _ in range(len(seconds), epochs):
        watch = Stopwatch(str(device))
        model.train()
        order = moved(torch.randperm(len(x), generator=generator, device="cpu"), device)
        loss_sum: Tensor | float = 0.0
        right_sum: Tensor | int = 0
        for batch in torch.split(order[: per_epoch * recipe.batch], recipe.batch):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, steps)
            images, labels = _augmented(x[batch], recipe, generator), y[batch]
            mixture = mixed(len(batch), recipe.mixup, generator, device) if recipe.mixup else None
            if mixture:
                images = mixture.of(images, images[mixture.order])
            logits = _members(forward(model, images, precision=precision, device=device), _axes(labels))
            loss = loss_of(logits, labels)
            if mixture:
                loss = mixture.of(loss, loss_of(logits, labels[mixture.order]))
            optimizer.zero_grad(set_to_none=True)
            loss.sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                loss_sum = loss_sum + loss.detach().double()
                if objective.kind == "classification":
                    right_sum = right_sum + right_of(logits.detach(), labels)
            step += 1
        spent += watch.seconds()
        seconds.append(spent)
        losses.append(_array(loss_sum) / per_epoch)
        right.append(_array(right_sum) if objective.kind == "classification" else np.zeros(losses[-1].shape, np.int64))
        for name, (rows, labels) in held.items():
            scored[name].append(judge(model, rows, labels))
        if keep and (not best_weights or float(scored[keep][-1][0]) > best):
            best = np.nan_to_num(float(scored[keep][-1][0]), nan=-np.inf)
            best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    if keep:
        model.load_state_dict(best_weights)
    if kept is not None:
        recorded = {"losses": losses, "right": right, "seconds": seconds}
        plain = {name: [np.asarray(each).tolist() for each in values] for name, values in recorded.items()}
        kept.keep(
            model, optimizer, generator, {**plain, "scored": {k: [e.tolist() for e in v] for k, v in scored.items()}}
        )
    return Training(
        np.stack(losses),
        np.stack(right),
        {name: np.stack(each) for name, each in scored.items()},
        np.array(seconds),
    )


def fit_parts(model: nn.Module, x: Tensor) -> None:
    """Show every part that is fitted to rows what arrives there from these rows.

    Such a part has a method ``fit_rows(rows)``; :class:`naslab.ops.TruncatedSVD` is one. One pass in evaluation mode,
    in the order of the network, so that a part sees what fitted parts before it make of the rows.

    Args:
        model: A network.
        x: ``(N, ...)``: all training rows.
    """
    parts = [part for part in model.modules() if hasattr(part, "fit_rows")]
    if not parts:
        return
    hooks = [part.register_forward_pre_hook(lambda part, arriving: part.fit_rows(*arriving)) for part in parts]
    model.eval()
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()


def count_right(model: nn.Module, x: Tensor, y: Tensor) -> npt.NDArray[np.int64]:
    """How many rows each of the P networks classifies rightly in evaluation mode, ``(P,)``."""
    model.eval()
    with torch.inference_mode():
        blocks = zip(torch.split(x, _ROWS_AT_ONCE), torch.split(y, _ROWS_AT_ONCE), strict=True)
        counts = [right_of(_members(model(rows)), labels) for rows, labels in blocks]
    return _array(torch.stack(counts).sum(dim=0))


def outputs_of(model: nn.Module, x: Tensor, axes: int = 2) -> Tensor:
    """The outputs of each of the P networks in evaluation mode, ``(N, P, classes)``.

    Args:
        model: One network, or a population.
        x: ``(N, ...)``.
        axes: Of the outputs of one network: more than two where they are dense.
    """
    model.eval()
    with torch.inference_mode():
        return torch.cat([_members(model(rows), axes) for rows in torch.split(x, _ROWS_AT_ONCE)])


def scores(model: nn.Module, x: Tensor, y: Tensor, objective: TrainingObjective) -> npt.NDArray[np.float64]:
    """The score of each of the P networks in evaluation mode, ``(P,)``."""
    outputs = _array(outputs_of(model, x, _axes(y)))
    labels = _array(y)
    return np.array([objective.score(outputs[:, member], labels) for member in range(outputs.shape[1])])


def losses_of(objective: TrainingObjective, device: torch.device | str = "cpu") -> Callable[[Tensor, Tensor], Tensor]:
    """The mean loss of each member, ``(P,)``, as a function of outputs ``(B, P, classes)`` and labels ``(B,)``.

    Dense outputs are ``(B, P, numbers, *positions)``, and labels have that shape without the members.

    With class weights it is the mean of the weighted losses of the rows. It is not divided by the batch's weights: that
    would enlarge steps for the frequent class in batches without the rare one.
    """
    if objective.kind == "dense":
        return _end_point_error
    if objective.kind == "regression":
        return lambda outputs, y: (outputs[..., 0] - y[:, None].to(outputs.dtype)).square().mean(dim=0)
    if not objective.class_weights:
        return lambda outputs, y: -_picked(outputs, y).mean(dim=(0, 2))
    weights = torch.tensor(objective.class_weights, device=device)
    return lambda outputs, y: -(_picked(outputs, y) * weights.to(outputs.dtype)[y].view(-1, 1, 1)).mean(dim=(0, 2))


def _end_point_error(outputs: Tensor, y: Tensor) -> Tensor:
    check_dense((*outputs.shape[:1], *outputs.shape[2:]), y.shape)
    distances: Tensor = torch.linalg.vector_norm(outputs - y[:, None].to(outputs.dtype), dim=2)
    return distances.flatten(2).mean(dim=(0, 2))


def _picked(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probabilities of the labels, ``(B, P, 1)``."""
    log_probabilities = functional.log_softmax(logits, dim=-1)
    return log_probabilities.gather(2, labels.view(-1, 1, 1).expand(-1, logits.shape[1], 1))


def right_of(logits: Tensor, labels: Tensor) -> Tensor:
    """How many of N rows each of P networks classifies rightly, ``(P,)``, from ``(N, P, classes)``; NaN is wrong."""
    top, predicted = logits.max(dim=-1)  # NaN for a row with a NaN
    return ((predicted == labels[:, None]) & top.isfinite()).sum(dim=0)


def _members(logits: Tensor, axes: int = 2) -> Tensor:
    return logits if logits.dim() > axes else logits[:, None]


def _axes(y: Tensor) -> int:
    """How many axes one network's outputs have for such targets."""
    return max(2, y.dim())


def _augmented(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    if recipe.augmentation == "none":
        return x
    down, right = torch.randint(0, 3, (2,), generator=generator, device="cpu").tolist()
    padded = functional.pad(x, (1, 1, 1, 1))
    return padded[:, :, down : down + x.shape[2], right : right + x.shape[3]]


def _arrays(values: Sequence[Any]) -> list[Any]:
    return [np.asarray(each) for each in values]


def _array(values: Tensor | float) -> npt.NDArray[Any]:
    return array(values) if isinstance(values, Tensor) else np.array(values)


def _tensors(rows: Labelled | Placed, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(rows.x, device=device).to(dtype), torch.as_tensor(rows.y, device=device)


def torch_generator(rng: np.random.Generator) -> torch.Generator:
    """A PyTorch generator, seeded by a NumPy generator."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))


def new_optimizer(parameters: Sequence[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser that a recipe names. Fused: one pass over the parameters a step instead of eight."""
    rate, decay, update = recipe.learning_rate, recipe.weight_decay, recipe.update
    fused = has_fused(parameters)
    if isinstance(update, AdamW | Adam):
        kind = torch.optim.AdamW if isinstance(update, AdamW) else torch.optim.Adam
        return kind(parameters, rate, (update.beta1, update.beta2), weight_decay=decay, fused=fused)
    momentum, nesterov = update.momentum, update.nesterov and update.momentum > 0
    return torch.optim.SGD(parameters, rate, momentum, nesterov=nesterov, weight_decay=decay, fused=fused)


def has_fused(parameters: Sequence[Tensor]) -> bool:
    """Whether PyTorch's fused optimisers run where these are."""
    return parameters[0].device.type in ("cpu", "cuda")
