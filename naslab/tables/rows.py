"""The rows of a person's file, as texts: CSV (perhaps compressed), JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from naslab.errors import InvalidTable
from naslab.files import decompress, read_json, unreadable

Lines: TypeAlias = list[tuple[int, list[str]]]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises InvalidTable where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidTable(unreadable(path, error)) from None


def read_rows(path: Path, data: bytes) -> tuple[list[str], Lines]:
    """The names of the columns, and every row with its number; what is missing is an empty text.

    A CSV's rows count from 1, the header being row 1. JSON is a list of objects, or an object of objects by
    architecture, whose column is then called ``architecture``; objects in objects are columns such as ``a/b``. Raises
    InvalidTable, naming file and row.
    """
    name = path.name.removesuffix(".gz")
    try:
        if path.suffix == ".gz":
            data = decompress(data, "gzip")
        if name.endswith(".json"):
            return _json_rows(path, data)
        if name.endswith(".parquet"):
            return _parquet_rows(path, data)
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (ValueError, RecursionError, csv.Error) as error:  # what decompressing and decoding raise
        kind = {"json": "JSON", "parquet": "Parquet"}.get(name.rpartition(".")[2], "CSV")
        raise InvalidTable(f"'{path}' is not a {kind} file ({error})") from None
    if len(lines) < 2:
        raise InvalidTable(f"'{path}' is empty: {'a header but no rows' if lines else 'no header'}")
    header = lines.pop(0)[1]
    for row, cells in lines:
        if len(cells) != len(header):
            raise InvalidTable(f"'{path}' row {row}: {len(cells)} fields, but the header has {len(header)}")
    return header, lines


def parsed_json(path: Path, data: bytes) -> Any:
    """What a JSON file holds. Raises InvalidTable where it is none."""
    try:
        return read_json(data)
    except ValueError as error:
        raise InvalidTable(f"'{path}' is not JSON ({error})") from None


def _json_rows(path: Path, data: bytes) -> tuple[list[str], Lines]:
    records = json.loads(data)
    if isinstance(records, dict):
        records = [{"architecture": key, **each} if isinstance(each, dict) else each for key, each in records.items()]
    if not isinstance(records, list) or not records:
        raise InvalidTable(f"'{path}' is no list of objects, or object of objects, one per architecture")
    flat = []
    for row, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise InvalidTable(f"'{path}' row {row}: no object of columns and values")
        flat.append(dict(_flat("", record)))
    header = list(dict.fromkeys(name for record in flat for name in record))
    return header, [(row, [record.get(name, "") for name in header]) for row, record in enumerate(flat, start=1)]


def _flat(prefix: str, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for key, value in record.items():
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
    columns = [[_text(value) for value in frame[name].tolist()] for name in frame]
    if not columns or not columns[0]:
        raise InvalidTable(f"'{path}' is empty")
    return [str(name) for name in frame], [
        (i, list(cells)) for i, cells in enumerate(zip(*columns, strict=True), start=1)
    ]


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
