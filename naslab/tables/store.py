"""Where tables live, and finding one by name."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from naslab.errors import InvalidTable, InvalidValue, UnknownTable
from naslab.tables.format import Table, open_table
from naslab.tables.packaged import packaged_tables

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def cache_folder() -> Path:
    """naslab's folder in the user's cache; the environment variable ``NASLAB_CACHE`` names another.

    Raises InvalidValue where the user has no home folder, and no variable names one.
    """
    try:
        return _cache_folder()
    except RuntimeError:  # how Python says that it knows no home folder
        raise InvalidValue(
            "naslab's cache has no place: this user has no home folder. Fix: set NASLAB_CACHE to a folder that can be "
            "written"
        ) from None


def _cache_folder() -> Path:
    if chosen := os.environ.get("NASLAB_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "naslab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "naslab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "naslab"


def table_path(name: str) -> Path:
    """The folder of the table of this name, whether or not it exists.

    Raises InvalidValue for a bad name, or for the name of a table in the package.
    """
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"table name {name!r}. Allowed: a-z and 0-9, and after the first character also '.', '_' and '-'"
        )
    if name in packaged_tables():
        raise InvalidValue(f"table name {name!r} belongs to a table that comes with naslab: choose another")
    return _tables_folder() / name


def table_names() -> list[str]:
    """Names that :func:`find_table` knows, sorted: the stored tables and the packaged ones."""
    return sorted({*packaged_names(), *_stored_names()})


def packaged_names() -> set[str]:
    """Names of the tables that need no import."""
    return set(packaged_tables())


def imported_names() -> list[str]:
    """Names of the tables that somebody stored, sorted."""
    return sorted(_stored_names() - packaged_names())


def find_table(name: str) -> Table:
    """Open the stored table ``name``; a packaged one is stored when first asked for.

    Raises UnknownTable for a name that nothing is stored under, InvalidTable for a damaged table.
    """
    known = table_names()
    if name not in known:
        raise UnknownTable(name, known, see="naslab table import --help")
    packaged = packaged_tables().get(name)
    if packaged is not None:
        # Another version of naslab, or of the package that ships its numbers, has a folder of its own.
        folder = cache_folder() / "packaged" / f"{name}-{packaged.origin()}"
        return open_table(folder) if folder.exists() else packaged.build(folder)
    path = table_path(name)
    table = open_table(path)
    if table.name != name:
        raise InvalidTable(f"'{path}' holds the table {table.name!r}. Fix: rename the folder to the table's name")
    return table


def _stored_names() -> set[str]:
    folder = _tables_folder()
    stored = folder.iterdir() if folder.is_dir() else ()
    # Folders being written have names that start with a dot.
    return {path.name for path in stored if path.is_dir() and _NAME.fullmatch(path.name)}


def _tables_folder() -> Path:
    return cache_folder() / "tables"
