"""Files with several rows for one architecture (a row per training, say), as one row for each.

With ``spread = ["dataset", "seed"]`` in the schema, the column ``acc`` of the rows in which these two are ``pets`` and
``0`` becomes the column ``pets/0/acc``. A combination that an architecture lacks is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from naslab.errors import InvalidTable
from naslab.tables.rows import Lines, positions


def spread_out(
    path: Path, header: list[str], lines: Lines, keys: Sequence[str], by: Sequence[str]
) -> tuple[list[str], Lines]:
    """One row per architecture, under the number of its first row.

    Args:
        path: Of the file, for messages.
        header: Its columns.
        lines: Its rows.
        keys: The columns that say which architecture a row is about.
        by: Those that tell its rows apart.

    Raises:
        InvalidTable: A column is missing, empty in a row or has a ``/`` there, or two rows are about the same.
    """
    place = positions(path, header, [*keys, *by, *header])
    rest = [name for name in header if name not in {*keys, *by}]
    columns: dict[str, None] = {}
    found: dict[tuple[str, ...], tuple[int, dict[str, str]]] = {}
    seen: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
    for row, cells in lines:
        about, here = (tuple(cells[place[name]].strip() for name in names) for names in (keys, by))
        for name, value in zip(by, here, strict=True):
            if not value or "/" in value:
                raise InvalidTable(f"'{path}' row {row}: {name!r} is {value!r}; needed: a text without '/'")
        if (about, here) in seen:
            which = ", ".join(f"{name} {value}" for name, value in zip(by, here, strict=True))
            raise InvalidTable(
                f"'{path}' rows {seen[about, here]} and {row} are both about {', '.join(about)} with {which}. "
                "Fix: leave one out, or name in spread what tells them apart"
            )
        seen[about, here] = row
        values = found.setdefault(about, (row, {}))[1]
        for name in rest:
            values["/".join((*here, name))] = cells[place[name]]
        columns |= dict.fromkeys("/".join((*here, name)) for name in rest)
    whole = [(row, [*about, *(values.get(name, "") for name in columns)]) for about, (row, values) in found.items()]
    return [*keys, *columns], whole
