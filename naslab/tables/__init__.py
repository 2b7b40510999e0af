"""Stored ground truth: the format of a table, where tables are stored, and how they are imported.

A table is a folder of plain ``.npy`` arrays and a JSON header (:mod:`naslab.tables.format`). Tables come from packages
that are installed (:mod:`~naslab.tables.packaged`), from a CSV with a TOML schema (:mod:`~naslab.tables.from_csv`)
or from official NATS-Bench records (:mod:`~naslab.tables.from_nats`), and are found by name
(:mod:`~naslab.tables.store`). This wing only reads and writes what was recorded; a task says how a search uses it.
"""

from naslab.tables.format import Table, open_table
from naslab.tables.header import Reading
from naslab.tables.store import cache_folder, find_table, imported_names, packaged_names, table_names

__all__ = [
    "Reading",
    "Table",
    "cache_folder",
    "find_table",
    "imported_names",
    "open_table",
    "packaged_names",
    "table_names",
]
