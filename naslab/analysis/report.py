"""The report: one HTML page that needs nothing else, and every table and figure as files for a paper."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from naslab.analysis.contents import Picture, Section, Table, runs_section, sections
from naslab.analysis.data import ResultsData
from naslab.analysis.formats import is_numeric, to_csv, to_latex, to_markdown, to_text
from naslab.analysis.front_contents import front_sections
from naslab.analysis.style import palette, render
from naslab.analysis.svg import inline
from naslab.errors import OutputError
from naslab.files import reason, remove_abandoned, written_whole

# The seed of the bootstrap: the same runs give the same report, to the byte.
SEED = 0


def write_report(
    data: ResultsData,
    folder: Path,
    title: str,
    command: str,
    environment: Mapping[str, str],
    notes: Sequence[str],
    extra_tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
) -> Path:
    """Write ``report.html``, ``tables/*.{csv,md,tex}`` and ``figures/*.{svg,pdf,png}`` into a folder.

    `command` reproduces the runs; `environment` names versions and the machine; `notes` are sentences the
    reader must know; `extra_tables` are (title, frame, caption). Each file is replaced whole or not at all,
    the page last. Returns the path of the page. Errors: OutputError where the folder can't be written.
    """
    content = [*sections(data, SEED, extra_tables), *front_sections(data), runs_section(data)]
    return write_page(content, folder, title, command, environment, notes, data.optimizers)


def write_page(
    content: Sequence[Section],
    folder: Path,
    title: str,
    command: str,
    environment: Mapping[str, str],
    notes: Sequence[str],
    optimizers: Sequence[str] = (),
) -> Path:
    """Write sections as a page, and their tables and figures as files; arguments as :func:`write_report`.

    `optimizers` are named in the page's legend, and their rows and curves carry their numbers. Drafts that a killed
    report has left are removed.
    """
    for each in (folder, folder / "tables", folder / "figures"):
        remove_abandoned(each)
    names = _Names()
    shown = [_section(section, names, optimizers, folder) for section in content]
    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(files("naslab.analysis").joinpath("report.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        title=title,
        command=command,
        environment=environment,
        notes=notes,
        sections=shown,
        legend=[(name, style) for name, style in palette(optimizers).items()],
    )
    return _write(folder / "report.html", page.encode(errors="replace"))


def _section(section: Section, names: _Names, optimizers: Sequence[str], folder: Path) -> dict[str, Any]:
    """The section for the template: each table by itself, consecutive figures together in a grid."""
    blocks: list[dict[str, Any]] = []
    for is_table, items in groupby(section.items, lambda item: isinstance(item, Table)):
        shown = [
            _table(item, names.give("table", item.name), optimizers, folder)
            if isinstance(item, Table)
            else _picture(item, names.give("figure", item.name), folder)
            for item in items
        ]
        blocks.append({"tables": shown if is_table else [], "pictures": [] if is_table else shown})
    anchor = names.give("section", section.title)
    return {"id": anchor, "title": section.title, "says": section.says, "blocks": blocks}


def _table(table: Table, name: str, optimizers: Sequence[str], folder: Path) -> dict[str, Any]:
    for kind, content in (
        ("csv", to_csv(table.frame)),
        ("md", to_markdown(table.frame)),
        ("tex", to_latex(table.frame)),
    ):
        _write(folder / "tables" / f"{name}.{kind}", content.encode(errors="replace"))
    text = to_text(table.frame)
    numeric = is_numeric(table.frame)
    number = {optimizer: place for place, optimizer in enumerate(optimizers)}
    rows = []
    for place in range(len(text)):
        cells = []
        for column, is_number in zip(text.columns, numeric, strict=True):
            raw = table.frame[column.removesuffix(" [95 %]")].iloc[place]
            sort = "" if not is_number or pd.isna(raw) else repr(float(raw))
            cells.append({"text": text[column].iloc[place], "sort": sort, "number": is_number})
        owner = str(table.frame["optimizer"].iloc[place]) if "optimizer" in table.frame.columns else ""
        rows.append({"cells": cells, "series": number.get(owner)})
    head = [{"text": column, "number": is_number} for column, is_number in zip(text.columns, numeric, strict=True)]
    return {"name": name, "title": table.title, "caption": table.caption, "head": head, "rows": rows}


def _picture(picture: Picture, name: str, folder: Path) -> dict[str, Any]:
    drawn = {kind: render(picture.figure, kind) for kind in ("svg", "pdf", "png")}
    for kind, content in drawn.items():
        _write(folder / "figures" / f"{name}.{kind}", content)
    svg = inline(drawn["svg"].decode(), name, picture.title)
    width = float(picture.figure.get_size_inches()[0])
    return {
        "name": name,
        "title": picture.title,
        "caption": picture.caption,
        "svg": Markup(svg),
        "width": width,
    }


class _Names:
    """Names for files and ids: letters, digits and dashes, never the same one twice."""

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()

    def give(self, kind: str, text: str) -> str:
        base = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or kind
        name, count = base, 1
        while (kind, name) in self._given:
            count += 1
            name = f"{base}-{count}"
        self._given.add((kind, name))
        return name


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path, sync=path.suffix == ".html") as draft:  # the page is written last
            draft.write_bytes(content)
    except OSError as error:
        raise OutputError(f"can't write {path}: {reason(error)}. Choose another folder.") from error
    return path
