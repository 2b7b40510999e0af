"""From a delimited text file to cells: named columns of stripped text, and the line that each row stands on."""

from __future__ import annotations

import csv
import difflib
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from naslab.errors import InvalidDataset
from naslab.files import unreadable

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_SNIFFED = 100
Cell: TypeAlias = str | float | datetime
"""Of a file always its text; a number or a moment of a data frame is one already, however a file would write it."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a delimited file, or of a data frame.

    Attributes:
        path: The file.
        delimiter: The character between cells.
        header: The columns' names, stripped; an unnamed column has the name ``""``.
        rows: One list of cells per row, as long as the header; texts are stripped.
        lines: The line that each row begins on, counted from 1, the header included.
    """

    path: Path
    delimiter: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    lines: list[int]

    def position(self, name: str) -> int:
        """The place of the column ``name``. Raises InvalidDataset if it is there twice, ValueError if it is not."""
        if self.header.count(name) > 1:
            places = [str(place) for place, other in enumerate(self.header, start=1) if other == name]
            raise InvalidDataset(
                f"{self.path}: columns {', '.join(places)} are all called {name!r}. "
                "Names must differ: rename or remove all but one."
            )
        return self.header.index(name)


def read_cells(path: Path | str, *, one_column: bool = False) -> Cells:
    """Read a delimited text file: UTF-8, with or without byte-order mark; its first line names the columns.

    The delimiter is comma, semicolon or tab: the one with which the most of the first 100 rows are as long as the
    header. Cells may be quoted as spreadsheets do. Blank lines are skipped.

    Args:
        path: The file.
        one_column: Whether a file without any delimiter, which has a single column, is accepted.

    Raises:
        InvalidDataset: The file does not exist or can't be read, is binary, is empty, has no delimiter, or has a row
            that is longer or shorter than the header; names the line.
    """
    path = Path(path)
    text = _decoded(path, _read_bytes(path))
    delimiter, width = _sniffed(text)
    if not text.strip():
        raise InvalidDataset(f"{path} is empty. Wanted: a CSV file whose first line names its columns.")
    if width <= 1 and not one_column:
        raise InvalidDataset(
            f"{path} is no CSV file: its first line has neither comma, semicolon nor tab. "
            "Wanted: at least two columns, named in the first line."
        )
    records = _records(path, text, delimiter)
    _, names = next(records)
    header = tuple(name.strip() for name in names)
    rows, lines = [], []
    for line, record in records:
        if len(record) != len(header):
            raise InvalidDataset(
                f"{path}: line {line} has {counted(len(record), 'cell')}, the header {len(header)} "
                f"(separated by {DELIMITERS[delimiter]}s). Correct that line, or quote the cell that contains a "
                f"{DELIMITERS[delimiter]}."
            )
        rows.append([cell.strip() for cell in record])
        lines.append(line)
    return Cells(path, delimiter, header, rows, lines)


def suggestion(given: str, known: Iterable[str]) -> str:
    """``Did you mean 'age'?`` (the case of letters is ignored); if no name is near, at most ten of the known ones."""
    names = [name for name in known if name]
    folded = {name.casefold(): name for name in reversed(names)}
    nearest = difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.5)
    if nearest:
        return f"Did you mean {folded[nearest[0]]!r}?"
    shown = ", ".join(repr(name) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"There are: {shown}{more}." if names else "There is none."


def shown(text: str) -> str:
    """A cell's text, quoted, on one line and short."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def counted(number: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InvalidDataset(f"{path} does not exist, nor does the folder {path.parent}.") from None
        beside = sorted(other.name for other in path.parent.iterdir() if other.is_file())
        nearest = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
        hint = f" Did you mean {str(path.parent / nearest[0])!r}?" if nearest else " Give the path of a CSV file."
        raise InvalidDataset(f"{path} does not exist.{hint}") from None
    except IsADirectoryError:
        raise InvalidDataset(f"{path} is a folder. Give the path of a CSV file.") from None
    except OSError as error:
        raise InvalidDataset(unreadable(path, error)) from None


def _decoded(path: Path, data: bytes) -> str:
    for start, what in ((b"PK\x03\x04", "an Excel workbook or a zip archive"), (b"\x1f\x8b", "compressed (gzip)")):
        if data.startswith(start):
            raise InvalidDataset(f"{path} is no CSV file but {what}. Save or unpack it as CSV in UTF-8.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidDataset(f"{path} is text in UTF-16. Save it as CSV in UTF-8.")
    if b"\0" in data:
        raise InvalidDataset(f"{path} is no CSV file: it is binary. Save it as CSV in UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidDataset(f"{path}: line {line} is not UTF-8 text. Save the file as CSV in UTF-8.") from None


def _sniffed(text: str) -> tuple[str, int]:
    """The delimiter, and how many columns the header has under it."""
    best = (False, 0.0, 0)
    chosen = ","
    for delimiter in DELIMITERS:
        widths = _widths(text, delimiter)
        if widths:
            score = (widths[0] > 1, widths.count(widths[0]) / len(widths), widths[0])
            if score > best:
                best, chosen = score, delimiter
    return chosen, best[2]


def _widths(text: str, delimiter: str) -> list[int]:
    """How many cells each of the first records has."""
    widths = []
    try:
        for record in itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _SNIFFED):
            if _is_filled(record):
                widths.append(len(record))
    except csv.Error:
        pass  # a cell that does not end: _records names its line
    return widths


def _is_filled(record: list[str]) -> bool:
    """Whether a line is a row: ``,,`` and ``""`` are rows of missing values, a blank line is not a row."""
    return len(record) > 1 or (len(record) == 1 and (not record[0] or bool(record[0].strip())))


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Every record and the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidDataset(
                f"{path}: line {line} is no CSV: {error}. Close its quotes, and double those inside a quoted cell."
            ) from None
        if _is_filled(record):
            yield line, record
