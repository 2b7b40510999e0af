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

from naslab.analysis.contents import Picture, Section, Table, Words
from naslab.analysis.data import ResultsData
from naslab.analysis.formats import bold_cells, is_numeric, to_csv, to_latex, to_markdown, to_text
from naslab.analysis.sections.comparison import content
from naslab.analysis.style import palette, render, style
from naslab.analysis.svg import Sheet, axes_of, inline
from naslab.errors import InvalidValue, OutputError
from naslab.files import reason, remove_abandoned, written_whole

# The seed of the bootstrap: the same runs give the same report, to the byte.
SEED = 0
ON_DEMAND = ("pdf", "png")
"""Kinds of figures that are drawn where they are asked for; a page needs SVG alone."""


def write_report(
    data: ResultsData,
    folder: Path,
    title: str,
    command: str,
    environment: Mapping[str, str],
    notes: Sequence[str],
    extra_tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
    *,
    figures: Sequence[str] = (),
    figures_command: str = "",
) -> Path:
    """Write ``report.html``, ``tables/*.{csv,md,tex}`` and ``figures/*.svg`` into a folder.

    `command` reproduces the runs; `environment` names versions and the machine; `notes` are sentences the
    reader must know; `extra_tables` are (title, frame, caption). `figures` are further kinds of figure files,
    `figures_command` what writes them. Each file is replaced whole or not at all, the page last. Returns the path of
    the page. Errors: OutputError where the folder can't be written.
    """
    with style():
        made = content(data, SEED, extra_tables, command, environment)
        return write_page(
            made.sections, folder, title, command, environment, notes, data.optimizers,
            finding=made.finding, figures=figures, figures_command=figures_command,
        )  # fmt: skip


def write_page(
    sections: Sequence[Section],
    folder: Path,
    title: str,
    command: str,
    environment: Mapping[str, str],
    notes: Sequence[str],
    optimizers: Sequence[str] = (),
    *,
    finding: str = "",
    figures: Sequence[str] = ON_DEMAND,
    figures_command: str = "",
) -> Path:
    """Write sections as a page, and their tables and figures as files; arguments as :func:`write_report`.

    `optimizers` are named in the page's legend, and their rows and curves carry their numbers; `finding` stands on top.
    Drafts that a killed report has left are removed, and figures of kinds that are not written: they would be old.

    Raises:
        InvalidValue: A kind of figure that there is not.
        OutputError: The folder can't be written.
    """
    if unknown := [kind for kind in figures if kind not in ON_DEMAND]:
        raise InvalidValue(f"figures as {unknown[0]!r}. Allowed: {' and '.join(ON_DEMAND)}; SVG is always written")
    for each in (folder, folder / "tables", folder / "figures"):
        remove_abandoned(each)
    names, sheet = _Names(), Sheet()
    shown = [_section(section, names, optimizers, folder, sheet, figures) for section in sections]
    here = files("naslab.analysis")
    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(here.joinpath("report.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        title=title,
        finding=finding,
        command=command,
        environment=environment,
        notes=notes,
        sections=shown,
        legend=[(name, style) for name, style in palette(optimizers).items()],
        figures_command=figures_command if set(ON_DEMAND) - set(figures) else "",
        css=Markup(here.joinpath("report.css").read_text(encoding="utf-8")),
        script=Markup(here.joinpath("report.js").read_text(encoding="utf-8")),
        rules=Markup(sheet.rules),
    )
    return _write(folder / "report.html", page.encode(errors="replace"))


def _section(
    section: Section, names: _Names, optimizers: Sequence[str], folder: Path, sheet: Sheet, figures: Sequence[str]
) -> dict[str, Any]:
    """The section for the template: each table by itself, consecutive figures together in a grid."""
    blocks: list[dict[str, Any]] = []
    for (fold, _), items in groupby(section.items, lambda item: (item.fold, type(item))):
        block: dict[str, Any] = {"tables": [], "pictures": [], "words": []}
        for item in items:
            if isinstance(item, Words):
                block["words"] += item.sentences
            elif isinstance(item, Table):
                block["tables"].append(_table(item, names.give("table", item.name), optimizers, folder))
            else:
                name = names.give("figure", item.name)
                block["pictures"].append(_picture(item, name, folder, sheet, figures))
        count = f" ({len(block['pictures'])} figures)" if len(block["pictures"]) > 1 else ""
        blocks.append({"fold": fold and f"{fold}{count}", **block})
    anchor = names.give("section", section.title)
    return {"id": anchor, "title": section.title, "says": section.says, "blocks": blocks}


def _table(table: Table, name: str, optimizers: Sequence[str], folder: Path) -> dict[str, Any]:
    latex = to_latex(table.frame, table.bold)
    for kind, text_of in (
        ("csv", to_csv(table.frame)),
        ("md", to_markdown(table.frame, table.bold)),
        ("tex", latex),
    ):
        _write(folder / "tables" / f"{name}.{kind}", text_of.encode(errors="replace"))
    text = to_text(table.frame)
    kept = [place for place in range(text.shape[1]) if place == 0 or not _constant(text, place)]
    same = [f"{column} {text[column].iloc[0]}" for place, column in enumerate(text.columns) if place not in kept]
    head = [
        {"text": column, "number": is_number}
        for column, is_number in zip(text.columns, is_numeric(table.frame), strict=True)
    ]
    number = {optimizer: place for place, optimizer in enumerate(optimizers)}
    raw = [table.frame[column.removesuffix(" [95 %]")].to_list() for column in text.columns]
    owners = table.frame["optimizer"].to_list() if "optimizer" in table.frame.columns else [""] * len(text)
    rows = []
    for place, (cells, marks) in enumerate(
        zip(text.to_numpy().tolist(), bold_cells(table.frame, table.bold), strict=True)
    ):
        shown = [
            {
                "text": cells[column],
                "sort": _sort_key(raw[column][place]) if head[column]["number"] else "",
                "number": head[column]["number"],
                "bold": marks[column],
            }
            for column in kept
        ]
        rows.append({"cells": shown, "series": number.get(str(owners[place]))})
    return {
        "name": name, "title": table.title, "caption": table.caption, "head": [head[column] for column in kept],
        "rows": rows, "same": ", ".join(same), "latex": latex if table.bold is not None else "",
    }  # fmt: skip


def _constant(text: pd.DataFrame, place: int) -> bool:
    """Whether a column says the same in every row of several: it is said once, above the table."""
    return len(text) > 1 and text.iloc[:, place].nunique() == 1


def _sort_key(value: Any) -> str:
    return "" if pd.isna(value) else repr(float(value))


def _picture(picture: Picture, name: str, folder: Path, sheet: Sheet, figures: Sequence[str]) -> dict[str, Any]:
    svg = render(picture.figure, "svg")
    _write(folder / "figures" / f"{name}.svg", svg)
    for kind in ON_DEMAND:
        path = folder / "figures" / f"{name}.{kind}"
        if kind in figures:
            _write(path, render(picture.figure, kind))
        else:
            path.unlink(missing_ok=True)
    shown = inline(svg.decode(), sheet.prefix(), picture.says or picture.title, sheet, axes_of(picture.figure))
    return {
        "name": name,
        "title": picture.title,
        "caption": picture.caption,
        "svg": Markup(shown),
        "width": float(picture.figure.get_size_inches()[0]),
        "kinds": [(kind, kind.upper()) for kind in ("svg", *ON_DEMAND) if kind == "svg" or kind in figures],
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
