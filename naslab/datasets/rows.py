"""What a dataset is: three splits of numbers and labels, and a hash that identifies them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Labelled(Protocol):
    """Examples with their labels.

    ``x`` is ``(N, features)`` or ``(N, channels, height, width)``, float32; ``y`` is ``(N,)``: int64, classes from 0,
    or float32 numbers of a regression. Dense targets are float32 and have the shape of a network's output,
    ``(N, numbers, height, width)``.
    """

    @property
    def x(self) -> npt.NDArray[np.float32]: ...
    @property
    def y(self) -> npt.NDArray[Any]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Examples with their labels, in memory: see :class:`Labelled`."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset with its fixed splits.

    Attributes:
        name: Such as ``"segments"``.
        train: What weights are fitted to.
        validation: What a search is rewarded by.
        test: What a search's outcome is judged by.
        classes: Number of classes; of numbers per pixel where targets are dense.
        sha256: Of the raw numbers, the labels and the splits, before standardisation.
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows
    classes: int
    sha256: str


def split_dataset(
    name: str,
    raw: npt.NDArray[np.generic],
    labels: npt.NDArray[np.int64],
    sizes: Sequence[int],
    *,
    by_feature: bool,
) -> Dataset:
    """Cut a dataset into training, validation and test rows and standardise it.

    Rows are ordered by the SHA-256 of the dataset's name and the row's number: as good as random, and the same under
    every version of every library. They are standardised by the mean and the standard deviation of the training rows:
    of each feature, or of all together (pixels).

    Args:
        name: Of the dataset.
        raw: ``(N, ...)``, as the source gives them: what is hashed.
        labels: ``(N,)``.
        sizes: Numbers of training, validation and test rows.
        by_feature: Whether features are standardised one by one.
    """
    order = sorted(range(len(raw)), key=lambda row: hashlib.sha256(f"{name}/{row}".encode()).digest())
    digest = hashlib.sha256(f"{name} {raw.dtype.str} {raw.shape} {tuple(sizes)}".encode())
    digest.update(np.ascontiguousarray(raw[order]).tobytes())
    digest.update(np.ascontiguousarray(labels[order], "<i8").tobytes())
    train = raw[order[: sizes[0]]].astype(np.float64)
    axis = 0 if by_feature else None
    mean, scale = train.mean(axis=axis), train.std(axis=axis)
    scale = np.where(scale > 0, scale, 1.0)
    splits, start = [], 0
    for size in sizes:
        rows = order[start : start + size]
        splits.append(Rows(((raw[rows] - mean) / scale).astype(np.float32), labels[rows]))
        start += size
    fitted, validation, test = splits
    return Dataset(name, fitted, validation, test, classes=int(labels.max()) + 1, sha256=digest.hexdigest())
