"""How people write numbers: decimal points and commas, grouped thousands, currencies and percent signs.

A cell alone does not say what ``1.234`` is. The notation is therefore decided for a whole column, where its cells leave
it open by the other columns of the file, and kept with the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CURRENCIES = "$€£¥₹"
PERCENT = "%"
UNITS = ("", PERCENT, *CURRENCIES)
_SPACES = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " ", "\N{THIN SPACE}": " ",
                         "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{MINUS SIGN}": "-"})  # fmt: skip
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_MOST_EXAMPLES, _GROUP = 40, 3
_NOT_PLAIN = re.compile(r"[^0-9.eE+-]")


class Style(NamedTuple):
    """What stands before decimals, and what groups thousands, if anything does."""

    decimal: str
    group: str


STYLES = tuple(Style(decimal, group) for group in ("", ",", ".", " ", "'") for decimal in ".," if decimal != group)


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes:
        decimal: ``"."`` or ``","``.
        group: What groups thousands: ``""``, ``","``, ``"."``, ``" "`` or ``"'"``.
        unit: ``""``, ``"%"`` or a currency's sign. Numbers are in this unit: ``12%`` is 12. Without a sign a number
            is of the column's currency, but in a column of percentages nothing else counts as a number.
    """

    decimal: str = "."
    group: str = ""
    unit: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to explain."""
        return self == Notation()

    def takes_bare(self) -> bool:
        """Whether a number without a sign is of this column's unit."""
        return self.unit != PERCENT


PLAIN = Notation()


def parse_number(text: str, notation: Notation = PLAIN) -> float | None:
    """The number that a cell says, finite or not; None if it says none in this notation. NaN is none.

    Digits are 0 to 9; a sign, decimals and an exponent are allowed, underscores are not.
    """
    return number_reader(notation)(text)


@cache
def number_reader(notation: Notation) -> Callable[[str], float | None]:
    """:func:`parse_number` for one notation: for many cells."""
    decimal, group = notation.decimal, notation.group
    fits = _pattern(Style(decimal, group)).fullmatch

    def read(text: str) -> float | None:
        if notation.unit or not fits(text):  # else it is the usual case, without any sign to look for
            unit, text = _without_unit(text)
            if unit != notation.unit and (unit or not notation.takes_bare()):
                return None
            if not fits(text):
                return float(text) if _INFINITE.fullmatch(text) else None
        if group:
            text = text.replace(group, "")
        return float(text.replace(",", ".") if decimal == "," else text)

    return read


def plain_numbers(cells: Sequence[Any]) -> NDArray[np.float64] | None:
    """A column of which every cell is a finite number in the :data:`PLAIN` notation, or empty: NaN.

    None for any other column. This is the usual case in a tenth of the time that looking at each cell takes: of such
    characters alone Python reads as a number what :func:`parse_number` does.

    Args:
        cells: Texts, or the numbers of a data frame.
    """
    if _NOT_PLAIN.search("".join([cell for cell in cells if isinstance(cell, str)])):
        return None
    try:
        values = np.array([np.nan if cell == "" else float(cell) for cell in cells], dtype=np.float64)
    except (TypeError, ValueError):  # a moment, or a text such as "-"
        return None
    return None if np.isinf(values).any() else values


def file_decimal(columns: Iterable[Mapping[str, int]], *, semicolons: bool) -> str:
    """What a file writes before decimals, ``"."`` or ``","``, for columns that could be read either way.

    Every column of numbers with a cell that can only be read in one way has a vote. Without a majority it is a comma
    where semicolons separate cells and commas occur in numbers, else a point.

    Args:
        columns: The texts of each column and how often they occur.
        semicolons: Whether these separate the cells.
    """
    votes: Counter[str] = Counter()
    commas = False
    for counts in columns:
        read = {text: styles for text in counts if (styles := _styles(_without_unit(text)[1]))}
        if 2 * sum(counts[text] for text in read) <= sum(counts.values()):
            continue
        commas = commas or any("," in text for text in read)
        own: Counter[str] = Counter()
        for text, styles in read.items():
            if len(decimals := {style.decimal for style in styles}) == 1:
                own[decimals.pop()] += counts[text]
        if own:
            votes[own.most_common(1)[0][0]] += 1
    if votes["."] != votes[","]:
        return max(votes, key=lambda decimal: votes[decimal])
    return "," if semicolons and commas else "."


