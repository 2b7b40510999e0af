"""Training a smaller version of what is meant: fewer rows, smaller images, or narrower networks."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from naslab.datasets import Labelled, Rows
from naslab.errors import InvalidSpace, InvalidValue, UnknownName
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import ACCURACY, TrainingObjective
from naslab.space import Architecture, Choice, Range, Recipe, SearchSpace

Kind: TypeAlias = Literal["rows", "resolution", "width"]
KINDS = ("rows", "resolution", "width")
_ORDER = 0  # of the one permutation of the rows: smaller sets are parts of larger ones


class ProxyTraining(Evaluator):
    """Trains by the whole recipe, on a proxy task whose size is the fidelity; the largest one is the task itself.

    Proxy tasks are how architectures were searched for ImageNet: on CIFAR-10, on a tenth of the classes, with 16
    instead of 36 filters (Zoph et al. 2018; Liu et al. 2019; Zhou et al. 2020, "EcoNAS", compare reductions of rows,
    resolution, channels and epochs). What is cheap need not be faithful: measure it with ``naslab correlate``.

    A trial does not go on from a smaller proxy task: it is another training.

    Args:
        space: The search space.
        train: Rows to train on.
        validation: Rows to score by; all of them, whatever the fidelity.
        recipe: How to train.
        objective: The loss and the metric.
        kind: ``"rows"``: the first n of one fixed order of the training rows, so that smaller sets are parts of larger
            ones, for as many epochs, which are as many times fewer steps. ``"resolution"``: images whose side is n
            pixels, averaged over areas. ``"width"``: networks whose tensors have n percent of their features, at
            least one; the outputs stay.
        device: Where networks are trained.
        precision: Of the forward passes of training.

    Raises:
        UnknownName: There is no such kind.
        InvalidValue: Resolutions of rows that are no images, or of a space that decides on its resolution.
    """

    clock = "measured"

    def __init__(
        self,
        space: SearchSpace,
        train: Labelled,
        validation: Labelled,
        recipe: Recipe,
        objective: TrainingObjective = ACCURACY,
        *,
        kind: Kind,
        device: str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.space, self.train, self.validation, self.kind = space, train, validation, kind
        self.levels = levels(kind, space, train, recipe)
        self.recipe, self.objective, self.device, self.precision = recipe, objective, device, precision
        self._made: dict[int, TrainingEvaluator] = {}

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        level = self.levels[-1] if fidelity is None else fidelity
        if level not in self.levels:
            raise InvalidValue(f"fidelity {level!r}. Allowed: {', '.join(map(str, self.levels))} ({self.kind})")
        return self._at(int(level)).evaluate(architecture, rng=rng)

    def _at(self, level: int) -> TrainingEvaluator:
        if level not in self._made:
            placed = {"device": self.device, "precision": self.precision}
            self._made[level] = TrainingEvaluator(*self._reduced(level), self.recipe, self.objective, **placed)  # type: ignore[arg-type]
        return self._made[level]

    def _reduced(self, level: int) -> tuple[SearchSpace, Labelled, Labelled]:
        """The space, the training rows and the validation rows of a proxy task."""
        if level == self.levels[-1]:
            return self.space, self.train, self.validation
        if self.kind == "rows":
            chosen = np.random.default_rng(_ORDER).permutation(len(self.train))[:level]
            return self.space, Rows(self.train.x[chosen], self.train.y[chosen]), self.validation
        if self.kind == "resolution":
            small = tuple(Rows(_shrunk(rows.x, level), np.asarray(rows.y)) for rows in (self.train, self.validation))
            return resized(self.space, level), small[0], small[1]
        return narrowed(self.space, level), self.train, self.validation


def levels(kind: str, space: SearchSpace, train: Labelled, recipe: Recipe) -> tuple[int, ...]:
    """The fidelities of a kind, the smallest first: an eighth, a quarter, half and all rows (at least a batch); half,
    three quarters and the whole side of images; 25, 50 and 100 percent of the features.

    Raises:
        UnknownName: There is no such kind.
        InvalidValue: Resolutions of rows that are no images, or of a space that decides on its resolution.
    """
    if kind not in KINDS:
        raise UnknownName(kind, KINDS, of="proxy tasks")
    if kind == "rows":
        n, batch = len(train), _most(recipe.batch)
        return tuple(sorted({max(n // share, min(batch, n)) for share in (8, 4, 2, 1)}))
    if kind == "width":
        return (25, 50, 100)
    space.require_one_size("a proxy task of lower resolution")
    shape = train.x.shape[1:]
    if len(shape) != 3 or shape[1] != shape[2]:
        raise InvalidValue(
            f"proxy tasks of lower resolution for {space.name!r}: its rows are no square images. Allowed: rows, width"
        )
    side = int(shape[1])
    return tuple(sorted({side // 2, side * 3 // 4, side}))


def resized(space: SearchSpace, side: int) -> SearchSpace:
    """The space on images whose side is so many pixels; its architectures are the same."""
    graph = space.graph.copy()
    source = graph.nodes[space.order[0]]
    source["shape"] = (source["shape"][0], side, side)
    return _variant(space, graph)


def narrowed(space: SearchSpace, percent: int) -> SearchSpace:
    """The space with so many percent of the features, at least one; outputs stay. Its architectures are the same.

    Raises:
        InvalidSpace: A width is derived from several decisions.
    """
    graph = space.graph.copy()
    for node, told in graph.nodes(data=True):
        if "width" in told and graph.out_degree(node):
            told["width"] = _scaled(told["width"], percent, f"width of {node!r} in {space.name!r}")
    return _variant(space, graph)


def _scaled(width: Any, percent: int, what: str) -> Any:
    if isinstance(width, int):
        return max(1, round(width * percent / 100))
    if isinstance(width, Choice):
        return dataclasses.replace(width, options=tuple(_scaled(option, percent, what) for option in width.options))
    raise InvalidSpace(f"{what} is neither a number nor a choice of numbers: it can't be narrowed")


def _variant(space: SearchSpace, graph: Any) -> SearchSpace:
    made = SearchSpace(graph, name=space.name, rules=space.rules, recipe=space.recipe)
    if [each.name for each in made.decisions_in_order] != [each.name for each in space.decisions_in_order]:
        raise InvalidSpace(f"{space.name!r} orders its decisions in a way of its own: it has no smaller version")
    return made


def _shrunk(images: Any, side: int) -> Any:
    """``(N, C, H, W)`` images with another side, each pixel the mean over its area."""
    given = torch.as_tensor(np.asarray(images), device="cpu")
    return torch.nn.functional.adaptive_avg_pool2d(given, side).numpy()


def _most(batch: Any) -> int:
    if isinstance(batch, Choice):
        return int(max(batch.options))
    return int(batch.high) if isinstance(batch, Range) else int(batch)
