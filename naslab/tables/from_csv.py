"""Importing a file (CSV, JSON, Parquet) whose columns a TOML schema describes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from naslab.errors import InvalidArchitecture, InvalidTable
from naslab.files import clipped, read_number
from naslab.space import SearchSpace
from naslab.tables.builders import allow, built_space, named_builder
from naslab.tables.format import Floats, Table
from naslab.tables.header import MOST_OPTIONS, ColumnSpec, TableSpec
from naslab.tables.keys import check_agreement, row_keys
from naslab.tables.patterns import architecture_columns
from naslab.tables.rows import Lines, is_missing, positions, read_bytes, read_rows
from naslab.tables.schema import CsvSchema, check_schema, load_schema
from naslab.tables.spaces import table_space
from naslab.tables.spreading import spread_out
from naslab.tables.store import table_path
from naslab.tables.writing import write_table


def import_csv(csv_path: Path | str, schema_path: Path | str, name: str) -> Table:
    """Store a file (``.csv``, ``.json``, ``.parquet``; ``.gz`` too) as the table ``name``; see its
    :mod:`~naslab.tables.schema`.

    An empty cell, or ``NaN`` among numbers, is a missing value. Columns that share dataset, metric and split become one
    table column with several epochs and seeds. Raises InvalidTable in one line, with nothing written, for a missing
    column, a repeated or invalid architecture, two rows of isomorphic cells that disagree
    (:mod:`~naslab.tables.keys`), a value that is not a finite number (row numbers count from 1, the header being row 1)
    or that is a negative number of seconds, an empty file, a file that is no CSV, or another table of this name.
    """
    target = table_path(name)
    path = Path(csv_path)
    stated, data = read_bytes(Path(schema_path)), read_bytes(path)
    schema, header, lines = read_described(path, data, schema_path)
    _positions(path, header, schema)  # a missing column is named before a space is built
    if not schema.tasks:
        raise InvalidTable(f"schema '{schema_path}': key 'tasks' is missing")
    builder = named_builder(schema.space or "", Path(schema_path))
    for task in schema.tasks.values():
        # Raises now if the space refuses its options.
        if builder is not None:
            space = built_space(builder, task.space_options)
        else:
            space = table_space(schema.space or name, schema.stated_choices, schema.rules, task.space_options)
        space.require_choices("a table")
        for choice in space.choices:
            if len(choice.options) > MOST_OPTIONS:
                raise InvalidTable(
                    f"choice {choice.name!r} of space {space.name!r} has {len(choice.options)} options; a table holds "
                    f"at most {MOST_OPTIONS} of each"
                )
    recorded = read_columns(path, header, lines, schema, space)
    keys = row_keys(space, recorded.architectures)
    if keys is not None:
        own_keys = type(space).lookup_key is not SearchSpace.lookup_key
        numbers = [row for row, _ in lines]
        check_agreement(path, numbers, keys, recorded.columns, recorded.arrays, one_training=own_keys)
    table = TableSpec(
        name=name,
        space=schema.space or name,
        builder=builder,
        options=tuple(space.sizes),
        choices=schema.stated_choices,
        rules=schema.rules,
        columns=recorded.columns,
        tasks=schema.table_tasks(),
        curve=schema.curve,
        protocol=schema.protocol,
        provenance={
            "source": schema.provenance,
            "files": {
                path.name: hashlib.sha256(data).hexdigest(),
                Path(schema_path).name: hashlib.sha256(stated).hexdigest(),
            },
        },
    )
    stored = write_table(target, table, recorded.architectures, recorded.arrays, keys=keys)
    if builder is not None:
        allow(builder)
    return stored


def read_described(path: Path, data: bytes, schema_path: Path | str) -> tuple[CsvSchema, list[str], Lines]:
    """The schema of a file, its columns, and its rows: one per architecture. Raises InvalidTable."""
    header, lines = read_rows(path, data)
    raw = load_schema(schema_path)
    if by := raw.get("spread"):
        keys = architecture_columns(raw, header)
        if not isinstance(by, list) or not all(isinstance(name, str) for name in by):
            raise InvalidTable(f"schema '{schema_path}': spread = {by!r}. Needed: a list of columns")
        header, lines = spread_out(path, header, lines, keys, by)
    return check_schema(schema_path, raw, header), header, lines


@dataclass(frozen=True)
class Recorded:
    """What a file holds: ``(N, C)`` option indices, and each column of a table with its numbers."""

    architectures: NDArray[np.int64]
    columns: tuple[ColumnSpec, ...]
    arrays: dict[str, Floats]


def read_columns(path: Path, header: list[str], lines: Lines, schema: CsvSchema, space: SearchSpace) -> Recorded:
    """The rows of a file as its schema describes them. Raises InvalidTable as :func:`import_csv`."""
    places = _positions(path, header, schema)
    architectures = _architectures(path, lines, [places[key] for key in schema.keys], schema, space)
    specs = schema.table_columns()
    arrays = {spec.name: np.full((len(lines), *spec.depth), np.nan) for spec in specs}
    axes = {spec.name: spec for spec in specs}
    for column in schema.columns:
        spec = axes[column.target]
        epoch = spec.epochs.index(column.epochs) if column.epochs is not None else 0
        values = _numbers(path, lines, column.column, places[column.column], never_negative=spec.is_time)
        arrays[spec.name][:, epoch, spec.seeds.index(column.seed)] = values
    return Recorded(architectures, specs, arrays)


def _positions(path: Path, header: list[str], schema: CsvSchema) -> dict[str, int]:
    return positions(path, header, [*schema.keys, *(column.column for column in schema.columns)])


def _architectures(
    path: Path, lines: Lines, positions: list[int], schema: CsvSchema, space: SearchSpace
) -> NDArray[np.int64]:
    """(N, C) option indices. Equal architectures are found after parsing, so spelling does not matter."""
    rows: dict[tuple[int, ...], int] = {}
    option = [cache(choice.index) for choice in schema.choices]
    for row, cells in lines:
        written = [cells[position] for position in positions]
        try:
            if option:
                options = tuple([index(cell) for index, cell in zip(option, written, strict=True)])
                architecture = space.architecture(options) if space.rules else options
            else:
                architecture = space.from_string(written[0])
        except (InvalidArchitecture, InvalidTable) as error:
            raise InvalidTable(f"'{path}' row {row}: {error}") from None
        if architecture in rows:
            given = ", ".join(map(repr, written))
            raise InvalidTable(f"'{path}' row {row}: architecture {given} is already in row {rows[architecture]}")
        rows[architecture] = row
    return np.array(list(rows), np.int64)


def _numbers(path: Path, lines: Lines, column: str, position: int, *, never_negative: bool) -> list[float]:
    values = []
    for row, cells in lines:
        if is_missing(cells[position]):
            values.append(np.nan)
            continue
        value = read_number(cells[position])
        if value is None:
            given, decimal = clipped(cells[position]), read_number(cells[position].replace(",", ".", 1)) is not None
            allowed = "a point begins decimals" if decimal else "a missing one is an empty cell"
            raise InvalidTable(f"'{path}' row {row}, column {column!r}: {given} is not a finite number; {allowed}")
        if never_negative and value < 0:
            raise InvalidTable(
                f"'{path}' row {row}, column {column!r}: {cells[position]} seconds. Time is never negative: correct "
                "the cell, or describe the column otherwise in the schema"
            )
        values.append(value)
    return values
