"""The official files that are read, by the names that ``--format`` takes. Each says how it is read in its own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from naslab.errors import UnknownName
from naslab.tables.format import Table
from naslab.tables.importers.from_nasbench101 import SUB_SPACES, import_nasbench101
from naslab.tables.importers.from_nasbench_macro import import_nasbench_macro
from naslab.tables.importers.from_nats import import_nats
from naslab.tables.importers.from_transnas import KINDS
from naslab.tables.importers.hw_nas_bench import read_hw_nas_bench
from naslab.tables.importers.suite_zero import read_suite_zero
from naslab.tables.importers.tfrecord import Reached
from naslab.tables.joining import Addition


class Importer(Protocol):
    """Stores a file, or a folder of files, as the table of a name."""

    def __call__(self, path: Path | str, name: str, progress: Reached | None = None) -> Table: ...


IMPORTED: Mapping[str, Importer] = {
    "nasbench101": import_nasbench101,
    **{f"nasbench1shot1-{number}": importer for number, importer in SUB_SPACES.items()},
    "nats": import_nats,
    **{f"transnas-{kind}": importer for kind, importer in KINDS.items()},
    "nasbench-macro": import_nasbench_macro,
}
"""Files that become a table of their own."""

JOINED: Mapping[str, Callable[[Table, Path | str], Addition]] = {
    "hw-nas-bench": read_hw_nas_bench,
    "nas-bench-suite-zero": read_suite_zero,
}
"""Files whose columns are joined to a table."""


def importer(name: str) -> Importer:
    """The importer of a format. Raises UnknownName, which lists them."""
    if name in JOINED:
        raise UnknownName(name, IMPORTED, of="formats", see=f"naslab table join TABLE FILE --format {name}")
    if name not in IMPORTED:
        raise UnknownName(name, IMPORTED, of="formats")
    return IMPORTED[name]


def addition(name: str, table: Table, path: Path | str) -> Addition:
    """What a file of a format adds to a table. Raises UnknownName, which lists the formats, and what reading raises."""
    if name in IMPORTED:
        raise UnknownName(name, JOINED, of="formats", see=f"naslab table import FILE --format {name}")
    if name not in JOINED:
        raise UnknownName(name, JOINED, of="formats")
    return JOINED[name](table, path)
