"""Figures of a landscape: how good its architectures are, and what two of its decisions make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from naslab.analysis.data import FloatArray
from naslab.analysis.labels import SIZE, names_width
from naslab.analysis.style import INK, new_axes, palette, style

_CELL = 0.3
_LONGEST_LINEAR = 100.0
_POINTS = 500


def plot_spread(scores: FloatArray, metric: str, *, lower_is_better: bool, guess: float | None = None) -> Axes:
    """The score of every architecture, the best first.

    Args:
        scores: Of all architectures, finite.
        metric: Its name and unit.
        lower_is_better: Which end is the best.
        guess: The score of a network that ignores its input, where it is known.
    """
    ordered = np.sort(scores) if lower_is_better else np.sort(scores)[::-1]
    place = np.unique(np.linspace(0, len(ordered) - 1, _POINTS).round().astype(int))
    with style():
        ax = new_axes(left=0.62, right=0.22)
        ax.plot((place + 1) / len(ordered), ordered[place], color=palette(["all"])["all"].colour)
        if guess is not None:
            ax.axhline(guess, color=INK, linewidth=0.6, linestyle=(0, (1, 2)))
            ax.annotate("ignoring the input", (0, guess), xytext=(4, 2), textcoords="offset points", ha="left",
                        xycoords=ax.get_yaxis_transform(), fontsize=SIZE)  # fmt: skip
        if ordered.min() > 0 and ordered.max() / ordered.min() > _LONGEST_LINEAR:
            ax.set_yscale("log")
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel("architectures, best first")
        ax.set_ylabel(metric)
    return ax


def plot_pair(means: pd.DataFrame, *, down: str, across: str) -> Axes:
    """The mean rank by the options of two decisions: 100 is the best architecture, 0 the worst.

    Args:
        means: Options of one decision down, of the other across; NaN where a pair has no architecture.
        down: The first one's name.
        across: The other one's.
    """
    rows, columns = [str(each) for each in means.index], [str(each) for each in means.columns]
    left, bottom = names_width(rows) + 0.25, names_width(columns) + 0.25
    values = means.to_numpy(float)
    with style():
        ax = new_axes(
            left + _CELL * len(columns) + 0.1,
            bottom + _CELL * len(rows) + 0.1,
            left=left,
            right=0.1,
            top=0.1,
            bottom=bottom,
        )
        ax.imshow(values, cmap="PuOr", vmin=0, vmax=100, aspect="auto", interpolation="none")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if abs(value - 50) > 25 else INK
                ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=SIZE, color=colour)
        _ticks(ax, columns, rows)
        ax.set_xlabel(across)
        ax.set_ylabel(down)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    return ax


def _ticks(ax: Axes, columns: Sequence[str], rows: Sequence[str]) -> None:
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=SIZE)
    ax.set_yticks(range(len(rows)), rows, fontsize=SIZE)
