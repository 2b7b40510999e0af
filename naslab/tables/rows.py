"""The rows of a person's file, as texts: CSV (perhaps compressed), JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from naslab.errors import InvalidTable
from naslab.files import decompress, read_json, unreadable
from naslab.tables.messages import nearest

Lines: TypeAlias = list[tuple[int, list[str]]]
_NOTHING = frozenset(("", "nan", "na", "n/a", "<na>", "null", "none"))


def is_missing(cell: str) -> bool:
    """Whether a cell of a column of numbers says that there is none."""
    return cell.strip().casefold() in _NOTHING


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises InvalidTable where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidTable(unreadable(path, error)) from None


def read_rows(path: Path, data: bytes) -> tuple[list[str], Lines]:
    """The names of the columns, and every row with its number; what is missing is an empty text.

    A CSV's rows count from 1, the header being row 1; commas, semicolons or tabs separate its cells. JSON is a list of
    objects, an object of them by architecture (a column ``architecture``, unless they have one), or one object a line
    (``.jsonl``); objects and lists in them are columns such as ``a/b`` and ``a/1``. A Parquet file's named index is
    among its columns. Raises InvalidTable, naming file and row.
    """
    name = path.name.removesuffix(".gz")
    try:
        if path.suffix == ".gz":
            data = decompress(data, "gzip")
        if name.endswith((".json", ".jsonl")):
            return _json_rows(path, data, lines=name.endswith(".jsonl"))
        if name.endswith(".parquet"):
            return _parquet_rows(path, data)
        text = data.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except InvalidTable:  # which is a ValueError, too
        raise
    except (ValueError, RecursionError, csv.Error) as error:  # what decompressing and decoding raise
        kind = {"json": "JSON", "jsonl": "JSON", "parquet": "Parquet"}.get(name.rpartition(".")[2], "CSV")
        raise InvalidTable(f"'{path}' is not a {kind} file ({error})") from None
    if len(lines) < 2:
        raise InvalidTable(f"'{path}' is empty: {'a header but no rows' if lines else 'no header'}")
    header = lines.pop(0)[1]
    for row, cells in lines:
        if len(cells) != len(header):
            first = "; its first row must name the columns: no comments" if len(header) == 1 else ""
            raise InvalidTable(f"'{path}' row {row}: {len(cells)} fields, but the header has {len(header)}{first}")
    return header, lines


def parsed_json(path: Path, data: bytes) -> Any:
    """What a JSON file holds. Raises InvalidTable where it is none."""
    try:
        return read_json(data)
    except ValueError as error:
        raise InvalidTable(f"'{path}' is not JSON ({error})") from None


def positions(path: Path, header: list[str], wanted: Iterable[str]) -> dict[str, int]:
    """The place of each of these columns. Raises InvalidTable where one is missing, or is there twice."""
    wanted = list(wanted)
    for column in wanted:
        if column not in header:
            raise InvalidTable(f"'{path}' has no column {column!r}.{nearest(column, header)}")
        if header.count(column) > 1:
            raise InvalidTable(f"'{path}' has two columns {column!r}")
    return {column: header.index(column) for column in wanted}


def _delimiter(text: str) -> str:
    """What separates the cells of a CSV: a comma, unless its header has none, but semicolons or tabs."""
    header = text.lstrip("\r\n").partition("\n")[0]
    return next((each for each in (",", ";", "\t") if each in header), ",")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError where a key stands in it twice: Python would drop the first value."""
    if (twice := _repeated(pairs)) is not None:
        raise ValueError(f"key {twice!r} stands twice in one object")
    return dict(pairs)


def _repeated(pairs: Sequence[tuple[str, Any]]) -> str | None:
    """The first name that several pairs have; None where each has its own."""
    if len(dict(pairs)) == len(pairs):
        return None
    return next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)


def _json_rows(path: Path, data: bytes, *, lines: bool) -> tuple[list[str], Lines]:
    records: Any
    if lines:
        written = [line for line in data.splitlines() if line.strip()]
        records = [json.loads(line, object_pairs_hook=_once) for line in written]
    else:
        records = json.loads(data, object_pairs_hook=_once)
    if isinstance(records, dict):
        records = [{"architecture": key, **each} if isinstance(each, dict) else each for key, each in records.items()]
    if not isinstance(records, list) or not records:
        raise InvalidTable(f"'{path}' is no list of objects, or object of objects, one per architecture")
    flat = []
    for row, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InvalidTable(f"'{path}' row {row}: no object of columns and values")
        cells = _flat("", record)
        if (twice := _repeated(cells)) is not None:
            raise InvalidTable(f"'{path}' row {row}: two values are called {twice!r}")
        flat.append(dict(cells))
    header = list(dict.fromkeys(name for record in flat for name in record))
    return header, [(row, [record.get(name, "") for name in header]) for row, record in enumerate(flat, start=1)]


def _flat(prefix: str, record: Mapping[Any, Any]) -> list[tuple[str, str]]:
    found = []
    for key, value in record.items():
        if isinstance(value, list):
            value = dict(enumerate(value, start=1))
        if isinstance(value, Mapping):
            found += _flat(f"{prefix}{key}/", value)
        else:
            found.append((f"{prefix}{key}", _text(value)))
    return found


def _parquet_rows(path: Path, data: bytes) -> tuple[list[str], Lines]:
    import pandas as pd  # half a second

    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except ImportError:
        raise InvalidTable(f"'{path}' needs a package that is missing. Fix: pip install 'naslab[parquet]'") from None
    if any(name is not None for name in frame.index.names):  # pandas keeps what was an index apart
        frame = frame.reset_index()
    columns = [[_text(value) for value in frame[name].tolist()] for name in frame]
    if not columns or not columns[0]:
        raise InvalidTable(f"'{path}' is empty")
    return [str(name) for name in frame], [
        (i, list(cells)) for i, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def _text(value: Any) -> str:
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
