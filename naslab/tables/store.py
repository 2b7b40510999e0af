"""Where tables live, and finding one by name."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from naslab.errors import InvalidTable, InvalidValue, UnknownTable
from naslab.tables.format import Table, open_table
from naslab.tables.packaged import NAME as PACKAGED
from naslab.tables.packaged import build_packaged

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def cache_folder() -> Path:
    """naslab's folder in the user's cache; the environment variable ``NASLAB_CACHE`` names another."""
    if chosen := os.environ.get("NASLAB_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "naslab"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "naslab"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "naslab"


def table_path(name: str) -> Path:
    """The folder of the table of this name, whether or not it exists. Raises InvalidValue for a bad name."""
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"table name {name!r}. Allowed: a-z and 0-9, and after the first character also '.', '_' and '-'"
        )
    return _tables_folder() / name


def table_names() -> list[str]:
    """Names that :func:`find_table` knows, sorted: the stored tables and the packaged one."""
    folder = _tables_folder()
    stored = folder.iterdir() if folder.is_dir() else ()
    # Folders being written have names that start with a dot.
    return sorted({PACKAGED, *(path.name for path in stored if path.is_dir() and _NAME.fullmatch(path.name))})


def find_table(name: str) -> Table:
    """Open the stored table ``name``; the packaged ``nasbench201`` is built when first asked for.

    Raises UnknownTable for a name that nothing is stored under, InvalidTable for a damaged table.
    """
    known = table_names()
    if name not in known:
        raise UnknownTable(name, known, see="naslab table import --help")
    path = table_path(name)
    if name == PACKAGED and not path.exists():
        return build_packaged(path)
    table = open_table(path)
    if table.name != name:
        raise InvalidTable(f"'{path}' holds the table {table.name!r}. Fix: rename the folder to its own name")
    return table


def _tables_folder() -> Path:
    return cache_folder() / "tables"
