"""Reading a table of one's own: what may be used to predict, what is left out, and what is to be predicted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset, InvalidValue, UnknownName
from naslab.tabular.columns import (
    KINDS,
    Column,
    ColumnKind,
    ReadColumn,
    counts_of,
    infer_column,
    read_column,
    refuse_misfits,
    remarks_on_cells,
    remarks_on_codes,
    remarks_on_reading,
)
from naslab.tabular.delimited import Cells, read_cells, shown, suggestion
from naslab.tabular.numbers import file_decimal
from naslab.tabular.targets import Target, TaskKind, read_target, target_position

Values = dict[str, NDArray[Any]]
_LOOKED_AT = 1000
"""Rows that decide whether a file writes decimal points or commas, for columns whose own cells do not."""


class Described(NamedTuple):
    """A column of the file, as it is shown before training.

    Attributes:
        column: Its name.
        kind: What it is, or ``"left out"``.
        missing: Cells without a value, those included that count as missing.
        distinct: Different values.
    """

    column: str
    kind: str
    missing: int
    distinct: int


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table as read from its file, typed.

    Attributes:
        columns: Those that may be used to predict, in the file's order.
        values: Per column ``(N,)``: float64 with NaN for missing, dates as days since the beginning of 1970; or
            objects: texts, with None for missing.
        target: What is to be predicted.
        y: ``(N,)``: objects, the class of each row; or float64.
        dropped: One sentence for every column, and for the rows, that were left out.
        remarks: One sentence for everything that was read otherwise than it stands there.
        described: Every column of the file, in its order.
    """

    columns: tuple[Column, ...]
    values: Values
    target: Target
    y: NDArray[Any]
    dropped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    described: tuple[Described, ...] = ()

    def __len__(self) -> int:
        return len(self.y)


def read_table(
    path: Path | str,
    target: str,
    *,
    task: TaskKind | None = None,
    drop: Iterable[str] = (),
    types: Mapping[str, str] | None = None,
    coerce: bool = False,
) -> RawTable:
    """Read a delimited text file (comma, semicolon or tab; UTF-8; its first line names the columns).

    Missing cells are empty or say ``NA``, ``None``, ``nan``, ``null``, ``?`` and the like
    (:data:`~naslab.tabular.columns.MISSING`); among numbers and dates also ``.``, ``--``, ``missing``, ``unknown`` and
    the like (:data:`~naslab.tabular.columns.CANDIDATES`). A column is numeric if most of its other cells are numbers,
    however few are distinct, of dates if most are dates, else categorical. Numbers may have a decimal point or comma,
    grouped thousands, a currency's or a percent sign (:mod:`~naslab.tabular.numbers`). What does not fit its column is
    refused. Left out, and named in ``dropped``: rows whose target is missing, and columns that are constant, all
    missing, unnamed (a data frame's index) or an identifier (text that differs in every row).

    The task is classification if the target is not numeric; or if its values are whole numbers, of which only two are
    distinct, or at most 20 and at most 5 % of the number of rows. Otherwise it is regression.

    Args:
        path: The file.
        target: Name of the column to predict.
        task: ``"classification"`` or ``"regression"``, in place of this rule.
        drop: Columns to leave out.
        types: What columns are (``"numeric"``, ``"categorical"``, ``"date"``), in place of the rule above.
        coerce: Whether what does not fit its column counts as missing.

    Raises:
        InvalidDataset: The file is no such table; the target is not in it, nor a column of ``drop`` or ``types``; fewer
            than 20 rows have a target; it is always the same; a class has fewer than 3 rows; the target of a regression
            is not a number (a target also counts as a regression's if at least half of its cells are numbers, too many
            to be classes); a cell does not fit its column; a value is infinite; two columns have the same name; no
            column is left to predict from.
        InvalidValue: There is no such ``task``; the target is among ``drop`` or ``types``, or a column among both.
        UnknownName: There is no such type.
    """
    if task not in (None, *get_args(TaskKind)):
        raise InvalidValue(f"task={task!r}. Allowed: {', '.join(map(repr, get_args(TaskKind)))}, or None: by rule.")
    cells = read_cells(path)
    position = target_position(cells, target)
    for name in cells.header:
        if name:
            cells.position(name)
    left, kinds = _wishes(cells, target, drop, types or {})
    decimal = file_decimal(
        (counts_of(cells, place, range(min(len(cells.rows), _LOOKED_AT))) for place in range(len(cells.header))),
        semicolons=cells.delimiter == ";",
    )
    goal = read_target(cells, position, task, decimal, coerce=coerce)
    dropped = [says for says in goal.says if "left out" in says]
    remarks = [says for says in goal.says if "left out" not in says]
    read: list[ReadColumn] = []
    described: list[Described] = []
    for place, name in enumerate(cells.header):
        if place == position:
            what = "target, " + (f"{len(goal.target.classes)} classes" if goal.target.classes else "a number")
            described.append(Described(name, what, len(cells.rows) - len(goal.rows), len(set(goal.y.tolist()))))
            continue
        if not name:
            dropped.append(f"Column {place + 1} was left out: it has no name in the header.")
            described.append(Described("", "left out", *_left_out(cells, place, goal.rows)))
            continue
        if name in left:
            dropped.append(f"Column {name!r} was left out, as you asked.")
            described.append(Described(name, "left out", *_left_out(cells, place, goal.rows)))
            continue
        column = infer_column(cells, place, goal.rows, decimal, kind=kinds.get(name), coerce=coerce)
        found = read_column(cells, place, column, goal.rows)
        fits = column.coerce or not found.misfits
        reason = _uselessness(found, asked=name in kinds) if fits else ""
        missing, distinct = _numbers_of(found)
        described.append(Described(name, "left out" if reason else column.kind, missing, distinct))
        if reason:
            dropped.append(f"Column {name!r} was left out: {reason}.")
        else:
            read.append(found)
    refuse_misfits(cells, read, goal.rows, training=True)
    if not read:
        reasons = " ".join(sentence for sentence in dropped if sentence.startswith("Column"))
        raise InvalidDataset(
            f"{cells.path} has no column to predict {target!r} from. {reasons} Add a column that varies."
        )
    remarks += remarks_on_cells(cells, read, goal.rows)
    for each in read:
        remarks += remarks_on_reading(cells, each.column, goal.rows)
        if each.column.name not in kinds:
            remarks += remarks_on_codes(cells, each.column, goal.rows)
    columns = tuple(each.column for each in read)
    values = {each.column.name: each.values for each in read}
    return RawTable(columns, values, goal.target, goal.y, tuple(dropped), tuple(remarks), tuple(described))


