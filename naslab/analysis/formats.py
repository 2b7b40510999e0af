"""A table as text: what a reader sees in HTML, Markdown and LaTeX, from the frame that goes into the CSV."""

from __future__ import annotations

import csv
import math
import re
from itertools import chain
from typing import Any, Literal

import numpy as np
import pandas as pd

DASH = "—"
SPREAD = " ± sd"
"""A column ``X ± sd`` is shown beside ``X``, in its column."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SIGNED = re.compile(r"[+-](?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", DASH: "--", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$",
    "∞": r"$\infty$",
    "[": "{[}", "]": "{]}", "\n": " ", "\0": "{}",
}  # fmt: skip


def to_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame as a reader should see it: strings, with ``X``, ``X low``, ``X high`` in one column, and ``X ± sd``.

    NaN is a dash. Numbers of one column have the same decimals: two where they reach 1, else three
    significant digits of the largest; columns named ``p`` or ``p ...`` have three, and ``<0.001``.
    """
    shown: dict[str, list[str]] = {}
    for name in frame.columns:
        stem = name.removesuffix(" low").removesuffix(" high")
        if (stem != name and stem in frame.columns) or (name.endswith(SPREAD) and name.removesuffix(SPREAD) in frame):
            continue
        column = frame[name]
        text = _column(name, column)
        if f"{name} low" in frame.columns:
            decimals = _decimals(column)
            bounds = zip(frame[f"{name} low"], frame[f"{name} high"], strict=True)
            text = [
                f"{value} [{_number(low, decimals)}, {_number(high, decimals)}]" if np.isfinite(low) else value
                for value, (low, high) in zip(text, bounds, strict=True)
            ]
            name = f"{name} [95 %]"
        elif f"{name}{SPREAD}" in frame.columns:
            decimals = _decimals(column)
            spreads = [_number(spread, decimals) for spread in frame[f"{name}{SPREAD}"]]
            text = [f"{value} ± {sd}" if sd != DASH else value for value, sd in zip(text, spreads, strict=True)]
        shown[name] = text
    return pd.DataFrame(shown, dtype=str)


def is_numeric(frame: pd.DataFrame) -> list[bool]:
    """For each column of `to_text(frame)`: whether it shows numbers (and is set flush right)."""
    return [pd.api.types.is_numeric_dtype(frame[name.removesuffix(" [95 %]")]) for name in to_text(frame).columns]


def number(value: float) -> str:
    """One number as it would stand in a table."""
    return _number(value, _decimals(pd.Series([value])))


def bold_cells(frame: pd.DataFrame, bold: pd.DataFrame | None) -> list[list[bool]]:
    """Which cells of `to_text(frame)` are bold, from the columns of the frame."""
    names = [name.removesuffix(" [95 %]") for name in to_text(frame).columns]
    if bold is None:
        return [[False] * len(names)] * len(frame)
    return [[bool(bold[name].iloc[row]) for name in names] for row in range(len(frame))]


def to_markdown(frame: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    """The frame as a Markdown table (GitHub's), numbers flush right; `bold` says which cells are bold."""
    text = to_text(frame)
    rules = ["---:" if numeric else "---" for numeric in is_numeric(frame)]
    rows = [[_markdown(cell) for cell in row] for row in [list(text.columns), *text.to_numpy().tolist()]]
    for row, marks in zip(rows[1:], bold_cells(frame, bold), strict=True):
        row[:] = [f"**{cell}**" if mark else cell for cell, mark in zip(row, marks, strict=True)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join(rules) + " |")
    return "\n".join(lines) + "\n"


def to_latex(frame: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    r"""The frame as a LaTeX ``tabular`` with booktabs rules; needs ``\usepackage{booktabs}`` only."""
    text = to_text(frame)
    align = "".join("r" if numeric else "l" for numeric in is_numeric(frame))
    cells = [[_latex(cell) for cell in row] for row in [list(text.columns), *text.to_numpy().tolist()]]
    for row, marks in zip(cells[1:], bold_cells(frame, bold), strict=True):
        row[:] = [rf"\textbf{{{cell}}}" if mark else cell for cell, mark in zip(row, marks, strict=True)]
    header, *rows = (" & ".join(row) + r" \\" for row in cells)
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", header, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def to_csv(frame: pd.DataFrame) -> str:
    """The frame as CSV: all digits, empty for NaN; texts that a spreadsheet would run as a formula are defused."""
    texts = [place for place, kind in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(kind)]
    safe = frame.copy()
    for place in texts:
        safe.isetitem(place, frame.iloc[:, place].map(defused).to_numpy())
    safe = safe.rename(columns=defused)
    # Python's writer leaves a carriage return unquoted where lines end otherwise: it would begin a new row.
    written = chain(safe.columns, *(safe.iloc[:, place] for place in texts))
    returns = any("\r" in str(text) for text in written)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    return safe.to_csv(index=False, lineterminator="\n", quoting=quoting)


def defused(value: Any) -> Any:
    """A text with an apostrophe before it if it begins as a formula does and is no number; anything else as it is.

    Spreadsheets run a cell that begins with ``=``, ``+``, ``-`` or ``@`` (or with a tab or a line end before it).
    """
    if not isinstance(value, str) or value[:1] not in _FORMULA or not value or _SIGNED.fullmatch(value):
        return value
    return f"'{value}"


def _column(name: str, column: pd.Series[Any]) -> list[str]:
    if name == "p" or name.startswith("p "):
        return [DASH if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}" for p in column]
    if pd.api.types.is_float_dtype(column):
        decimals = _decimals(column)
        return [_number(value, decimals) for value in column]
    if pd.api.types.is_integer_dtype(column):
        return [DASH if pd.isna(value) else f"{value:,}" for value in column]
    return [DASH if pd.isna(value) else str(value) for value in column]


def _decimals(column: pd.Series[Any]) -> int:
    values = column.to_numpy(float)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    if largest == 0 or 1 <= largest < 1000:
        return 2
    return 0 if largest >= 1000 else min(2 - math.floor(math.log10(largest)), 8)


def _number(value: float, decimals: int) -> str:
    if np.isnan(value):
        return DASH
    text = f"{value:,.{decimals}f}" if np.isfinite(value) else f"{'-' if value < 0 else ''}∞"
    return text.replace("-", "\N{MINUS SIGN}")


def _markdown(cell: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", cell).replace("\n", " ")


def _latex(cell: str) -> str:
    apart = re.sub("-(?=-)", "-\0", cell)  # two hyphens of a name would become one dash
    return "".join(_LATEX.get(character, character) for character in apart).replace("\N{MINUS SIGN}", "$-$")
