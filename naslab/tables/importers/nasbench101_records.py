"""The records of NAS-Bench-101's TFRecord files, gathered by cell: what both tables made of them are filled from.

``nasbench_only108.tfrecord`` (1.3 million trainings of 108 epochs) and ``nasbench_full.tfrecord`` (those of 4, 12 and
36 epochs, too) hold one JSON list per training: hash, epochs, adjacency, operations, metrics in base64 (``api.py`` in
google-research/nasbench).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidTable
from naslab.files import clipped
from naslab.search_spaces.nasbench101_cell import cell_of
from naslab.tables.header import ColumnSpec, Reading, SpaceOption, TableTask
from naslab.tables.importers.model_metrics import read_metrics
from naslab.tables.importers.tfrecord import Reached, read_records

EPOCHS = (4, 12, 36, 108)
"""For how long networks were trained, each time anew, with a learning rate that falls to zero in that time."""
REPEATS = 3
MOST_CELLS = 423_624
SEEDS = tuple(str(repeat) for repeat in range(1, REPEATS + 1))
"""Trainings have no names: they are numbered as they stand in the file."""
_METRICS = ("train", "valid", "test", "train_seconds")
_SPACE_OPTIONS: dict[str, SpaceOption] = {"num_classes": 10, "input_shape": (3, 32, 32)}
SOURCE = {
    "source": "NAS-Bench-101 (Ying et al. 2019), google-research/nasbench",
    "licence": "Apache-2.0",
    "cite": "Ying et al. 2019, NAS-Bench-101: Towards Reproducible Neural Architecture Search, ICML, arXiv:1902.09635",
    "beware": "trainings are numbered as they stand in the file; those of other lengths are trainings of their own",
}
"""What the provenance of a table made of them says."""


class Trainings:
    """The trainings of every cell.

    Attributes:
        rows: From the published hash to the cell's row.
        cells: By row, adjacency and operations as the first record of each states them: see :func:`spec_of`.
        values: ``(rows, metrics, lengths, repeats)``: train, valid and test accuracy in percent, seconds; NaN where
            nothing was recorded.
        params: ``(rows,)``: trainable parameters, as recorded.
        records: How many there were.
        sha256: Of the file.
    """

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.cells: list[tuple[str, str]] = []
        self.values = np.full((1024, len(_METRICS), len(EPOCHS), REPEATS), np.nan)
        self.params = np.full(1024, np.nan)
        self.records = 0
        self.sha256 = ""
        self._keys: list[str] = []
        self._known: dict[tuple[str, str], int] = {}
        self._counts = np.zeros((1024, len(EPOCHS)), np.int8)

    def add(self, record: Any) -> None:
        """Take in one record.

        Raises:
            ValueError, InvalidArchitecture: It is not what these files hold; says why.
        """
        if not isinstance(record, list) or len(record) != 5:
            raise ValueError("it is no list of hash, epochs, adjacency, operations and metrics")
        key, epochs, adjacency, operations, metrics = record
        if not all(isinstance(each, str) for each in (key, adjacency, operations, metrics)):
            raise ValueError("hash, adjacency, operations and metrics must be texts")
        if type(epochs) is not int or epochs not in EPOCHS:
            raise ValueError(f"{clipped(epochs)} epochs; trainings have {', '.join(map(str, EPOCHS))}")
        row = self._row(key, adjacency, operations)
        length = EPOCHS.index(epochs)
        repeat = int(self._counts[row, length])
        if repeat >= REPEATS:
            raise ValueError(f"a training number {repeat + 1} of cell {key} for {epochs} epochs; there are {REPEATS}")
        measured, params = _numbers(metrics)
        if self.params[row] == self.params[row] != params:
            raise ValueError(f"{params:,} parameters; an earlier record of cell {key} has {int(self.params[row]):,}")
        self.values[row, :, length, repeat] = measured
        self.params[row] = params
        self._counts[row, length] = repeat + 1
        self.records += 1

    def columns(self, rows: npt.NDArray[np.int64]) -> dict[ColumnSpec, npt.NDArray[np.float64]]:
        """The columns of a table whose architectures have these rows here: of the lengths that occur."""
        lengths = np.flatnonzero(self._counts[: len(self.cells)].any(axis=0))
        epochs = tuple(EPOCHS[i] for i in lengths)
        found: dict[ColumnSpec, npt.NDArray[np.float64]] = {}
        for i, metric in enumerate(_METRICS):
            found[_described(metric, epochs)] = self.values[:, i][:, lengths][rows]
        found[_PARAMS] = self.params[rows][:, None, None]
        return found

    def task(self, options: dict[str, Any]) -> TableTask:
        """Reward: validation after the longest training; truth: test after it."""
        longest = EPOCHS[int(np.flatnonzero(self._counts[: len(self.cells)].any(axis=0))[-1])]
        return TableTask(
            reward=Reading(column="cifar10/accuracy/valid", epochs=longest),
            truth=Reading(column="cifar10/accuracy/test", epochs=longest),
            space_options={**_SPACE_OPTIONS, **options},
        )

    def provenance(self, file: Path) -> dict[str, Any]:
        """Of a table that is made of these."""
        cells = f"{len(self.cells):,} of {MOST_CELLS:,}"
        return {**SOURCE, "files": {file.name: self.sha256}, "trainings": f"{self.records:,}", "cells": cells}

    def _row(self, key: str, adjacency: str, operations: str) -> int:
        """Where a cell stands. What the hash is of is checked once for every way of writing it."""
        stated = (adjacency, sys.intern(operations))
        row = self._known.get(stated)
        found = self._keys[row] if row is not None else cell_of(*spec_of(*stated)).official_hash
        if found != key:
            raise ValueError(f"its hash is {clipped(key)}, but that of its cell {found}")
        if row is None:
            row = self._known[stated] = self.rows.setdefault(key, len(self.rows))
            if row == len(self.cells):
                self.cells.append(stated)
                self._keys.append(key)
                self._grow()
        return row

    def _grow(self) -> None:
        if len(self.cells) > len(self.params):
            more = len(self.params) // 2
            self.values = np.concatenate([self.values, np.full((more, *self.values.shape[1:]), np.nan)])
            self.params = np.concatenate([self.params, np.full(more, np.nan)])
            self._counts = np.concatenate([self._counts, np.zeros((more, len(EPOCHS)), np.int8)])


def read_trainings(path: Path, progress: Reached | None = None) -> Trainings:
    """All records of a file, in memory that grows with cells and not with records: 0.6 GB for all of NAS-Bench-101.

    Args:
        path: The file.
        progress: Called with the bytes read and those of the file.

    Raises:
        InvalidTable: One line that names the record.
    """
    found = Trainings()
    for place, data in read_records(path, progress):
        try:
            found.add(json.loads(data))
        except (ValueError, RecursionError, InvalidArchitecture) as error:
            said = " ".join(str(error).split())[:300]
            raise InvalidTable(f"'{path}' {place} is not one of NAS-Bench-101: {said}") from None
    found.sha256 = _sha256(path)
    return found


def spec_of(adjacency: str, operations: str) -> tuple[list[list[int]], list[str]]:
    """The matrix and the operations of a cell, as the public code's ``ModelSpec`` takes them. Raises ValueError."""
    names = operations.split(",")
    size = math.isqrt(len(adjacency))
    if size * size != len(adjacency) or set(adjacency) - set("01"):
        raise ValueError(f"adjacency {clipped(adjacency)} is no square of zeros and ones")
    if (names[0], names[-1]) != ("input", "output"):
        raise ValueError(f"operations {clipped(operations)} do not go from input to output")
    return [[int(entry) for entry in adjacency[start : start + size]] for start in range(0, size * size, size)], names