def read_rows(path: Path | str, columns: Sequence[Column]) -> Values:
    """Read new rows to predict for.

    Args:
        path: A file as :func:`read_table` takes it, but it may have a single column and needs no target. Its columns
            may stand in any order; those that are not asked for are ignored.
        columns: What to read.

    Returns:
        Per column ``(N,)``, as in :attr:`RawTable.values`; categories may be new.

    Raises:
        InvalidDataset: The file is no such table or has no rows; a column is missing (names the nearest) or occurs
            twice; a cell of a numeric column is not a finite number (names line and column).
    """
    return values_of(read_cells(path, one_column=True), columns)[0]


def values_of(cells: Cells, columns: Sequence[Column]) -> tuple[Values, list[str]]:
    """Columns of a table of cells, see :func:`read_rows`; and what was taken as missing, a sentence per column."""
    absent = [column.name for column in columns if column.name not in cells.header]
    if absent:
        more = f" ({len(absent)} that are needed are missing)" if len(absent) > 1 else ""
        wanted = {column.name for column in columns}
        others = [name for name in cells.header if name not in wanted]
        raise InvalidDataset(f"{cells.path} has no column {absent[0]!r}{more}. {suggestion(absent[0], others)}")
    if not cells.rows:
        raise InvalidDataset(f"{cells.path} has no rows below its header. Add the rows to predict for.")
    rows = range(len(cells.rows))
    read = [read_column(cells, cells.position(column.name), column, rows) for column in columns]
    refuse_misfits(cells, read, rows, training=False)
    return {each.column.name: each.values for each in read}, remarks_on_cells(cells, read, rows)


def _wishes(
    cells: Cells, target: str, drop: Iterable[str], types: Mapping[str, str]
) -> tuple[set[str], dict[str, ColumnKind]]:
    """What to leave out, and what columns are said to be."""
    left, kinds = set(drop), dict(types)
    for name in (*sorted(left), *kinds):
        if name not in cells.header or not name:
            raise InvalidDataset(f"{cells.path} has no column {name!r}. {suggestion(name, cells.header)}")
    if target in left:
        raise InvalidValue(f"column {target!r} is to be predicted, it can't be left out: drop another, or none")
    if target in kinds:
        raise InvalidValue(f"column {target!r} is to be predicted: say what it is by kind, {' or '.join(_TASKS)}")
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise UnknownName(kind, KINDS, of=f"type of column {name}")
        if name in left:
            raise InvalidValue(f"column {name!r} has a type and is to be left out: give one of both")
    return left, {name: _KINDS[kind] for name, kind in kinds.items()}


_TASKS = get_args(TaskKind)
_KINDS: dict[str, ColumnKind] = {kind: kind for kind in KINDS}


def _uselessness(found: ReadColumn, *, asked: bool) -> str:
    """Why nothing can be learnt from a column; empty if something can."""
    missing, distinct = _numbers_of(found)
    present = len(found.values) - missing
    if not present:
        return "all of it is missing"
    if distinct == 1 and not missing:
        return f"it is {shown(_first(found))} in every row"
    if found.column.kind == "categorical" and distinct == present and not asked:
        return "it is an identifier, text that differs in every row"
    return ""


def _first(found: ReadColumn) -> str:
    value = found.values[0]
    return value if isinstance(value, str) else f"{value:.17g}"


def _numbers_of(found: ReadColumn) -> tuple[int, int]:
    """How many values of a column are missing, and how many are different."""
    if found.column.kind == "categorical":
        present = [value for value in found.values.tolist() if value is not None]
        return len(found.values) - len(present), len(set(present))
    known = found.values[~np.isnan(found.values)]
    return len(found.values) - len(known), len(np.unique(known))


def _left_out(cells: Cells, position: int, rows: Sequence[int]) -> tuple[int, int]:
    counts = counts_of(cells, position, rows)
    return len(rows) - counts.total(), len(counts)
