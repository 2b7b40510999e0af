"""Spaces that a person's own code builds: ``space = "./file.py:function"`` in a schema.

A table stores the file's path and its SHA-256. Nothing that came from elsewhere runs: the file runs only where a table
was imported with it, as it was then, and which these were is kept beside the tables, not in them. A table that was
copied from elsewhere, or whose file has changed, is refused.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from naslab.errors import FOREIGN, InvalidTable, PluginError
from naslab.files import unreadable, written_whole
from naslab.registry import called
from naslab.space import SearchSpace
from naslab.tables.header import Builder
from naslab.tables.messages import nearest
from naslab.tables.store import cache_folder

KNOWN = "builders.txt"
"""In the cache folder, a line for each that was imported with: SHA-256, path and function."""


def named_builder(space: str, schema: Path) -> Builder | None:
    """The builder that a schema's ``space`` names, relative to the schema's file; None where it names a space.

    Raises:
        InvalidTable: The file can't be read, or no function is named.
    """
    written, _, function = space.rpartition(":")
    if not written.endswith(".py"):
        if space.endswith(".py"):
            raise InvalidTable(f"space {space!r}: say which function of the file builds it, {space}:FUNCTION")
        return None
    file = (schema.parent / written).resolve()
    return Builder(file=str(file), function=function, sha256=hashlib.sha256(_read(file)).hexdigest())


def allow(builder: Builder) -> None:
    """Note that a person imports with this code: it may run here as it is now."""
    file = cache_folder() / KNOWN
    known = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    if _line(builder) not in known:
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as draft:
            draft.write_text("".join(f"{line}\n" for line in (*known, _line(builder))), encoding="utf-8")


def allowed_space(builder: Builder, options: Mapping[str, Any]) -> SearchSpace:
    """The space of a stored table: that of :func:`built_space`, if somebody imported with this code here.

    Raises:
        InvalidTable: Nobody did; or as :func:`built_space`.
    """
    file = cache_folder() / KNOWN
    if not file.is_file() or _line(builder) not in file.read_text(encoding="utf-8").splitlines():
        raise InvalidTable(
            f"a table's space is built by '{builder.file}:{builder.function}', with which no table was imported here: "
            "it does not run. Fix: read that file, and import the table yourself"
        )
    return built_space(builder, options)


def built_space(builder: Builder, options: Mapping[str, Any]) -> SearchSpace:
    """The space that a builder gives with these options.

    Raises:
        InvalidTable: Its file is gone or has changed.
        PluginError: It breaks down, or gives no space.
    """
    what, file = f"{builder.file}:{builder.function}", Path(builder.file)
    if not file.is_file():
        raise InvalidTable(f"a table's space is built by '{what}', which is gone. Fix: put the file back")
    content = _read(file)
    if hashlib.sha256(content).hexdigest() != builder.sha256:
        raise InvalidTable(f"a table's space is built by '{what}', which has changed. Fix: import the table again")
    module = _module(builder.file, builder.sha256)
    function = getattr(module, builder.function, None)
    if not callable(function):
        hint = nearest(builder.function, vars(module))
        raise InvalidTable(f"'{builder.file}' has no function {builder.function!r}.{hint}")
    made = called(f"the space of '{what}' can't be built", function, **options)
    if not isinstance(made, SearchSpace):
        raise PluginError(f"'{what}' gave {type(made).__name__}, which is no naslab.SearchSpace")
    return made


def _line(builder: Builder) -> str:
    return f"{builder.sha256} {builder.file}:{builder.function}"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidTable(unreadable(file, error, "the space's file ")) from None


@cache
def _module(file: str, sha256: str) -> ModuleType:
    """The file as a module; its hash was compared."""
    module = ModuleType(f"naslab_builder_{Path(file).stem}_{sha256[:8]}")
    module.__file__ = file
    sys.modules[module.__name__] = module
    try:
        exec(compile(_read(Path(file)), file, "exec"), vars(module))
    except FOREIGN as error:
        del sys.modules[module.__name__]
        raise PluginError(f"'{file}' raises on import: {type(error).__name__}: {error}".replace("\n", " ")) from error
    return module
