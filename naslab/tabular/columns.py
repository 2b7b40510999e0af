"""What a column is, numbers, categories or dates, and its values: read in the same way to train and to predict."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidDataset
from naslab.tabular.dates import ORDERS, DateOrder, days_of, infer_order, parse_date
from naslab.tabular.delimited import Cell, Cells, counted, shown
from naslab.tabular.numbers import (
    PLAIN,
    Notation,
    example,
    infer_notation,
    number_reader,
    parse_number,
    plain_numbers,
)

ColumnKind = Literal["numeric", "categorical", "date"]
KINDS: tuple[ColumnKind, ...] = get_args(ColumnKind)

MISSING = frozenset(
    ("", "NA", "na", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "nan", "NaN", "NAN", "null", "Null", "NULL",
     "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "?", "-")
)  # fmt: skip
"""What stands for a missing value in every column; all that pandas takes for one is among it, so that a frame that
pandas has read and the file itself say the same."""
CANDIDATES = frozenset((*(text.casefold() for text in MISSING), "n.a.", "n.a", "nat", ".", "..", "--", "---",
                        "missing", "unknown"))  # fmt: skip
"""What may stand for a missing value among numbers and dates, in any case of letters: it does where a column has it
twice; once it may be a slip. Elsewhere it is a category."""
_FEWEST_MARKS = 2
_PLURALS = {"numeric": ("a number", "numbers"), "date": ("a date", "dates"), "categorical": ("", "")}
_SPOKEN, _MOST_DIGITS, _NAN = 5, 1000, 4


@dataclass(frozen=True)
class Column:
    """A column that may be used to predict.

    Attributes:
        name: Its name in the header.
        kind: ``"numeric"``, ``"categorical"`` or ``"date"``.
        categories: Those that occur, sorted; none unless it is categorical. ``1`` and ``1.0``, ``TRUE`` and ``True``
            are one category, spelled as it first occurs.
        notation: How its numbers are written.
        order: Of its dates' parts.
        marks: Those of :data:`CANDIDATES` that stand for a missing value, in small letters.
        coerce: Whether every cell that is no number (no date) counts as missing; otherwise it is refused.
    """

    name: str
    kind: ColumnKind
    categories: tuple[str, ...] = ()
    notation: Notation = PLAIN
    order: DateOrder = ORDERS[0]
    marks: tuple[str, ...] = ()
    coerce: bool = False


@dataclass(frozen=True, eq=False)
class ReadColumn:
    """The values of a column, and what is to be said about its cells.

    Attributes:
        column: What was read.
        values: ``(N,)``: float64 (dates are days since the beginning of 1970) with NaN for missing; or objects: texts,
            with None for missing.
        misfits: Places in ``values`` whose cells are no number (no date).
        marked: Places whose cells say what stands for a missing value in this column.
    """

    column: Column
    values: NDArray[Any]
    misfits: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()


def is_missing(cell: Cell) -> bool:
    """Whether a cell lacks a value, whatever its column is."""
    return isinstance(cell, str) and (cell in MISSING or (len(cell) <= _NAN and cell.lower().lstrip("+-") == "nan"))


def candidates_of(counts: Mapping[str, int]) -> tuple[Counter[str], tuple[str, ...]]:
    """The texts of a column without those that may stand for a missing value, and which of these do, if it is of
    numbers or dates."""
    values = Counter({text: count for text, count in counts.items() if text.casefold() not in CANDIDATES})
    marks = Counter[str]()
    for text, count in counts.items():
        if text.casefold() in CANDIDATES:
            marks[text.casefold()] += count
    return values, tuple(sorted(text for text, count in marks.items() if count >= _FEWEST_MARKS))


def counts_of(cells: Cells, position: int, rows: Sequence[int]) -> Counter[str]:
    """The texts of a column that may be values, and how often they occur."""
    counts = Counter(_texts([cells.rows[row][position] for row in rows]))
    return Counter({text: count for text, count in counts.items() if not is_missing(text)})


def infer_column(
    cells: Cells, position: int, rows: Sequence[int], decimal: str, *, kind: ColumnKind | None, coerce: bool
) -> Column:
    """What a column is: of numbers (or dates) if most of its cells that are not missing are.

    Args:
        cells: The table.
        position: Of the column.
        rows: Those that count.
        decimal: What the file writes before decimals, for numbers that can be read either way.
        kind: What it is said to be, in place of this rule.
        coerce: Whether what does not fit counts as missing.
    """
    name = cells.header[position]
    if kind in (None, "numeric") and decimal == PLAIN.decimal:
        plain = plain_numbers([cells.rows[row][position] for row in rows])
        if plain is not None and not np.isnan(plain).all():
            return Column(name, "numeric", coerce=coerce)  # no other notation reads more, and none is simpler
    counts = counts_of(cells, position, rows)
    values, marks = candidates_of(counts)
    most = values.total() / 2
    notation, numbers = infer_notation(values, decimal)
    if kind == "numeric" or (kind is None and numbers > most):
        return Column(name, "numeric", notation=notation, marks=marks, coerce=coerce)
    order, dates = infer_order(values)
    if kind == "date" or (kind is None and dates > most):
        return Column(name, "date", order=order, marks=marks, coerce=coerce)
    spellings: dict[str, str] = {}
    for text in counts:
        spellings.setdefault(folded(text), text)
    return Column(name, "categorical", tuple(sorted(spellings.values())))


def read_column(cells: Cells, position: int, column: Column, rows: Sequence[int]) -> ReadColumn:
    """The values of a column that is known, in training and ever after.

    Raises:
        InvalidDataset: A number is infinite.
    """
    taken = [cells.rows[row][position] for row in rows]
    if column.kind == "categorical":
        spelled = {folded(category): category for category in column.categories}
        texts = _texts(taken)
        said = {text: None if is_missing(text) else spelled.get(folded(text), text) for text in set(texts)}
        return ReadColumn(column, np.array([said[text] for text in texts], dtype=object))
    if column.kind == "numeric" and column.notation.is_plain and (plain := plain_numbers(taken)) is not None:
        return ReadColumn(column, plain)
    values, misfits, marked = np.full(len(taken), np.nan), [], []
    value_of = _reader(column)
    for place, cell in enumerate(taken):
        if is_missing(cell):
            continue
        value = value_of(cell)
        if value is not None:
            values[place] = value
        elif isinstance(cell, str) and cell.casefold() in column.marks:
            marked.append(place)
        else:
            misfits.append(place)
    for place in np.flatnonzero(np.isinf(values)).tolist():
        raise InvalidDataset(
            f"{cells.path}: line {cells.lines[rows[place]]}: {shown(plain_text(taken[place]))} in column "
            f"{column.name!r} is infinite. Only finite numbers can be learnt from: correct that cell, or empty it if "
            "it is not known."
        )
    return ReadColumn(column, values, tuple(misfits), tuple(marked))


def refuse_misfits(
    cells: Cells, read: Sequence[ReadColumn], rows: Sequence[int], *, training: bool, of_target: bool = False
) -> None:
    """Refuse cells that are no numbers (no dates) in columns where these do not count as missing.

    Raises:
        InvalidDataset: Names the first such cell by column and line, and says how many there are.
    """
    wrong = [each for each in read if each.misfits and not each.column.coerce]
    if not wrong:
        return
    first = wrong[0]
    column, row = first.column, rows[first.misfits[0]]
    one, many = _PLURALS[column.kind]
    number = sum(len(each.misfits) for each in wrong)
    others = f" ({counted(number, 'such cell')})" if number > 1 else ""
    if len(wrong) > 1:
        told = ", ".join(f"{each.column.name!r} line {cells.lines[rows[each.misfits[0]]]}" for each in wrong[:_SPOKEN])
        others = f" ({number} such cells, {told}{' and more columns' if len(wrong) > _SPOKEN else ''})"
    if of_target:
        fix = "as regression needs. Correct or empty that cell, or ask for classification"
    elif training:
        fix = (
            f"but most of that column are {many}. Correct that cell; or treat what is {one.replace('a ', 'no ')} as "
            "missing: --coerce; or take all of it as categories: --types " + shlex.quote(f"{column.name}=categorical")
        )
    else:
        fix = "but in training all of that column was. Correct that cell, or empty it if its value is not known"
    position = cells.position(column.name)
    raise InvalidDataset(
        f"{cells.path}: line {cells.lines[row]}: {shown(plain_text(cells.rows[row][position]))} in "
        f"{'the target' if of_target else 'column'} {column.name!r} is not {one}{others}, {fix}."
    )


def remarks_on_cells(cells: Cells, read: Sequence[ReadColumn], rows: Sequence[int]) -> list[str]:
    """What was taken as missing though it is not empty, a sentence per column."""
    says = []
    for each in read:
        position, one = cells.position(each.column.name), _PLURALS[each.column.kind][0].replace("a ", "no ")
        for places, why in ((each.marked, ""), (each.misfits, f": {one}, and --coerce is given")):
            if places:
                texts = Counter(plain_text(cells.rows[rows[place]][position]) for place in places).most_common(_SPOKEN)
                told = ", ".join(f"{shown(text)} ({count:,})" for text, count in texts)
                says.append(
                    f"Column {each.column.name!r}: {told} {'counts' if len(texts) == 1 else 'count'} as missing (first "
                    f"in line {cells.lines[rows[places[0]]]}){why}."
                )
    return says


def remarks_on_reading(cells: Cells, column: Column, rows: Sequence[int]) -> list[str]:
    """How numbers and dates were read where that is not plain, and which spellings are one category."""
    if column.kind != "categorical" and column.notation.is_plain and column.order == ORDERS[0]:
        return []
    texts = list(counts_of(cells, cells.position(column.name), rows))
    if column.kind == "numeric" and not column.notation.is_plain:
        text = example(texts, column.notation)
        value = parse_number(text, column.notation) if text else None
        if value is None or (parse_number(text) == value):
            return []
        unit = f" (in {column.notation.unit})" if column.notation.unit else ""
        return [f"Column {column.name!r}: {shown(text)} is read as {plain_text(value)}{unit}."]
    if column.kind == "date" and column.order != ORDERS[0]:
        text = next((text for text in texts if parse_date(text, column.order) is not None), "")
        return [f"Column {column.name!r}: the dates, such as {shown(text)}, are read as {column.order}."]
    if column.kind == "categorical":
        spellings: dict[str, list[str]] = {}
        for text in texts:
            spellings.setdefault(folded(text), []).append(text)
        merged = next((each for each in spellings.values() if len(each) > 1), None)
        if merged:
            both = " and ".join(map(shown, merged[:_SPOKEN]))
            return [f"Column {column.name!r}: {both} are one category, as in a data frame they would be."]
    return []


def remarks_on_codes(cells: Cells, column: Column, rows: Sequence[int]) -> list[str]:
    """Numbers that are probably codes, such as postcodes: reading them as numbers drops their leading zeros."""
    position = cells.position(column.name)
    for row in rows if column.kind == "numeric" else ():
        cell = cells.rows[row][position]
        if isinstance(cell, str) and cell[:1] == "0" and len(cell) > 1 and cell.isdigit():
            instead = shlex.quote(f"{column.name}=categorical")
            return [
                f"Column {column.name!r}: {shown(cell)} (line {cells.lines[row]}) is read as a number, without its "
                f"leading zeros; if these are codes: --types {instead}."
            ]
    return []


def folded(text: str) -> str:
    """What all spellings of a category have in common: ``1`` and ``1.0`` are one, and so are ``TRUE`` and ``True``."""
    if text.casefold() in ("true", "false"):
        return text.casefold()
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return str(int(text))  # exact, however long: an identifier's last digit counts
    number = parse_number(text)
    return plain_text(number + 0.0) if number is not None and math.isfinite(number) else text


def plain_text(cell: Cell) -> str:
    """A cell as a file would say it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)


def _texts(taken: Sequence[Cell]) -> list[str]:
    return [cell if isinstance(cell, str) else plain_text(cell) for cell in taken]


def _reader(column: Column) -> Callable[[Cell], float | None]:
    """From a cell to its number, or to the days of its date; None if it is neither in this column's way."""
    number = number_reader(column.notation)
    bare = column.notation.takes_bare()

    def numeric(cell: Cell) -> float | None:
        return number(cell) if isinstance(cell, str) else cell if isinstance(cell, float) and bare else None

    def days(cell: Cell) -> float | None:
        if isinstance(cell, datetime):
            return days_of(cell)
        return parse_date(cell, column.order) if isinstance(cell, str) else None

    return numeric if column.kind == "numeric" else days
