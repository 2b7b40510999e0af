"""The column that is to be predicted: whether it is classes or a number, and which rows have a value of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset
from naslab.tabular.columns import (
    Column,
    candidates_of,
    counts_of,
    folded,
    is_missing,
    plain_text,
    read_column,
    refuse_misfits,
    remarks_on_cells,
    remarks_on_reading,
)
from naslab.tabular.delimited import Cells, counted, shown, suggestion
from naslab.tabular.numbers import PLAIN, Notation, infer_notation, parse_number

TaskKind = Literal["classification", "regression"]

FEWEST_ROWS = 20
FEWEST_ROWS_OF_A_CLASS = 3
MOST_NUMERIC_CLASSES = 20


@dataclass(frozen=True)
class Target:
    """The column that is to be predicted.

    Attributes:
        name: Its name in the header.
        kind: ``"classification"`` or ``"regression"``.
        classes: As the file spells them; sorted as numbers if all are numbers, as text otherwise; none for regression.
        notation: How the numbers of a regression are written.
        marks: What stands for a missing value, as of :class:`~naslab.tabular.columns.Column`.
        coerce: Whether a row whose target is no number counts as a row without one.
    """

    name: str
    kind: TaskKind
    classes: tuple[str, ...] = ()
    notation: Notation = PLAIN
    marks: tuple[str, ...] = ()
    coerce: bool = False

    @property
    def column(self) -> Column:
        return Column(self.name, "numeric", notation=self.notation, marks=self.marks, coerce=self.coerce)


@dataclass(frozen=True, eq=False)
class ReadTarget:
    """A target as read.

    Attributes:
        target: What it is.
        y: ``(N,)``: objects, the class of each row; or float64.
        rows: ``N`` rows of the table: those that have a value.
        says: What was left out and how it was read.
    """

    target: Target
    y: NDArray[Any]
    rows: list[int]
    says: tuple[str, ...]


def target_position(cells: Cells, name: str) -> int:
    """The target's place in the header. Raises InvalidDataset if it has none."""
    if name and name in cells.header:
        return cells.position(name)
    numbers = sum(parse_number(title) is not None for title in cells.header)
    if 2 * numbers >= len(cells.header):
        raise InvalidDataset(
            f"{cells.path} has no column {name!r}; its first line seems to be values. Add a line with names on top."
        )
    raise InvalidDataset(f"{cells.path} has no column {name!r}. {suggestion(name, cells.header)}")


def read_target(cells: Cells, position: int, task: TaskKind | None, decimal: str, *, coerce: bool) -> ReadTarget:
    """Decide what the target is, and read it; see :func:`naslab.tabular.reading.read_table`."""
    name = cells.header[position]
    rows = [row for row, cells_of in enumerate(cells.rows) if not is_missing(cells_of[position])]
    _enough(cells, name, rows)
    counts = counts_of(cells, position, rows)
    values, marks = candidates_of(counts)
    notation, numbers = infer_notation(values, decimal)
    column = Column(name, "numeric", notation=notation, marks=marks, coerce=coerce)
    read = read_column(cells, position, column, rows)
    if task is None:
        found = read.values[np.isfinite(read.values)]
        # Too many numbers to be classes: then a word among them is a slip, not a class.
        quantity = bool(len(found)) and 2 * numbers >= values.total() and not _are_classes(found)
        task = "regression" if quantity else "classification"
    says: list[str] = []
    if task == "regression":
        if not numbers:
            _varies(cells, name, list(counts), next(iter(counts)))
        refuse_misfits(cells, [read], rows, training=True, of_target=True)
        says += remarks_on_cells(cells, [read], rows) + remarks_on_reading(cells, column, rows)
        known = np.flatnonzero(~np.isnan(read.values))
        target, y = Target(name, task, notation=notation, marks=marks, coerce=coerce), read.values[known]
        rows = [rows[place] for place in known.tolist()]
        _enough(cells, name, rows)
        _varies(cells, name, y.tolist(), plain_text(cells.rows[rows[0]][position]))
    else:
        target, y = _classes(cells, position, rows, numeric=numbers == counts.total(), notation=notation)
    kept = set(rows)
    if lacking := [row for row in range(len(cells.rows)) if row not in kept]:
        texts = sorted({plain_text(cells.rows[row][position]) for row in lacking} - {""})
        said = f", it says {', '.join(map(shown, texts[:5]))}" if texts else ""
        says.insert(
            0,
            f"{len(lacking)} of {len(cells.rows)} rows were left out: their target {name!r} is missing{said} "
            f"(first in line {cells.lines[lacking[0]]}).",
        )
    return ReadTarget(target, y, rows, tuple(says))