def infer_notation(counts: Mapping[str, int], decimal: str) -> tuple[Notation, int]:
    """The notation in which the most cells of a column are numbers, and how many are.

    Args:
        counts: The column's texts and how often they occur.
        decimal: Of the file, for a column that can be read either way.
    """
    kinds: Counter[tuple[str, frozenset[Style]]] = Counter()
    infinite = 0
    for text, count in counts.items():
        unit, bare = _without_unit(text)
        if styles := _styles(bare):
            kinds[unit, styles] += count
        elif _INFINITE.fullmatch(bare):
            infinite += count
    fits = Counter({style: sum(n for (_, styles), n in kinds.items() if style in styles) for style in STYLES})
    # In this order: the most numbers; as the rest of the file; as few conventions as possible.
    style = max(STYLES, key=lambda each: (fits[each], each.decimal == decimal, -STYLES.index(each)))
    units = Counter[str]()
    for (unit, styles), count in kinds.items():
        units[unit] += count if style in styles else 0
    currencies = {unit: units[unit] for unit in CURRENCIES if units[unit]}
    if units[PERCENT] > units.total() / 2:
        unit = PERCENT
    else:
        unit = max(currencies, key=lambda each: currencies[each], default="")
    notation = Notation(*style, unit) if kinds else Notation()
    accepted = {unit, "" if notation.takes_bare() else unit}
    return notation, infinite + sum(n for (own, styles), n in kinds.items() if style in styles and own in accepted)


def example(texts: Sequence[str], notation: Notation) -> str:
    """A text of a column that shows its notation: with the most signs that are no digits."""
    numbers = [text for text in texts[: _MOST_EXAMPLES * 100] if parse_number(text, notation) is not None]
    return max(numbers[:_MOST_EXAMPLES], key=lambda text: sum(not each.isdigit() for each in text), default="")


def _without_unit(text: str) -> tuple[str, str]:
    """A currency's or a percent sign, and the text without it: before or after the number, the minus before either."""
    if text.isascii() and "%" not in text and "$" not in text:
        return "", text
    text = text.translate(_SPACES)
    sign, body = (text[0], text[1:].lstrip()) if text[:1] in ("-", "+") else ("", text)
    if body[:1] and body[0] in CURRENCIES:
        return body[0], sign + body[1:].lstrip()
    if body[-1:] and body[-1] in CURRENCIES + PERCENT:
        return body[-1], sign + body[:-1].rstrip()
    return "", text


@cache
def _pattern(style: Style) -> re.Pattern[str]:
    whole = r"[0-9]+"
    if style.group:
        whole = rf"(?:[1-9][0-9]{{0,2}}(?:{re.escape(style.group)}[0-9]{{3}})+|{whole})"
    point = re.escape(style.decimal)
    return re.compile(rf"[+-]?(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")


_ALL = frozenset(STYLES)
_POINTS = frozenset(style for style in STYLES if style.decimal == ".")
_PLAIN_POINT = re.compile(r"[+-]?([0-9]*)\.([0-9]*)(?:[eE][+-]?[0-9]+)?")


def _styles(bare: str) -> frozenset[Style]:
    """The styles in which a text is a number."""
    if bare.isdigit() and bare.isascii():
        return _ALL
    # Most numbers of most files, without trying every style: a point that can't group thousands.
    if (found := _PLAIN_POINT.fullmatch(bare)) and len(found[2]) != _GROUP and (found[1] or found[2]):
        return _POINTS
    return frozenset(style for style in STYLES if _pattern(style).fullmatch(bare))
