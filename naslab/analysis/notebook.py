"""What a notebook shows of an object: a title, a line of facts, tables and figures, as HTML that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from naslab.analysis.formats import is_numeric, to_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_ROWS = 20


def card(
    title: str,
    facts: Mapping[str, Any],
    tables: Sequence[tuple[str, pd.DataFrame | Sequence[Mapping[str, Any]]]] = (),
    figures: Sequence[tuple[str, Axes]] = (),
) -> str:
    """The HTML of an object.

    Args:
        title: What it is.
        facts: Name -> value, in one line.
        tables: Title and frame (or rows); of a long one the first rows.
        figures: What each shows, in words, and its axes.
    """
    parts = [f"<strong>{escape(title)}</strong>"]
    if facts:
        parts.append("; ".join(f"{escape(name)}: {escape(str(value))}" for name, value in facts.items()))
    parts += [_table(heading, pd.DataFrame(frame)) for heading, frame in tables]
    parts += [_figure(says, axes) for says, axes in figures]
    return "".join(f"<div>{part}</div>" for part in parts)


def _table(heading: str, frame: pd.DataFrame) -> str:
    shown, numeric = to_text(frame.head(MOST_ROWS)), is_numeric(frame)
    align = ["right" if each else "left" for each in numeric]
    rows = [
        "".join(f'<td style="text-align:{side}">{escape(cell)}</td>' for side, cell in zip(align, row, strict=True))
        for row in shown.to_numpy().tolist()
    ]
    head = "".join(
        f'<th style="text-align:{side}">{escape(str(name))}</th>'
        for side, name in zip(align, shown.columns, strict=True)
    )
    more = f"<div>{len(frame) - MOST_ROWS:,} more</div>" if len(frame) > MOST_ROWS else ""
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div>{escape(heading)}</div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _figure(says: str, axes: Axes) -> str:
    from naslab.analysis.style import render

    svg = render(axes.get_figure(root=True), "svg")  # type: ignore[arg-type]
    # As a picture: what stands in it can't meet what else is in the notebook. Its ink is dark, whatever the theme.
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    return f'<img alt="{escape(says)}" style="background: white" src="{source}"/>'