def known_targets(cells: Cells, target: Target) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Which rows have a value of the target, and those values: floats, or objects as the classes are spelled.

    Raises:
        InvalidDataset: A value of a regression is not a finite number (names the line).
    """
    position, everything = cells.position(target.name), range(len(cells.rows))
    if target.kind == "regression":
        read = read_column(cells, position, target.column, everything)
        if read.misfits and not target.coerce:
            row = read.misfits[0]
            raise InvalidDataset(
                f"{cells.path}: line {cells.lines[row]}: {shown(plain_text(cells.rows[row][position]))} in the target "
                f"{target.name!r} is not a number. Correct that cell, or empty it: then its row is not scored."
            )
        known = np.flatnonzero(~np.isnan(read.values))
        return known, read.values[known]
    spelled = read_column(cells, position, Column(target.name, "categorical", target.classes), everything).values
    known = np.flatnonzero([text is not None for text in spelled.tolist()])
    return known, spelled[known]


def _enough(cells: Cells, name: str, rows: Sequence[int]) -> None:
    if len(rows) < FEWEST_ROWS:
        raise InvalidDataset(
            f"{cells.path} has {counted(len(rows), 'row')} with a value of the target {name!r}. "
            f"At least {FEWEST_ROWS} are needed: add rows."
        )


def _varies(cells: Cells, name: str, values: Sequence[Any], first: str) -> None:
    if len(set(values)) == 1:
        raise InvalidDataset(
            f"{cells.path}: the target {name!r} is {shown(first)} in every row. "
            "At least two values are needed to learn from."
        )


def _classes(
    cells: Cells, position: int, rows: Sequence[int], *, numeric: bool, notation: Notation
) -> tuple[Target, NDArray[Any]]:
    name = cells.header[position]
    spellings: dict[str, str] = {}  # 1 and 1.0 are one class, spelled as it first occurs
    texts = [plain_text(cells.rows[row][position]) for row in rows]
    of_rows = [spellings.setdefault(folded(text), text) for text in texts]
    _varies(cells, name, of_rows, texts[0])
    classes = sorted(spellings.values())
    if numeric:
        classes = sorted(classes, key=lambda text: parse_number(text, notation) or 0.0)
    counts = Counter(of_rows)
    rare = [text for text in classes if counts[text] < FEWEST_ROWS_OF_A_CLASS]
    if rare:
        more = f" ({len(rare)} classes lack rows)" if len(rare) > 1 else ""
        instead = ", or ask for regression" if numeric else ""
        raise InvalidDataset(
            f"{cells.path}: class {shown(rare[0])} of the target {name!r} has {counts[rare[0]]} of the "
            f"{FEWEST_ROWS_OF_A_CLASS} rows that a class needs{more}. Add rows of it, remove it or merge it{instead}."
        )
    return Target(name, "classification", tuple(classes)), np.array(of_rows, dtype=object)


def _are_classes(numbers: NDArray[np.float64]) -> bool:
    distinct = np.unique(numbers)
    if (distinct != np.floor(distinct)).any():
        return False
    return len(distinct) <= 2 or len(distinct) <= min(MOST_NUMERIC_CLASSES, len(numbers) / 20)
