"""The format of a table: a folder of memory-mapped ``.npy`` arrays and a JSON header.

``header.json`` names the space, the columns (dataset, metric, split, role, unit, direction, epochs, seeds),
the tasks and the provenance, and carries the SHA-256 of every file. ``architectures.npy`` is ``(N, C)`` uint8
option indices (and ``keys.npy`` the digests of their keys, where the table is a sample); each column is
``(N, max(1, epochs), seeds)`` float64, NaN where nothing was recorded. No file is ever loaded through pickle.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError

from naslab.errors import InvalidArchitecture, InvalidTable, InvalidValue, UnknownMetric
from naslab.files import load_json, unreadable
from naslab.files.arrays import load_npy
from naslab.tables.header import ColumnSpec, Header, StoredArray, TableTask, content_hash
from naslab.tables.messages import explain

HEADER = "header.json"
STAMP = "verified.json"
Floats: TypeAlias = NDArray[np.float64]


class Rows(dict[tuple[int, ...], int]):
    """Row of each architecture (option indices). Raises InvalidArchitecture where the table lacks one."""

    def __init__(self, architectures: NDArray[np.uint8], table: str) -> None:
        rows: list[list[int]] = architectures.tolist()
        super().__init__({tuple(options): row for row, options in enumerate(rows)})
        self.table = table

    def __missing__(self, architecture: tuple[int, ...]) -> int:
        raise InvalidArchitecture(
            f"{architecture!r} is not among the {len(self):,} architectures of the table {self.table!r}"
        )


class Column(ColumnSpec):
    """A column with its numbers: ``values`` is ``(N, max(1, epochs), seeds)``, NaN where not recorded."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    values: np.ndarray[Any, np.dtype[np.float64]] = Field(repr=False)


