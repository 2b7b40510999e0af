"""Joining further columns to a table by architecture: costs of devices, scores that somebody else computed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable, InvalidValue
from naslab.space import SearchSpace
from naslab.tables.format import Floats, Table
from naslab.tables.from_csv import Recorded, read_columns, read_described
from naslab.tables.header import ColumnSpec, TableSpec
from naslab.tables.rows import read_bytes
from naslab.tables.spaces import stated_space
from naslab.tables.store import packaged_names, table_path
from naslab.tables.writing import write_table


@dataclass(frozen=True)
class Addition:
    """What a file adds: its rows, and where they come from (as the table's provenance states it)."""

    recorded: Recorded
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Joined:
    """A table with what was joined to it.

    Attributes:
        table: The new table.
        partners: How many architectures of the old one have a row in the file.
        rows: How many there were.
        strangers: How many rows of the file are about architectures that the table lacks; they are left out.
    """

    table: Table
    partners: int
    rows: int
    strangers: int


def read_addition(table: Table, path: Path | str, schema_path: Path | str) -> Addition:
    """The rows of a CSV, JSON or Parquet file that a schema without tasks describes.

    Raises:
        InvalidTable: The file or its schema is wrong, or the schema is about another space.
    """
    path, schema_path = Path(path), Path(schema_path)
    stated, data = read_bytes(schema_path), read_bytes(path)
    schema, header, lines = read_described(path, data, schema_path)
    if schema.tasks:
        raise InvalidTable(f"schema '{schema_path}': a join adds columns, and no tasks. Fix: leave [tasks] out")
    space = space_of(table)
    if (schema.space or table.space, schema.stated_choices) != (table.space, table.header.choices):
        raise InvalidTable(
            f"schema '{schema_path}' is about {schema.space or 'other choices'!r}; table {table.name!r} holds "
            f"architectures of {table.space!r}"
        )
    files = {path.name: hashlib.sha256(data).hexdigest(), schema_path.name: hashlib.sha256(stated).hexdigest()}
    recorded = read_columns(path, header, lines, schema, space)
    return Addition(recorded, {"source": schema.provenance, "files": files})


def space_of(table: Table) -> SearchSpace:
    """The whole space that a table's architectures are of."""
    options = next(iter(table.tasks.values())).space_options if table.tasks else {}
    return stated_space(table.header, options)


def join(table: Table, added: Addition, name: str | None = None, *, complete: bool = False) -> Joined:
    """Store a table with further columns: a new version, whose hash differs.

    An architecture's partner is the row about the same one, else a row about one of the same key (isomorphic cells).
    Architectures without a partner have missing values. The old columns stay what they were; the provenance lists what
    was joined, and the hash of the table that it was joined to, which older traces name.

    Args:
        table: The table.
        added: What is added.
        name: What the new table is called; by default as the old one, whose place it takes. A table that comes with
            naslab keeps its place.
        complete: Keep only the architectures for which every joined number is there.

    Raises:
        InvalidTable: A column is there already; no row has a partner; two rows of one key disagree; or another table
            has the name. Nothing is changed then.
        InvalidValue: The old table comes with naslab, and no name was given.
    """
    if name in (None, table.name) and table.name in packaged_names():
        raise InvalidValue(f"table {table.name!r} comes with naslab and stays as it is. Fix: --name NEW")
    target = table_path(name or table.name)
    replace = name in (None, table.name)
    for column in added.recorded.columns:
        if column.name in table.columns:
            raise InvalidTable(f"table {table.name!r} already has a column {column.name!r}")
    row_of = _partners(table, added.recorded)
    strangers = len(added.recorded.architectures) - len(set(row_of[row_of >= 0].tolist()))
    partners = int((row_of >= 0).sum())
    joined = {each: _taken(values, row_of) for each, values in added.recorded.arrays.items()}
    kept = np.ones(len(table), np.bool_)
    if complete:
        for values in joined.values():
            kept &= ~np.isnan(values).any(axis=(1, 2))
    if not partners or not kept.any():
        raise InvalidTable(
            f"no architecture of table {table.name!r} has "
            f"{'every number' if partners else 'a row'} in {', '.join(added.provenance['files'])}"
        )
    columns = {each: old.values for each, old in table.columns.items()} | joined
    spec = _described(table, added, target.name, complete)
    stored = {each: values[kept] for each, values in columns.items()}
    written = write_table(target, spec, table.architectures[kept], stored, replace=replace)
    return Joined(written, partners, len(table), strangers)


def _partners(table: Table, recorded: Recorded) -> npt.NDArray[np.int64]:
    """``(N,)``: the file's row for each of the table's, -1 where there is none."""
    rows = {tuple(options): i for i, options in enumerate(recorded.architectures.tolist())}
    ours = [tuple(options) for options in table.architectures.tolist()]
    found = np.array([rows.get(architecture, -1) for architecture in ours], np.int64)
    lone = np.flatnonzero(found < 0).tolist()
    spare = rows.keys() - set(ours)
    if lone and spare:  # keys take time
        space = space_of(table)
        by_key: dict[str, int] = {}
        for architecture in spare:
            i = rows[architecture]
            other = by_key.setdefault(space.lookup_key(architecture), i)
            if not all(np.array_equal(each[i], each[other], equal_nan=True) for each in recorded.arrays.values()):
                first, second = (space.to_string(tuple(recorded.architectures[row].tolist())) for row in (other, i))
                raise InvalidTable(f"{first!r} and {second!r} are isomorphic, but their rows in the file disagree")
        for row in lone:
            found[row] = by_key.get(space.lookup_key(ours[row]), -1)
    return found


def _taken(values: Floats, row_of: npt.NDArray[np.int64]) -> Floats:
    taken = values[row_of]
    taken[row_of < 0] = np.nan
    return taken


def _described(table: Table, added: Addition, name: str, complete: bool) -> TableSpec:
    old = {field: getattr(table.header, field) for field in TableSpec.model_fields}
    columns = tuple(
        ColumnSpec(**{field: getattr(each, field) for field in ColumnSpec.model_fields})
        for each in table.header.columns
    )
    record = {
        **added.provenance,
        "columns": [spec.name for spec in added.recorded.columns],
        "onto": table.sha256,
        **({"complete": True} if complete else {}),
    }
    provenance = {**table.provenance, "joined": [*table.provenance.get("joined", ()), record]}
    return TableSpec(**{**old, "name": name, "columns": (*columns, *added.recorded.columns), "provenance": provenance})
