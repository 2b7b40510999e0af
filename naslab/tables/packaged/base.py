"""What every packaged table is: a description that needs no data, and a way to read what a package ships."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.tables.format import Table
from naslab.tables.header import TableSpec
from naslab.tables.writing import write_table


class Content(NamedTuple):
    """What was read of a package: rows, columns by name, and what the provenance says of the files."""

    architectures: npt.NDArray[np.uint8]
    columns: Mapping[str, npt.NDArray[np.float64]]
    source: Mapping[str, Any]


@dataclass(frozen=True)
class Packaged:
    """A table that needs no import: it is made when first asked for.

    Attributes:
        name: Of the table.
        origin: Of which version of what it is made, and in which way: names the folder that keeps it, so that another
            version of naslab or of the package never finds this one's.
        describe: All of the table but its numbers, without reading any.
        read: The numbers.
        rows: How many architectures it has; None: every combination of options.
    """

    name: str
    origin: Callable[[], str]
    describe: Callable[[], TableSpec]
    read: Callable[[], Content]
    rows: int | None = None

    @property
    def size(self) -> int:
        """How many architectures it has."""
        return math.prod(self.describe().options) if self.rows is None else self.rows

    def build(self, path: Path) -> Table:
        """Write the table to the folder ``path``. Safe when several processes do it at once.

        Raises:
            InvalidTable: The package is not installed, or what it ships is damaged.
        """
        content, spec = self.read(), self.describe()
        provenance = {**spec.provenance, **content.source}
        whole = spec.model_copy(update={"provenance": provenance})
        return write_table(path, whole, content.architectures, content.columns)


def package_folder(module: str, table: str, fix: str) -> Path:
    """Where a package's files are; it is not imported.

    Raises:
        InvalidTable: It is not installed; names the table that needs it, and the fix.
    """
    found = find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise InvalidTable(f"the table {table!r} needs a package that is missing. Fix: {fix}")
    return Path(found.submodule_search_locations[0])
