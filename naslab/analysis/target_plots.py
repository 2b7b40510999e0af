"""The figure of targets that are reached over time. Frames in, axes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from naslab.analysis.labels import label_ends
from naslab.analysis.plots import clock_axis, labelled_axes
from naslab.analysis.style import Styles, literal, palette, style

WIDE = 4.4  # inches


def plot_ecdf(
    frame: pd.DataFrame,
    title: str,
    clock: str,
    *,
    wide: bool = False,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of (run, target) pairs that are reached over the clock (`frame`: `targets.ecdf`; `clock`: its axis)."""
    styles = styles or palette(frame["optimizer"])
    with style():
        ax = ax or labelled_axes(list(frame["optimizer"].unique()), *((WIDE, 2.2) if wide else ()))
        start, end, ends = float(frame["clock"].min()), float(frame["clock"].max()), {}
        for name, steps in frame.groupby("optimizer", sort=False):
            look = styles[str(name)]
            corner = steps["share"].diff().ne(0) | (steps["clock"] == end)
            steps = steps[corner]
            times, share = steps["clock"].to_numpy(float), steps["share"].to_numpy(float)
            ax.step(times, share, where="post", color=look.colour, linestyle=look.line, gid=look.gid("line"))
            ends[str(name)] = (float(times[-1]), float(share[-1]))
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set_yticks(np.linspace(0, 1, 5))
        ax.set_ylabel("runs and targets")
        clock_axis(ax, start, end, clock)
        ax.set_title(literal(title))
        label_ends(ax, ends, styles)
    return ax
