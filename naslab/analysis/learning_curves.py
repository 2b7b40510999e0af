"""Figures of quality against a number that was varied: labels, measurements, a share of the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from naslab.analysis.labels import block_height, block_width, label_ends
from naslab.analysis.style import COLUMN_WIDTH, Styles, literal, log_ticks, new_axes, palette, style


def plot_curves(
    frame: pd.DataFrame,
    *,
    along: str = "labels",
    value: str = "value",
    title: str = "",
    xlabel: str | None = None,
    styles: Styles | None = None,
    published: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Mean over seeds against a logarithmic axis, a band for its interval where it has one.

    Args:
        frame: Columns predictor, ``along``, ``value``, ``<value> low`` and ``<value> high``.
        along: The column of the x axis.
        value: The column of the y axis.
        title: Above the axes.
        xlabel: Of the x axis; the column's name by default.
        styles: How each predictor is drawn; by default in order of appearance.
        published: The same columns: dashed, without a band, a marker at each printed number.
        ax: Where to draw; new axes by default.
    """
    every = frame if published is None else pd.concat([frame, published])
    names = [str(name) for name in dict.fromkeys(every["predictor"])]
    styles = styles or palette(names)
    with style():
        if ax is None:
            right = block_width(names)
            height = max(1.9, block_height(names))
            ax = new_axes(max(COLUMN_WIDTH, 0.55 + 2.0 + right), 0.65 + height, left=0.55, right=right)
        ends = {}
        for name, group in every.groupby("predictor", sort=False):
            known = group[np.isfinite(group[value])].sort_values(along)
            if not len(known):
                continue
            look, x, y = styles[str(name)], known[along].to_numpy(float), known[value].to_numpy(float)
            printed = published is not None and str(name) in set(published["predictor"])
            line = (0, (2, 2)) if printed else look.line
            marker = look.marker if printed or len(x) == 1 else ""
            ax.plot(x, y, color=look.colour, ls=line, marker=marker, lw=0.9 if printed else 1.4, gid=look.gid("line"))
            low, high = known.get(f"{value} low"), known.get(f"{value} high")
            if low is not None and high is not None and not printed:
                ax.fill_between(x, low.to_numpy(float), high.to_numpy(float), color=look.colour, alpha=0.13, lw=0)
            ends[str(name)] = (float(x[-1]), float(y[-1]))
        ax.set(xlabel=xlabel or along, ylabel=literal(value), title=literal(title))
        measured = every.loc[np.isfinite(every[value]), along]
        if len(measured):
            log_ticks(ax, measured)
            ax.margins(x=0.02)
            _limit(ax, every[value].to_numpy(float))
        label_ends(ax, ends, styles)
    return ax


def _limit(ax: Axes, values: np.ndarray) -> None:
    """Scale the y axis to the means: a wide band, of two seeds say, would squeeze them."""
    low, high = np.nanmin(values), np.nanmax(values)
    span = (high - low) or 0.1
    ax.set_ylim(low - 0.06 * span, high + 0.06 * span)
