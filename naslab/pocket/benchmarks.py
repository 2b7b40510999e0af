"""What the pocket benchmarks are: spaces, data and recipes. Their choice is explained in docs/pocket-benchmarks.md."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch

from naslab.datasets import Dataset
from naslab.datasets.catalogue import load_dataset
from naslab.errors import UnknownTable
from naslab.registry import search_space
from naslab.space import Architecture, Recipe, SearchSpace


@dataclass(frozen=True)
class Pocket:
    """A benchmark to be built.

    Attributes:
        name: The id of its task, ``family/dataset``.
        space: Registered name of the search space.
        options: Of the space.
        dataset: Name of the data.
        recipe: How every architecture is trained.
        seeds: Trainings of each architecture.
        block: Architectures that are trained together.
        coarseness: Architectures are ordered by their options divided by this and rounded down, and then cut into
            blocks: most of a block have similar shapes.
    """

    name: str
    space: str
    options: Mapping[str, Any]
    dataset: str
    recipe: Recipe
    seeds: int
    block: int
    coarseness: int

    def __hash__(self) -> int:
        return hash(self.name)

    def __getstate__(self) -> dict[str, Any]:
        # Only the definition is sent to a worker, which computes the rest itself.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def table(self) -> str:
        """The name of its table."""
        return self.name.replace("/", "-")

    @property
    def family(self) -> str:
        return self.name.partition("/")[0]

    @property
    def short(self) -> str:
        """What its task calls the dataset."""
        return self.name.partition("/")[2]

    @cached_property
    def search_space(self) -> SearchSpace:
        return search_space(self.space, **self.options)

    @cached_property
    def data(self) -> Dataset:
        return load_dataset(self.dataset)

    @cached_property
    def classes(self) -> dict[str, list[Architecture]]:
        """Architectures by canonical key: those of one key compute the same and are trained once."""
        found: dict[str, list[Architecture]] = {}
        for architecture in self.search_space.architectures():
            found.setdefault(self.search_space.canonical(architecture), []).append(architecture)
        return found

    @cached_property
    def trained(self) -> list[Architecture]:
        """One architecture of each class, the one with the fewest parameters, in the order of training."""

        def cost(a: Architecture) -> tuple[int, Architecture]:
            return self.search_space.cost(a).params, a

        chosen = [min(members, key=cost) for members in self.classes.values()]
        return sorted(chosen, key=lambda a: (tuple(option // self.coarseness for option in a), a))

    @property
    def blocks(self) -> list[list[Architecture]]:
        """The architectures in groups that are trained together."""
        return [self.trained[i : i + self.block] for i in range(0, len(self.trained), self.block)]

    def rows(self) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """For every architecture of the space, in its order, which of :attr:`trained` stands for it."""
        place = {self.search_space.canonical(a): i for i, a in enumerate(self.trained)}
        row_of = {a: place[key] for key, members in self.classes.items() for a in members}
        return np.array([row_of[a] for a in self.search_space.architectures()], np.uint16)

    def weights(self, architecture: Architecture, seed: int) -> torch.Generator:
        """Generator of the initial weights of one training."""
        return _generator(f"{self.name}/{seed}/{self.search_space.to_string(architecture)}")

    def batches(self, seed: int) -> torch.Generator:
        """Generator of the order of the rows: the same for every architecture."""
        return _generator(f"{self.name}/{seed}/batches")

    def describe(self) -> dict[str, Any]:
        """What must be equal for two builds to count as the same, as JSON."""
        described = {
            "benchmark": self.name,
            "space": self.space,
            "options": dict(self.options),
            "dataset": self.dataset,
            "dataset_sha256": self.data.sha256,
            "splits": [len(self.data.train), len(self.data.validation), len(self.data.test)],
            "recipe": self.recipe.stated(),
            "seeds": self.seeds,
            "block": self.block,
            "coarseness": self.coarseness,
        }
        as_read: dict[str, Any] = json.loads(json.dumps(described))  # tuples are lists there
        return as_read


def pocket(name: str | Pocket) -> Pocket:
    """The benchmark of this name; one that is not in :data:`POCKETS` is passed itself.

    Raises:
        UnknownTable: There is none of this name.
    """
    if isinstance(name, Pocket):
        return _first(name)
    if name not in POCKETS:
        raise UnknownTable(name, POCKETS, see="naslab table build --help")
    return POCKETS[name]


@cache
def _first(benchmark: Pocket) -> Pocket:
    """The first equal benchmark of this process, so that what it has computed serves all units of work."""
    return benchmark


def _generator(key: str) -> torch.Generator:
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


_ALL = (
    Pocket(
        name="pocket-cell/mnist",
        space="pocket-cell",
        options={"num_classes": 10, "input_shape": (1, 8, 8), "channels": 8},
        dataset="mnist-8x8",
        recipe=Recipe(epochs=8, batch=32, learning_rate=0.05, weight_decay=5e-4),
        seeds=3,
        block=16,
        coarseness=1,
    ),
    Pocket(
        name="pocket-mlp/mnist",
        space="mlp",
        options={
            "in_features": 784,
            "out_features": 10,
            "depth": 3,
            "widths": (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128),
        },
        dataset="mnist",
        recipe=Recipe(epochs=16, batch=32, learning_rate=1e-3, optimizer="adamw", weight_decay=1e-2),
        seeds=3,
        block=25,
        coarseness=5,
    ),
    Pocket(
        name="pocket-mlp/segments",
        space="mlp",
        options={"in_features": 18, "out_features": 7, "depth": 4, "widths": (2, 4, 8, 16, 32, 64, 96, 128)},
        dataset="segments",
        recipe=Recipe(epochs=20, batch=32, learning_rate=1e-3, optimizer="adamw", weight_decay=1e-2),
        seeds=3,
        block=16,
        coarseness=2,
    ),
)
POCKETS: Mapping[str, Pocket] = {each.name: each for each in _ALL}
