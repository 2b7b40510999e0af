"""Names written at the ends of lines, moved apart where they would overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from naslab.analysis.data import FloatArray
from naslab.analysis.style import Styles, figure_of, style, wrap

SIZE = 7.0  # points
_LEADING = 1.22
_GAP = 0.14  # inches between the axes and the names


def block_height(names: Sequence[str]) -> float:
    """Height in inches of the names, wrapped, one above the other."""
    return sum(line_height(name) for name in names)


def line_height(name: str) -> float:
    """Height in inches of one name, wrapped."""
    return (wrap(name).count("\n") + 1) * SIZE * _LEADING / 72


def row_height(names: Sequence[str], least: float) -> float:
    """Height in inches of equal rows that each hold one name, wrapped."""
    return max([least, *(line_height(name) + 0.06 for name in names)])


def block_width(names: Sequence[str]) -> float:
    """Width in inches that names at the ends of lines need, the gap to the axes included."""
    return max(map(_width, names), default=0.0) + _GAP + 0.04


@cache
def _width(name: str) -> float:
    """Width in inches of one name, wrapped."""
    figure = Figure()
    with style():
        return float(figure.text(0, 0, wrap(name), fontsize=SIZE).get_window_extent().width / figure.dpi)


def spread(wanted: npt.ArrayLike, heights: npt.ArrayLike, low: float, high: float) -> FloatArray:
    """Centres for labels of these heights that do not overlap, as near as can be to those wanted.

    Least squares subject to the order of `wanted`, by isotonic regression; kept within ``low`` to ``high``
    while there is room. All in one unit; shape ``(n,)``.
    """
    wanted = np.asarray(wanted, dtype=float)
    order = np.argsort(wanted, kind="stable")
    tall = np.asarray(heights, dtype=float)[order]
    offset = np.concatenate([[0.0], np.cumsum((tall[1:] + tall[:-1]) / 2)])
    base = isotonic_regression(wanted[order] - offset).x
    top = high - tall[-1] / 2 - offset[-1]
    placed = np.empty(len(tall))
    placed[order] = np.clip(base, min(low + tall[0] / 2, top), top) + offset
    return placed


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, float]], styles: Styles) -> None:
    """Write each name to the right of the axes, in its colour, with a thin line to its end point ``(x, y)``.

    Call it after the limits and the scales of the axes are set.
    """
    if not ends:
        return
    points = ax.transData.transform(list(ends.values()))
    heights = np.array([line_height(name) * 72 for name in ends])
    box = ax.get_window_extent()
    pixels = figure_of(ax).dpi / 72
    centres = spread(points[:, 1].clip(box.y0, box.y1), heights * pixels, box.y0 - 12 * pixels, box.y1 + 9 * pixels)
    for name, point, centre in zip(ends, points, centres, strict=True):
        look = styles[name]
        edge = min((point[0] - box.x0) / box.width, 1.0), float(np.clip((point[1] - box.y0) / box.height, 0, 1))
        there = 1 + _GAP * 72 * pixels / box.width, (centre - box.y0) / box.height
        # A plain line: an arrow of an annotation is clipped at its ends, which costs more than all curves.
        line = Line2D(
            [edge[0], there[0] - pixels / box.width], [edge[1], there[1]], transform=ax.transAxes, color=look.colour,
            linewidth=0.5, gid=look.gid("leader"),
        )  # fmt: skip
        figure_of(ax).add_artist(line)
        ax.text(
            *there, wrap(name), transform=ax.transAxes, va="center", linespacing=_LEADING - 0.12, fontsize=SIZE,
            color=look.words, gid=look.gid("label"),
        ).set_in_layout(False)  # fmt: skip


def names_width(names: Sequence[str]) -> float:
    """Width in inches that names beside the rows of an axes need."""
    return block_width(names) - _GAP + 0.12


def name_rows(ax: Axes, names: Sequence[str], styles: Styles) -> None:
    """One row per name, the first on top, the names in their colours on the left."""
    ax.set_yticks(range(len(names)), [wrap(name) for name in names], fontsize=SIZE)
    for text, name in zip(ax.get_yticklabels(), names, strict=True):
        text.set_color(styles[name].words)
        text.set_gid(styles[name].gid("name"))
        text.set_linespacing(_LEADING - 0.12)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(names) - 0.4, -0.6)
