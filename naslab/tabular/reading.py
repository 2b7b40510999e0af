"""Reading a table of one's own: which columns are numbers, which are categories, and what is to be predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset, InvalidValue
from naslab.files import read_number
from naslab.tabular.delimited import Cells, counted, read_cells, shown, suggestion

ColumnKind = Literal["numeric", "categorical"]
TaskKind = Literal["classification", "regression"]
Values = dict[str, NDArray[Any]]

MISSING = frozenset(
    ("", "NA", "na", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "Null", "NULL", "?", "-")
)
FEWEST_ROWS = 20
FEWEST_ROWS_OF_A_CLASS = 3
MOST_NUMERIC_CLASSES = 20


@dataclass(frozen=True)
class Column:
    """A column that may be used to predict.

    Attributes:
        name: Its name in the header.
        kind: ``"numeric"`` or ``"categorical"``.
        categories: The texts that occur, sorted; none for a numeric column.
    """

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """The column that is to be predicted.

    Attributes:
        name: Its name in the header.
        kind: ``"classification"`` or ``"regression"``.
        classes: As the file spells them; sorted as numbers if all are numbers, as text otherwise; none for regression.
    """

    name: str
    kind: TaskKind
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawTable:
    """A table as read from its file, typed.

    Attributes:
        columns: Those that may be used to predict, in the file's order.
        values: Per column ``(N,)``: float64 with NaN for missing, or objects: texts, with None for missing.
        target: What is to be predicted.
        y: ``(N,)``: objects, the class of each row; or float64.
        dropped: One sentence for every column, and for the rows, that were left out.
    """

    columns: tuple[Column, ...]
    values: Values
    target: Target
    y: NDArray[Any]
    dropped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y)


def read_table(path: Path | str, target: str, *, task: TaskKind | None = None) -> RawTable:
    """Read a delimited text file (comma, semicolon or tab; UTF-8; its first line names the columns).

    Missing cells are empty or say ``NA``, ``N/A``, ``nan``, ``null``, ``?`` or ``-``. A column is numeric if all its
    other cells are finite numbers (with a decimal point; in files separated by semicolons also with a decimal comma),
    however few are distinct; any other column, such as one of ``yes`` and ``no``, is categorical. Left out, and named
    in ``dropped``: rows whose target is missing, and columns that are constant, all missing, unnamed (a data frame's
    index) or an identifier (text that differs in every row).

    The task is classification if the target is not numeric; or if its values are whole numbers, of which only two are
    distinct, or at most 20 and at most 5 % of the number of rows. Otherwise it is regression.

    Args:
        path: The file.
        target: Name of the column to predict.
        task: ``"classification"`` or ``"regression"``, in place of this rule.

    Raises:
        InvalidDataset: The file is no such table; the target is not in it; fewer than 20 rows have a target; it is
            always the same; a class has fewer than 3 rows; the target of a regression is not a number (a target also
            counts as a regression's if at least half of its cells are numbers, too many to be classes); a value is
            infinite; two columns have the same name; no column is left to predict from.
        InvalidValue: There is no such ``task``.
    """
    if task not in (None, *get_args(TaskKind)):
        raise InvalidValue(f"task={task!r}. Allowed: {', '.join(map(repr, get_args(TaskKind)))}, or None: by rule.")
    cells = read_cells(path)
    position = _target_position(cells, target)
    for name in cells.header:
        if name:
            cells.position(name)
    everything = range(len(cells.rows))
    rows = [row for row in everything if not _is_missing(cells.rows[row][position])]
    if len(rows) < FEWEST_ROWS:
        raise InvalidDataset(
            f"{cells.path} has {counted(len(rows), 'row')} with a value of the target {target!r}. "
            f"At least {FEWEST_ROWS} are needed: add rows."
        )
    dropped = []
    if lacking := sorted(set(everything) - set(rows)):
        dropped.append(
            f"{len(lacking)} of {len(everything)} rows were left out: their target {target!r} is missing "
            f"(first in line {cells.lines[lacking[0]]})."
        )
    goal, y = _read_target(cells, target, _texts(cells, position, rows), rows, task)
    columns: list[Column] = []
    values: Values = {}
    for place, name in enumerate(cells.header):
        if place == position:
            continue
        if not name:
            dropped.append(f"Column {place + 1} was left out: it has no name in the header.")
            continue
        texts = _texts(cells, place, rows)
        numbers = _numbers(cells, name, texts, rows)
        if reason := _uselessness(texts, numbers):
            dropped.append(f"Column {name!r} was left out: {reason}.")
        elif numbers is not None:
            columns.append(Column(name, "numeric"))
            values[name] = numbers
        else:
            categories = sorted({text for text in texts if text is not None})
            columns.append(Column(name, "categorical", tuple(categories)))
            values[name] = np.array(texts, dtype=object)
    if not columns:
        reasons = " ".join(sentence for sentence in dropped if sentence.startswith("Column"))
        raise InvalidDataset(
            f"{cells.path} has no column to predict {target!r} from. {reasons} Add a column that varies."
        )
    return RawTable(tuple(columns), values, goal, y, tuple(dropped))


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
    return values_of(read_cells(path, one_column=True), columns)


def values_of(cells: Cells, columns: Sequence[Column]) -> Values:
    """Columns of a table of cells; see :func:`read_rows`."""
    absent = [column.name for column in columns if column.name not in cells.header]
    if absent:
        more = f" ({len(absent)} that are needed are missing)" if len(absent) > 1 else ""
        wanted = {column.name for column in columns}
        others = [name for name in cells.header if name not in wanted]
        raise InvalidDataset(f"{cells.path} has no column {absent[0]!r}{more}. {suggestion(absent[0], others)}")
    if not cells.rows:
        raise InvalidDataset(f"{cells.path} has no rows below its header. Add the rows to predict for.")
    rows = range(len(cells.rows))
    values: Values = {}
    for column in columns:
        texts = _texts(cells, cells.position(column.name), rows)
        if column.kind == "categorical":
            values[column.name] = np.array(texts, dtype=object)
            continue
        numbers = _numbers(cells, column.name, texts, rows)
        if numbers is None:
            row, text = _first_misfit(cells, texts, rows)
            raise InvalidDataset(
                f"{cells.path}: line {cells.lines[row]}: {shown(text)} in column {column.name!r} is not a number, but "
                "in training all of that column was. Correct that cell, or empty it if its value is not known."
            )
        values[column.name] = numbers
    return values


def known_targets(cells: Cells, target: Target) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Which rows have a value of the target, and those values: floats, or objects as the classes are spelled.

    Raises:
        InvalidDataset: A value of a regression is not a finite number (names the line).
    """
    everything = range(len(cells.rows))
    texts = _texts(cells, cells.position(target.name), everything)
    known = [row for row in everything if texts[row] is not None]
    present = [texts[row] for row in known]
    numbers = _numbers(cells, target.name, present, known)
    if target.kind == "regression":
        if numbers is None:
            row, text = _first_misfit(cells, present, known)
            raise InvalidDataset(
                f"{cells.path}: line {cells.lines[row]}: {shown(text)} in the target {target.name!r} is not a number."
            )
        return np.array(known, dtype=np.int64), numbers
    spelled = {_number(name, decimal_comma=False): name for name in target.classes}
    if numbers is not None and None not in spelled:  # 1 and 1.0 are one class
        present = [spelled.get(number, text) for number, text in zip(numbers.tolist(), present, strict=True)]
    return np.array(known, dtype=np.int64), np.array(present, dtype=object)


def _target_position(cells: Cells, target: str) -> int:
    if target and target in cells.header:
        return cells.position(target)
    numbers = sum(_number(name, decimal_comma=False) is not None for name in cells.header)
    if 2 * numbers >= len(cells.header):
        raise InvalidDataset(
            f"{cells.path} has no column {target!r}; its first line seems to be values. Add a line with names on top."
        )
    raise InvalidDataset(f"{cells.path} has no column {target!r}. {suggestion(target, cells.header)}")


def _read_target(
    cells: Cells, name: str, texts: Sequence[str | None], rows: Sequence[int], task: TaskKind | None
) -> tuple[Target, NDArray[Any]]:
    numbers = _numbers(cells, name, texts, rows)
    if len(set(texts if numbers is None else numbers.tolist())) == 1:
        raise InvalidDataset(
            f"{cells.path}: the target {name!r} is {shown(str(texts[0]))} in every row. "
            "At least two values are needed to learn from."
        )
    if numbers is None and (task == "regression" or (task is None and _should_be_numbers(cells, texts))):
        row, text = _first_misfit(cells, texts, rows)
        raise InvalidDataset(
            f"{cells.path}: line {cells.lines[row]}: {shown(text)} in the target {name!r} is not a number, as "
            "regression needs. Correct or empty that cell, or ask for classification."
        )
    if task is None:
        task = "classification" if numbers is None or _are_classes(numbers) else "regression"
    if task == "regression":
        assert numbers is not None
        return Target(name, task), numbers
    if numbers is None:
        of_rows = [str(text) for text in texts]
        classes = sorted(set(of_rows))
    else:  # 1 and 1.0 are one class, spelled as it first occurs
        spellings: dict[float, str] = {}
        of_rows = [
            spellings.setdefault(number, str(text)) for number, text in zip(numbers.tolist(), texts, strict=True)
        ]
        classes = [spellings[number] for number in sorted(spellings)]
    counts = Counter(of_rows)
    rare = [text for text in classes if counts[text] < FEWEST_ROWS_OF_A_CLASS]
    if rare:
        more = f" ({len(rare)} classes lack rows)" if len(rare) > 1 else ""
        instead = ", or ask for regression" if numbers is not None else ""
        raise InvalidDataset(
            f"{cells.path}: class {shown(rare[0])} of the target {name!r} has {counts[rare[0]]} of the "
            f"{FEWEST_ROWS_OF_A_CLASS} rows that a class needs{more}. Add rows of it, remove it or merge it{instead}."
        )
    return Target(name, task, tuple(classes)), np.array(of_rows, dtype=object)


def _are_classes(numbers: NDArray[np.float64]) -> bool:
    distinct = np.unique(numbers)
    if (distinct != np.floor(distinct)).any():
        return False
    return len(distinct) <= 2 or len(distinct) <= min(MOST_NUMERIC_CLASSES, len(numbers) / 20)


def _should_be_numbers(cells: Cells, texts: Sequence[str | None]) -> bool:
    """Whether a target that is not numeric should be: at least half of it is numbers, too many to be classes."""
    parsed = [_number(text, decimal_comma=cells.delimiter == ";") for text in texts if text is not None]
    numbers = np.array([number for number in parsed if number is not None])
    return 2 * len(numbers) >= len(parsed) and not _are_classes(numbers)


def _uselessness(texts: Sequence[str | None], numbers: NDArray[np.float64] | None) -> str:
    """Why nothing can be learnt from a column; empty if something can."""
    present = [text for text in texts if text is not None]
    if not present:
        return "all of it is missing"
    different = len(set(present)) if numbers is None else len(np.unique(numbers[~np.isnan(numbers)]))
    if different == 1 and len(present) == len(texts):
        return f"it is {shown(present[0])} in every row"
    if numbers is None and different == len(present):
        return "it is an identifier, text that differs in every row"
    return ""


def _is_missing(text: str) -> bool:
    return text in MISSING or text.lower().lstrip("+-") == "nan"


def _texts(cells: Cells, position: int, rows: Sequence[int]) -> list[str | None]:
    column = (cells.rows[row][position] for row in rows)
    return [None if _is_missing(text) else text for text in column]


def _numbers(cells: Cells, name: str, texts: Sequence[str | None], rows: Sequence[int]) -> NDArray[np.float64] | None:
    """A column's numbers, NaN where they are missing; None if it has anything else."""
    numbers = np.full(len(texts), np.nan)
    for place, text in enumerate(texts):
        if text is not None:
            number = _number(text, decimal_comma=cells.delimiter == ";")
            if number is None:
                return None
            numbers[place] = number
    for place in np.flatnonzero(np.isinf(numbers)).tolist():
        raise InvalidDataset(
            f"{cells.path}: line {cells.lines[rows[place]]}: {shown(texts[place] or '')} in column {name!r} is "
            "infinite. Only finite numbers can be learnt from: correct that cell, or empty it if it is not known."
        )
    return numbers


def _number(text: str, *, decimal_comma: bool) -> float | None:
    """A number, finite or not; None if the text is not a number."""
    if decimal_comma and "." not in text:
        text = text.replace(",", ".")
    return read_number(text, infinite=True)


def _first_misfit(cells: Cells, texts: Sequence[str | None], rows: Sequence[int]) -> tuple[int, str]:
    """The first row of a column whose text is not a number, and that text; there must be one."""
    decimal_comma = cells.delimiter == ";"
    return next(
        (row, text)
        for row, text in zip(rows, texts, strict=True)
        if text is not None and _number(text, decimal_comma=decimal_comma) is None
    )
