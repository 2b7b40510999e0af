"""Tables as the command line shows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a table; numbers to the right, lines never broken."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from naslab.analysis.formats import is_numeric, to_text

    text = to_text(frame)
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column, numeric in zip(text.columns, is_numeric(frame), strict=True):
        table.add_column(Text(column), justify="right" if numeric else "left", no_wrap=True)
    for row in text.to_numpy().tolist():
        table.add_row(*map(Text, row))  # as text: a label's brackets are no markup
    needed = Console(width=10_000).measure(table).maximum
    console = Console()
    console.width = max(console.width, needed)  # a long line is better than broken words
    console.print(table)


def print_wide(frame: pd.DataFrame, bold: pd.DataFrame, width: int = 80) -> bool:
    """Print a table of strategies x tasks, broken into parts that fit the width; headings break at ``/``, ``-`` and
    spaces. The first column stands in each part. Where there is no bold type, a star stands for it; returns whether
    there is."""
    import numpy as np
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from naslab.analysis.formats import bold_cells, to_text

    console = Console()
    text, marks = to_text(frame), bold_cells(frame, bold)
    if not console.is_terminal:
        starred = np.array(marks)
        text = text + pd.DataFrame(np.where(starred, "*", np.where(starred.any(axis=0), " ", "")), columns=text.columns)
    heads = [_broken(str(name)) for name in text.columns]
    sizes = [max(*map(len, head.split("\n")), *map(len, text.iloc[:, place])) for place, head in enumerate(heads)]
    parts: list[list[int]] = [[]]
    for place in range(1, len(heads)):
        if parts[-1] and sizes[0] + sum(2 + sizes[each] for each in [*parts[-1], place]) > width:
            parts.append([])
        parts[-1].append(place)
    for number, part in enumerate(parts):
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
        for place in (0, *part):
            table.add_column(Text(heads[place]), justify="right" if place else "left", no_wrap=True)
        for row, own in zip(text.to_numpy().tolist(), marks, strict=True):
            table.add_row(*(Text(row[place], style="bold" if own[place] else "") for place in (0, *part)))
        console.width = max(console.width, Console(width=10_000).measure(table).maximum)
        if number:
            console.print()
        console.print(table)
    return console.is_terminal


def _broken(heading: str, width: int = 14) -> str:
    """A heading on several lines of about this width."""
    lines = [""]
    for part in re.split(r"(?<=[-/ ])", heading):
        if lines[-1] and len(lines[-1]) + len(part.strip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)
