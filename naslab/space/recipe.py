"""How a network is trained from scratch, as plain data. Any field may hold decisions."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from naslab.errors import InvalidValue
from naslab.space.choice import Choice, Range, occurrences

Value: TypeAlias = Any
"""A plain value, or a :class:`~naslab.space.Choice` or :class:`~naslab.space.Range` of values."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent.

    Attributes:
        momentum: 0 or more, below 1.
        nesterov: Whether the momentum is Nesterov's; without momentum there is none.
    """

    momentum: Value = 0.9
    nesterov: Value = True


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Attributes:
        beta1: Decay of the mean of gradients, 0 or more, below 1.
        beta2: Decay of the mean of squared gradients, likewise.
    """

    beta1: Value = 0.9
    beta2: Value = 0.999


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015). Weight decay is an L2 penalty: added to the gradient, of which moments are taken.

    Attributes:
        beta1: Decay of the mean of gradients, 0 or more, below 1.
        beta2: Decay of the mean of squared gradients, likewise.
    """

    beta1: Value = 0.9
    beta2: Value = 0.999


@dataclass(frozen=True)
class Cosine:
    """Half a period of a cosine, from the learning rate to ``end`` (Loshchilov & Hutter 2017, without restarts).

    Attributes:
        epochs: When ``end`` is reached, one step after the last of these epochs; it stays there. None: those of the
            recipe. With more than these the training is the beginning of a longer one.
        end: The last learning rate, 0 or more.
    """

    epochs: Value = None
    end: Value = 0.0


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    A field may hold a :class:`~naslab.space.Choice` or :class:`~naslab.space.Range` when the recipe is part of a
    :class:`~naslab.space.SearchSpace`; :meth:`~naslab.space.SearchSpace.recipe_of` then gives that of an architecture.

    Attributes:
        epochs: Passes over the training rows.
        batch: Rows per step; rows at the end of an epoch's order that do not fill a batch are left out.
        optimizer: :class:`SGD`, :class:`AdamW` or :class:`Adam`; ``"sgd"``, ``"adamw"`` and ``"adam"`` stand for them
            with their defaults.
        learning_rate: The learning rate at the start.
        schedule: :class:`Cosine`; ``"cosine"`` stands for it with its defaults. ``"constant"`` keeps the learning rate.
        weight_decay: Applied to every parameter; decoupled with AdamW.
        augmentation: ``"none"``, or ``"shift"``: each batch of images is moved by up to one pixel in each direction.
        mixup: Alpha of mixup (Zhang et al. 2018): a batch is averaged with itself in another order, rows and losses
            alike, by a weight that is drawn from Beta(alpha, alpha) for each batch. 0: none.

    Raises:
        InvalidValue: A value, or an option or a bound of a decision, that a field can't have.
    """

    epochs: Value
    batch: Value
    learning_rate: Value
    optimizer: Value = "sgd"
    schedule: Value = "cosine"
    weight_decay: Value = 0.0
    augmentation: Value = "none"
    mixup: Value = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            for value in _values(getattr(self, field.name)):
                _check(field.name, value)

    def stated(self) -> dict[str, Any]:
        """The fields by name, mixup only where there is any: recipes that were written without it stay as they are."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if name != "mixup" or value != 0}

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in self.stated().items())})"

    @property
    def update(self) -> SGD | AdamW | Adam:
        """The optimizer, its name written out."""
        found: SGD | AdamW | Adam = _NAMED[self.optimizer] if isinstance(self.optimizer, str) else self.optimizer
        return found

    def batches(self, rows: int) -> int:
        """Number of steps in one epoch over ``rows`` training rows.

        Raises:
            InvalidValue: There are fewer rows than one batch needs.
        """
        if self.batch > rows:
            raise InvalidValue(f"a batch of {self.batch} is larger than the {rows} training rows")
        whole: int = rows // self.batch
        return whole

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of step ``step`` of ``steps``."""
        start = float(self.learning_rate)
        if self.schedule == "constant":
            return start
        cosine = self.schedule if isinstance(self.schedule, Cosine) else Cosine()
        if cosine.epochs is not None:
            steps = steps // self.epochs * cosine.epochs
        end = float(cosine.end)
        return (start - end) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2 + end


_NAMED: dict[str, SGD | AdamW | Adam] = {"sgd": SGD(), "adamw": AdamW(), "adam": Adam()}
_ALLOWED = {"schedule": ("cosine", "constant"), "augmentation": ("none", "shift")}


def _values(value: Any) -> Iterator[Any]:
    """What a value may be: all that its choices allow, and both ends of its ranges."""
    if isinstance(value, Choice):
        yield from itertools.chain.from_iterable(map(_values, value.options))
    elif isinstance(value, Range):
        yield from (value.low, value.high)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type) and next(occurrences(value), None):
        names = [field.name for field in dataclasses.fields(value)]
        for parts in itertools.product(*(list(_values(getattr(value, name))) for name in names)):
            yield type(value)(**dict(zip(names, parts, strict=True)))
    else:
        yield value


def _check(name: str, value: Any) -> None:
    if isinstance(value, Cosine) and name == "schedule":
        if value.epochs is not None:
            _check_whole("epochs of Cosine", value.epochs)
        if not _is_number(value.end) or value.end < 0:
            raise InvalidValue(f"recipe: schedule={value!r}. Allowed for end: 0 or more, finite")
    elif name in _ALLOWED:
        if value not in _ALLOWED[name]:
            cosine = ", or Cosine(...)" if name == "schedule" else ""
            raise InvalidValue(f"recipe: {name}={value!r}. Allowed: {', '.join(_ALLOWED[name])}{cosine}")
    elif name == "optimizer":
        _check_optimizer(value)
    elif name in ("epochs", "batch"):
        _check_whole(name, value)
    elif name == "mixup":
        if not _is_number(value) or value < 0:
            raise InvalidValue(f"recipe: mixup={value!r}. Allowed: 0 (none) or more, finite")
    elif not _is_number(value) or not (value > 0 if name == "learning_rate" else value >= 0):
        raise InvalidValue("recipe: the learning rate must be above 0 and the weight decay at least 0, both finite")


def _check_whole(name: str, value: Any) -> None:
    if not (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        raise InvalidValue(f"recipe: {name}={value!r}. Allowed: whole numbers of at least 1")


def _check_optimizer(value: Any) -> None:
    if isinstance(value, SGD):
        within = {"momentum": value.momentum}
    elif isinstance(value, AdamW | Adam):
        within = {"beta1": value.beta1, "beta2": value.beta2}
    elif isinstance(value, str) and value in _NAMED:
        return
    else:
        raise InvalidValue(
            f"recipe: optimizer={value!r}. Allowed: {', '.join(_NAMED)}, or SGD(...), AdamW(...), Adam(...)"
        )
    for name, number in within.items():
        if not _is_number(number) or not 0 <= number < 1:
            raise InvalidValue(f"recipe: optimizer={value!r}. Allowed for {name}: 0 or more, below 1")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