@dataclass(frozen=True, eq=False)
class Table:
    """An open table. Rows are architectures; arrays are memory-mapped and read-only. Of a sample of a space it has the
    digests of the rows' keys, ``(N, 16)``: see :func:`naslab.space.lookup_digest`.

    Pickled (for a worker process) as its path and hash, not as its numbers.
    """

    path: Path
    header: Header
    architectures: NDArray[np.uint8]
    columns: Mapping[str, Column]
    keys: NDArray[np.uint8] | None = None

    @property
    def name(self) -> str:
        """The name that the table was stored under."""
        return self.header.name

    @property
    def space(self) -> str:
        """The registered name of its search space."""
        return self.header.space

    @property
    def tasks(self) -> Mapping[str, TableTask]:
        """Dataset -> reward, truth and options of the space."""
        return self.header.tasks

    @property
    def curve(self) -> bool:
        """Whether the epochs of a column are the curve of one training: stated, or because naslab built the table."""
        return self.header.curve or "build" in self.provenance

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the numbers come from."""
        return self.header.provenance

    @property
    def sha256(self) -> str:
        """Identifies the content: the hash of the header, which holds the hash of every file."""
        return self.header.sha256

    def __len__(self) -> int:
        return len(self.architectures)

    def __reduce__(self) -> tuple[object, tuple[Path, str]]:
        return _reopen, (self.path, self.sha256)

    def _repr_html_(self) -> str:
        """What a notebook shows: the tasks of the table, and its columns."""
        from naslab.analysis.notebook import card  # pandas takes half a second

        facts = {"rows": f"{len(self):,}", "space": self.space, "source": self.provenance.get("source", "not stated")}
        columns = [
            {"column": name, "trainings": column.values.shape[-1], "missing": int(np.isnan(column.values).sum())}
            for name, column in self.columns.items()
        ]
        return card(f"Table {self.name}: {', '.join(self.tasks)}", facts, [("Columns", columns)])

    @property
    def untimed(self) -> list[str]:
        """The datasets of tasks for which no training seconds were recorded."""
        return self.header.untimed

    @cached_property
    def duplicates(self) -> int:
        """How many rows hold the very numbers of an earlier row, in every column: trainings that may be shared.

        0 where a row holds one number alone: two are often equal by chance, then.
        """
        parts = [each.values.reshape(len(self), -1) for each in self.columns.values()]
        if sum(part.shape[1] for part in parts) < 2:
            return 0
        numbers = np.concatenate(parts, axis=1)
        rows = np.ascontiguousarray(numbers).view(np.dtype((np.void, numbers.shape[1] * numbers.itemsize)))
        return len(rows) - len(np.unique(rows))

    @cached_property
    def isomorphic(self) -> int:
        """How many rows of a sample have the key of an earlier row; 0 where no keys are stored."""
        return 0 if self.keys is None else len(self) - len(np.unique(self.keys, axis=0))

    @cached_property
    def rows(self) -> Rows:
        """Row by architecture."""
        return Rows(self.architectures, self.name)

    def row(self, architecture: tuple[int, ...]) -> int:
        """Row of an architecture (option indices). Raises InvalidArchitecture where the table lacks it."""
        try:
            return self.rows[architecture]
        except TypeError:  # a list
            return self.rows.__missing__(architecture)

    def values(self, column: str, epochs: int | None = None) -> Floats:
        """``(N, S)``: one number per architecture and recorded seed, NaN where not recorded.

        ``epochs=None`` is the longest recorded training, or the only entry of a metric without epochs. Raises
        UnknownMetric where the table lacks the column, InvalidValue where it lacks the epochs.
        """
        if column not in self.columns:
            raise UnknownMetric(column, self.columns, of=self.name)
        found = self.columns[column]
        if epochs is None:
            return found.values[:, -1]
        if epochs not in found.epochs:
            recorded = ", ".join(map(str, found.epochs)) or "none (the metric has no epochs)"
            raise InvalidValue(f"epochs={epochs} of {column!r} in table {self.name!r}. Recorded: {recorded}")
        return found.values[:, found.epochs.index(epochs)]

    def mean(self, column: str, epochs: int | None = None) -> Floats:
        """``(N,)``: mean over the recorded seeds, NaN where there is none. Arguments as :meth:`values`."""
        values = self.values(column, epochs)
        recorded = ~np.isnan(values)
        count = recorded.sum(axis=1)
        total = np.where(recorded, values, 0.0).sum(axis=1)
        mean = np.full(len(values), np.nan)
        np.divide(total, count, out=mean, where=count > 0)
        return mean

    def known(self, task: str) -> NDArray[np.bool_]:
        """``(N,)``: which architectures a task has: those with a reward, a truth, and seconds where there are any."""
        entry = self.tasks[task]
        needed = (
            self.mean(entry.truth.column, entry.truth.epochs),
            self.mean(entry.reward.column, entry.reward.epochs),
            self.charge(entry.dataset or task, entry.reward.epochs),
        )
        return np.asarray(~np.isnan(needed).any(axis=0))

    def charge(self, dataset: str, epochs: int | None = None) -> Floats:
        """``(N,)`` seconds that a search pays to learn each architecture's reward after ``epochs``.

        The dataset's ``train_seconds`` at these epochs where recorded, else the longest recorded training
        scaled by ``epochs / recorded``: in NAS-Bench-201 every epoch of a training takes the same time. Means
        over seeds. ``epochs=None`` is the longest training. Time spent on validating is not charged. Zeros where no
        seconds were recorded: budgets are in evaluations then.
        """
        name = f"{dataset}/train_seconds"
        if name not in self.columns:
            if not any(column.dataset == dataset for column in self.columns.values()):
                raise UnknownMetric(name, self.columns, of=self.name)
            return np.zeros(len(self))
        recorded = self.columns[name].epochs
        if epochs is None or not recorded:
            return self.mean(name)
        scaled = self.mean(name) * (epochs / recorded[-1])
        if epochs not in recorded:
            return scaled
        found = self.mean(name, epochs)
        return np.where(np.isnan(found), scaled, found)


def _reopen(path: Path, sha256: str) -> Table:
    table = open_table(path)
    if table.sha256 != sha256:
        raise InvalidTable(f"'{path}' was replaced by another table while in use. Fix: start again")
    return table


def open_table(path: Path | str, verify: bool = True) -> Table:
    """Open the table in folder ``path``.

    ``verify`` compares the SHA-256 of every file with the header. A stamp of the files (size, time of change, inode) is
    then stored beside them, and later opens hash them again only if they no longer match it. Raises InvalidTable,
    naming the file, for anything missing, truncated, corrupted, edited, or out of reach.
    """
    path = Path(path)
    header = _read_header(path)
    stamp = _stamp(path, header)
    known = not verify or _read_stamp(path) == stamp
    if not known:
        for stored in header.files:
            _check_hash(path / stored.file, stored)
    architectures = _load(path, header.architectures)
    if architectures.ndim != 2 or architectures.dtype != np.uint8 or architectures.shape[1] != len(header.options):
        raise unsound(path / HEADER, "has options that do not fit its architectures")
    columns = {}
    for stored in header.columns:
        values = _load(path, stored)
        if values.shape != (len(architectures), *stored.depth) or values.dtype != np.float64:
            raise unsound(path / stored.file, f"has the wrong shape or type: {values.shape} {values.dtype}")
        fields = {name: getattr(stored, name) for name in ColumnSpec.model_fields}
        columns[stored.name] = Column(**fields, values=values)
    keys = None if header.keys is None else _load(path, header.keys)
    if keys is not None and (keys.shape != (len(architectures), 16) or keys.dtype != np.uint8):
        raise unsound(path / HEADER, "has keys that do not fit its architectures")
    if not known:
        _write_stamp(path, stamp)
    return Table(path, header, architectures, columns, keys)


def unsound(file: Path, what: str) -> InvalidTable:
    """The error for a table that is not what it should be, though its numbers may all be there."""
    return InvalidTable(f"'{file}' {what}. Fix: move the folder '{file.parent}' away, and import or build it again")


def _check_hash(file: Path, stored: StoredArray) -> None:
    """Only a hash that differs is damage."""
    try:
        found = file_sha256(file)
    except OSError as error:
        raise _unread(file, error) from None
    if found != stored.sha256:
        raise InvalidTable(
            f"'{file}' does not hold what the header says (SHA-256 differs). "
            f"Fix: delete the folder '{file.parent}' and import or build it again"
        )


def _unread(file: Path, error: OSError) -> InvalidTable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return unsound(file, "is missing")
    return InvalidTable(unreadable(file, error))


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_header(path: Path) -> Header:
    file = path / HEADER
    try:
        raw = load_json(file)
        header = Header.model_validate(raw)
        sha256 = content_hash(raw)
    except OSError as error:
        raise _unread(file, error) from None
    except ValidationError as error:
        raise unsound(file, f"is not a header that this version reads: {explain(error, Header)}") from None
    except (ValueError, RecursionError) as error:
        raise unsound(file, f"is not JSON ({error})") from None
    if sha256 != header.sha256:
        raise unsound(file, "was edited (its SHA-256 differs)")
    return header


def _load(path: Path, stored: StoredArray) -> NDArray[Any]:
    file = path / stored.file
    try:
        array = load_npy(file, mapped=True)
    except OSError as error:
        raise _unread(file, error) from None
    except ValueError as error:
        _check_hash(file, stored)
        raise unsound(file, f"can't be read ({error})") from None
    if array.shape != stored.shape or str(array.dtype) != stored.dtype:
        raise unsound(file, f"is {array.shape} {array.dtype}, not {stored.shape} {stored.dtype}")
    return array


def _stamp(path: Path, header: Header) -> dict[str, Any]:
    """What must stay as it is for an earlier verification to hold."""
    stamp: dict[str, Any] = {"sha256": header.sha256}
    for stored in header.files:
        try:
            status = (path / stored.file).stat()
        except OSError as error:
            raise _unread(path / stored.file, error) from None
        stamp[stored.file] = [status.st_size, status.st_mtime_ns, status.st_ino]
    return stamp


def _read_stamp(path: Path) -> object:
    try:
        return load_json(path / STAMP)
    except (OSError, ValueError):
        return None


def _write_stamp(path: Path, stamp: dict[str, Any]) -> None:
    # A folder that can't be written to is merely verified at every open.
    with contextlib.suppress(OSError):
        for abandoned in path.glob(f".{STAMP}.*"):  # by a process that was killed
            abandoned.unlink(missing_ok=True)
        draft = path / f".{STAMP}.{os.getpid()}"
        draft.write_text(json.dumps(stamp))
        draft.replace(path / STAMP)
