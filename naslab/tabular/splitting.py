"""Cutting a table into training, validation and test rows that look alike."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidValue
from naslab.tabular.targets import TaskKind

_MOST_BINS = 10
_FEWEST_ROWS_OF_A_BIN = 5
_FEWEST_ROWS_TO_SPREAD = 3

Split = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def split(y: NDArray[Any], kind: TaskKind, rng: np.random.Generator) -> Split:
    """Draw 60 % of the rows for training, 20 % for validation and 20 % for testing, stratified.

    The strata are the classes or, for regression, up to ten equally large bins of the target (of at least five rows).
    Each stratum gives a fifth of its rows to validation and as many to the test. Rounding errors cancel over the
    strata: together they give a fifth of all rows, rounded. Of a class with at least three rows, every part gets at
    least one (so it may get more than a fifth); smaller classes go to training.

    Args:
        y: ``(N,)``, classes or numbers, without missing values.
        kind: ``"classification"`` or ``"regression"``.
        rng: The only randomness: the same state, the same split.

    Returns:
        Row numbers for training, validation and testing, each in ascending order; every row is in one of them.
    """
    if kind not in get_args(TaskKind):
        raise InvalidValue(f"kind={kind!r}. Allowed: {', '.join(map(repr, get_args(TaskKind)))}.")
    shuffled = rng.permutation(len(y))
    if kind == "classification":
        _, strata, sizes = np.unique(y[shuffled], return_inverse=True, return_counts=True)
        order = shuffled[np.argsort(strata, kind="stable")]
    else:
        order = shuffled[np.argsort(y[shuffled], kind="stable")]
        bins = max(1, min(_MOST_BINS, len(y) // _FEWEST_ROWS_OF_A_BIN))
        sizes = np.diff(np.arange(bins + 1) * len(y) // bins)
    train: list[int] = []
    validation: list[int] = []
    test: list[int] = []
    start = 0
    for size in sizes.tolist():
        stratum = order[start : start + size]
        held = _fifth(start + size) - _fifth(start)
        held = max(held, 1) if size >= _FEWEST_ROWS_TO_SPREAD else 0
        # The stratum of a regression is sorted by target: the rows to hold out must be drawn at random.
        if kind == "regression":
            stratum = rng.permutation(stratum)
        validation.extend(stratum[:held])
        test.extend(stratum[held : 2 * held])
        train.extend(stratum[2 * held :])
        start += size
    return _ascending(train), _ascending(validation), _ascending(test)


def _fifth(number: int) -> int:
    """A fifth, rounded half up, in whole numbers."""
    return (2 * number + 5) // 10


def _ascending(rows: list[int]) -> NDArray[np.int64]:
    return np.sort(np.array(rows, dtype=np.int64))
