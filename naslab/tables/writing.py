"""Writing a table: whole or not at all, also when two processes write the same one at once."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from naslab.errors import InvalidTable, OutputError
from naslab.files import sync_folder
from naslab.tables.drafts import OLD, draft_folder
from naslab.tables.format import HEADER, Table, file_sha256, open_table
from naslab.tables.header import Header, TableSpec, content_hash

KEYS = "keys.npy"


def write_table(
    path: Path | str,
    spec: TableSpec,
    architectures: ArrayLike,
    columns: Mapping[str, ArrayLike],
    *,
    keys: NDArray[np.uint8] | None = None,
    replace: bool = False,
) -> Table:
    """Store a table in the folder ``path`` and open it.

    ``architectures`` is ``(N, C)`` option indices, all different; ``columns`` maps each column's name to its
    ``(N, max(1, epochs), seeds)`` numbers, NaN where not recorded; ``keys`` are those of
    :func:`~naslab.tables.keys.row_keys`. The version of naslab is added to the provenance. An
    existing table of the same content is kept; one of other content raises InvalidTable unless ``replace``. Raises
    OutputError where the folder can't be written; nothing is left behind then. What a process left behind that was
    killed while it wrote this table is removed.
    """
    path = Path(path)
    arrays = _checked(spec, architectures, columns) | ({} if keys is None else {KEYS: keys})
    try:
        with draft_folder(path) as draft:
            header = _write_files(draft, spec, arrays)
            _move(draft, path, header.sha256, replace)
    except OSError as error:
        raise OutputError(
            f"'{path}' can't be written: {error.strerror or error}. "
            "Fix: make room, or set NASLAB_CACHE to a folder that can be written"
        ) from None
    return open_table(path)


def _checked(spec: TableSpec, architectures: ArrayLike, columns: Mapping[str, ArrayLike]) -> dict[str, NDArray[Any]]:
    """The arrays under their file names, with the types of the format."""
    rows = np.asarray(architectures)
    if rows.ndim != 2 or rows.shape[1] != len(spec.options) or not len(rows):
        expected = f"(N, {len(spec.options)})"
        raise InvalidTable(f"table {spec.name!r}: architectures of shape {rows.shape}, not {expected}")
    if (rows < 0).any() or (rows >= np.asarray(spec.options)).any():
        raise InvalidTable(f"table {spec.name!r}: an option index is outside the options {spec.options}")
    if len(np.unique(rows, axis=0)) < len(rows):
        raise InvalidTable(f"table {spec.name!r}: an architecture has two rows")
    if set(columns) != {column.name for column in spec.columns}:
        raise InvalidTable(f"table {spec.name!r}: the arrays are not those of the columns that are described")
    arrays: dict[str, NDArray[Any]] = {"architectures.npy": np.ascontiguousarray(rows, np.uint8)}
    for column in spec.columns:
        values = np.ascontiguousarray(columns[column.name], np.float64)
        if values.shape != (len(rows), *column.depth) or np.isinf(values).any():
            raise InvalidTable(
                f"table {spec.name!r}, column {column.name!r}: shape {values.shape} or an infinite value; "
                f"expected finite {(len(rows), *column.depth)}, NaN where not recorded"
            )
        if column.is_time and (values < 0).any():
            raise InvalidTable(f"table {spec.name!r}, column {column.name!r}: negative seconds. Time is never negative")
        if _file_name(column.name) in {*arrays, KEYS}:
            raise InvalidTable(f"table {spec.name!r}: a column can't be called {column.name!r}. Fix: state a dataset")
        arrays[_file_name(column.name)] = values
    return arrays


def _file_name(column: str) -> str:
    return column.replace("/", "+") + ".npy"


def _write_files(folder: Path, spec: TableSpec, arrays: Mapping[str, NDArray[Any]]) -> Header:
    stored = {}
    for name, array in arrays.items():
        with (folder / name).open("wb") as stream:
            np.save(stream, array, allow_pickle=False)
            stream.flush()
            os.fsync(stream.fileno())
        stored[name] = {
            "file": name,
            "sha256": file_sha256(folder / name),
            "shape": array.shape,
            "dtype": str(array.dtype),
        }
    raw: dict[str, Any] = {"format": 1, **_stated(spec)}
    raw["architectures"] = stored["architectures.npy"]
    if KEYS in stored:
        raw["keys"] = stored[KEYS]
    raw["columns"] = [{**column.model_dump(), **stored[_file_name(column.name)]} for column in spec.columns]
    raw["provenance"] = {**spec.provenance, "naslab": version("naslab")}
    raw = json.loads(json.dumps(raw))  # as it will be read: tuples are lists
    raw["sha256"] = content_hash(raw)
    with (folder / HEADER).open("w", encoding="utf-8") as stream:
        json.dump(raw, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    folder.chmod(0o755)  # mkdtemp's 0700 would hide a shared cache from its other users
    sync_folder(folder)
    return Header.model_validate(raw)


def _stated(spec: TableSpec) -> dict[str, Any]:
    """A table without what was added to the format later and is not used: hashes of older tables stay as they are."""
    fields = TableSpec.model_fields
    later = ("curve", "protocol", "choices", "rules", "builder")
    unused = {name for name in later if getattr(spec, name) == fields[name].default}
    whole: dict[str, Any] = spec.model_dump(exclude=unused)
    for task in whole["tasks"].values():
        for name in ("dataset", "guess"):
            if task[name] is None:
                del task[name]
    return whole


def _move(draft: Path, path: Path, sha256: str, replace: bool) -> None:
    """Give the finished folder its name. Renaming onto a full folder fails: the first process wins."""
    while True:
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():
                raise
        else:
            sync_folder(path.parent)
            return
        if not (path / HEADER).is_file():
            raise InvalidTable(f"'{path}' exists and is not a table. Fix: choose another name")
        if not replace:
            if open_table(path).sha256 == sha256:
                return
            raise InvalidTable(
                f"'{path}' already holds another table. Fix: choose another name, or move that folder away first"
            )
        # A folder can't be exchanged in one step portably: for a moment the name is free.
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            path.rename(aside / OLD)
        except FileNotFoundError:
            pass  # another process was quicker
        finally:
            shutil.rmtree(aside, ignore_errors=True)