def _numbers(metrics: str) -> tuple[tuple[float, ...], int]:
    """Accuracies in percent and seconds at the end of a training, and the parameters."""
    try:
        data = base64.b64decode(metrics, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its metrics are not in base64") from None
    evaluations, params = read_metrics(data)
    if len(evaluations) != 3:
        raise ValueError(f"{len(evaluations)} evaluations; a training has three: before, half through, after")
    _, seconds, *shares = evaluations[-1]
    if not all(0.0 <= share <= 1.0 for share in shares):
        raise ValueError(f"accuracies {', '.join(map(str, shares))}; allowed: shares from 0 to 1")
    if not 0.0 <= seconds < math.inf:
        raise ValueError(f"{seconds} seconds of training")
    return (*(100 * share for share in shares), seconds), params


def _described(metric: str, epochs: tuple[int, ...]) -> ColumnSpec:
    if metric == "train_seconds":
        what: dict[str, Any] = {"metric": metric, "split": None, "role": "cost", "unit": "seconds", "direction": "min"}
    else:
        role = {"train": "context", "valid": "reward", "test": "truth"}[metric]
        what = {"metric": "accuracy", "split": metric, "role": role, "unit": "%", "direction": "max"}
    return ColumnSpec(dataset="cifar10", epochs=epochs, seeds=SEEDS, **what)


_PARAMS = ColumnSpec(
    dataset="cifar10", metric="params", split=None, role="context", unit="", direction="min", epochs=(), seeds=("once",)
)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
