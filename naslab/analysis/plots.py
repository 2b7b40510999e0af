"""Figures of quality: over the clock, at the end, against a cost. Frames in, axes out; no computing.

Every function draws on `ax`, or on new axes of column width where it is None, and returns the axes.
`styles` says how an optimizer is drawn (`naslab.analysis.style.palette`), by default in order of appearance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from naslab.analysis.data import FloatArray, TaskInfo
from naslab.analysis.labels import block_height, block_width, label_ends, name_rows, names_width, row_height
from naslab.analysis.style import COLUMN_WIDTH, INK, Styles, literal, new_axes, palette, style

COST_LABELS = {"params": "parameters", "macs": "multiply-accumulates", "latency_seconds": "latency"}


def cost_label(name: str) -> str:
    """What a cost is called; one that a table measured has its own name."""
    return COST_LABELS.get(name, name)


def plot_anytime(frame: pd.DataFrame, info: TaskInfo, *, styles: Styles | None = None, ax: Axes | None = None) -> Axes:
    """Median truth of the incumbent over the clock, and its quartiles (`frame`: `anytime.curves`)."""
    styles = styles or palette(frame["optimizer"])
    with style():
        ax = ax or labelled_axes(list(frame["optimizer"].unique()))
        ends = {}
        shown = []
        for name, curve in frame.groupby("optimizer", sort=False):
            look = styles[str(name)]
            steps = curve[["median", "q25", "q75"]].to_numpy(float)
            moves = np.append((np.diff(steps, axis=0) != 0).any(axis=1), True)
            kept = np.append(True, moves[:-1]) | (np.arange(len(steps)) == len(steps) - 1)  # where a line has a corner
            clock, (centre, low, high) = curve["clock"].to_numpy(float)[kept], steps[kept].T
            ax.fill_between(
                clock,
                low,
                high,
                step="post",
                color=look.colour,
                alpha=min(0.16, 0.6 / len(styles)),
                linewidth=0,
                gid=look.gid("band"),
            )
            ax.step(
                clock,
                centre,
                where="post",
                color=look.colour,
                linestyle=look.line,
                gid=look.gid("line"),
            )
            if np.isfinite(centre[-1]):
                ends[str(name)] = (clock[-1], centre[-1])
            # The early climb would leave no room for the differences that matter.
            shown.append(steps[len(steps) // 2 :].ravel())
        _truth_limits(ax, info, np.concatenate(shown))
        _optimum_line(ax, info)
        defined = frame.loc[frame["median"].notna(), "clock"]
        clock_axis(ax, float((defined if len(defined) else frame["clock"]).min()), info.budget, info.clock_label)
        ax.set_ylabel(literal(info.truth_label))
        ax.set_title(_title(info))
        label_ends(ax, ends, styles)
    return ax


def plot_final(
    frame: pd.DataFrame,
    quality: pd.DataFrame,
    info: TaskInfo,
    *,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Truth of each run's result: a point per run, a box from quartile to quartile with the median, and the
    IQM with its interval (`frame`: the complete runs of one task; `quality`: `tables.final_quality`)."""
    quality = quality[quality["task"] == info.id]
    names = list(quality["optimizer"])
    styles = styles or palette(names)
    with style():
        if ax is None:
            ax = new_axes(height=0.65 + row_height(names, 0.36) * len(names), left=names_width(names), bottom=0.38)
        for row, (name, value, low, high) in enumerate(
            zip(names, quality["IQM"], quality["IQM low"], quality["IQM high"], strict=True)
        ):
            look = styles[name]
            truths = np.sort(frame.loc[frame["optimizer"] == name, "truth"].to_numpy(float))
            if not truths.size:
                ax.text(0.5, row, "no result", transform=ax.get_yaxis_transform(), ha="center", va="center")
                continue
            # Multiples of the golden ratio: evenly scattered, and the same in every drawing.
            scatter = row + 0.1 + 0.28 * ((np.arange(len(truths)) * 0.6180339887) % 1)
            ax.plot(
                truths,
                scatter,
                look.marker,
                color=look.colour,
                markersize=2.2,
                markeredgewidth=0,
                alpha=0.55,
                gid=look.gid("points"),
            )
            whisker, first, median, third, other = _box(truths)
            top, bottom, middle = row - 0.22, row - 0.02, row - 0.12
            thin: dict[str, Any] = {"color": look.colour, "linewidth": 0.8, "gid": look.gid("box")}
            around = [first, third, third, first, first], [top, top, bottom, bottom, top]
            ax.plot([whisker, first, np.nan, third, other], [middle] * 5, **thin)
            ax.plot(*around, **thin)
            ax.plot([median] * 2, [top, bottom], color=look.colour, linewidth=1.8, gid=look.gid("median"))
            ax.plot([low, high], [row - 0.36] * 2, color=INK, linewidth=1.0, gid=look.gid("interval"))
            ax.plot(value, row - 0.36, "D", color=INK, markersize=2.6, gid=look.gid("IQM"))
        name_rows(ax, names, styles)
        _optimum_line(ax, info, vertical=True)
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel(literal(info.truth_label))
        ax.set_title(_title(info))
    return ax


def plot_tradeoff(
    frame: pd.DataFrame,
    info: TaskInfo,
    cost: str,
    *,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Truth against a cost or a metric: an architecture per marker (its area grows with the number of runs that ended
    with it, by powers of two) and each optimizer's Pareto front (`frame`: `tradeoff.points` for the same `cost`). What
    is better when higher is drawn from right to left, so that the left is the better side of every figure."""
    names = list(frame["optimizer"].unique())
    styles = styles or palette(names)
    with style():
        ax = ax or labelled_axes(names)
        ends = {}
        costs, worse = frame["cost"].to_numpy(float), -info.measure_sign(cost)
        edge = worse * float((worse * costs).max() + 0.06 * np.ptp(costs))
        for name, found in frame.groupby("optimizer", sort=False):
            look = styles[str(name)]
            # One size for each power of two: marks of one size are one shape in the drawing.
            values = found[["cost", "truth"]].to_numpy(float)
            doublings = np.floor(np.log2(found["runs"].to_numpy())).clip(max=5)
            for doubled in np.unique(doublings):
                ax.plot(
                    *values[doublings == doubled].T,
                    look.marker,
                    markersize=float(np.sqrt(5 + 17 * doubled)),
                    color=look.colour,
                    alpha=0.45,
                    markeredgewidth=0,
                    gid=look.gid("points"),
                )
            front = values[found["front"].to_numpy(bool)]
            # A worse cost buys no less: the front goes on to the edge, where its name stands.
            ends[str(name)] = (edge, float(front[-1, 1]))
            ax.step(
                [*front[:, 0], edge],
                [*front[:, 1], ends[str(name)][1]],
                where="post",
                color=look.colour,
                linestyle=look.line,
                linewidth=1.1,
                marker=look.marker,
                markevery=range(len(front)),
                gid=look.gid("front"),
            )
        ax.margins(0.06)
        ax.set_xlim(left=None if worse > 0 else float(costs.max() + 0.06 * np.ptp(costs)), right=edge)
        _optimum_line(ax, info)
        _measure_axis(ax, cost, info)
        ax.set_ylabel(literal(info.truth_label))
        ax.set_title(_title(info))
        label_ends(ax, ends, styles)
    return ax


def plot_attained(
    frame: pd.DataFrame, info: TaskInfo, other: str, *, styles: Styles | None = None, ax: Axes | None = None
) -> Axes:
    """The truth and another objective that half of the runs attain, and a band from a quarter to three quarters
    (`frame`: `front_tables.attained`). As in `plot_tradeoff`, the left is the better side."""
    names = list(frame["optimizer"].unique())
    styles = styles or palette(names)
    worse = -info.measure_sign(other)
    values = worse * frame["value"].to_numpy(float)
    edge = float(values.max() + 0.06 * np.ptp(values))
    with style():
        ax = ax or labelled_axes(names)
        ends = {}
        for name, own in frame.groupby("optimizer", sort=False):
            look = styles[str(name)]
            steps = {float(str(share)): part[["value", "truth"]] for share, part in own.groupby("share")}
            for part in steps.values():
                part.loc[-1] = [worse * edge, part["truth"].iloc[-1]]  # a worse value buys no less
            if 0.5 in steps:
                middle = steps[0.5]
                ax.step(
                    middle["value"],
                    middle["truth"],
                    where="post",
                    color=look.colour,
                    linestyle=look.line,
                    gid=look.gid("line"),
                )
                ends[str(name)] = (worse * edge, float(middle["truth"].iloc[-1]))
            if 0.75 in steps:
                # Where only a quarter of the runs attain anything, three quarters attain less than any number.
                both = steps[0.25].merge(steps[0.75], on="value", how="outer")
                both = both.sort_values("value", ascending=worse > 0).ffill().dropna()
                ax.fill_between(
                    both["value"],
                    both["truth_x"],
                    both["truth_y"],
                    step="post",
                    color=look.colour,
                    alpha=min(0.16, 0.6 / len(styles)),
                    linewidth=0,
                    gid=look.gid("band"),
                )
        ax.set_xlim(worse * float(values.min() - 0.06 * np.ptp(values)), worse * edge)
        _measure_axis(ax, other, info)
        ax.set_ylabel(literal(info.truth_label))
        ax.set_title(_title(info))
        label_ends(ax, ends, styles)
    return ax


def _box(values: FloatArray) -> FloatArray:
    """A whisker, the quartiles, the other whisker: the last points within 1.5 box lengths of the box (Tukey 1977)."""
    quartiles = np.quantile(values, [0.25, 0.5, 0.75])
    reach = 1.5 * (quartiles[2] - quartiles[0])
    inside = values[(values >= quartiles[0] - reach) & (values <= quartiles[2] + reach)]
    return np.concatenate([[min(inside.min(), quartiles[0])], quartiles, [max(inside.max(), quartiles[2])]])


def labelled_axes(names: list[str], width: float = COLUMN_WIDTH, height: float = 1.55) -> Axes:
    """Axes with room for names at the ends of lines; the figure's width and their height in inches, at the least."""
    right = block_width(names)
    height = max(height, block_height(names))
    # Long names widen the figure rather than squeeze the curves under half of a column.
    ax = new_axes(max(width, 0.55 + 1.7 + right), 0.65 + height, left=0.55, right=right)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_label_coords(0.5, -0.22 / height)  # given, it is not looked for: ticks are laid out once less
    return ax


def _truth_limits(ax: Axes, info: TaskInfo, values: FloatArray) -> None:
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    span = (high - low) or abs(high) * 0.01 or 1.0
    if info.optimum is not None and low - span < info.optimum < high + span:
        low, high = min(low, info.optimum), max(high, info.optimum)
    ax.set_ylim(low - 0.06 * span, high + 0.06 * span)


def _optimum_line(ax: Axes, info: TaskInfo, *, vertical: bool = False) -> None:
    """A dotted line at the best truth in the space, where it is near enough to show without new limits."""
    if info.optimum is None:
        return
    low, high = sorted(ax.get_xlim() if vertical else ax.get_ylim())
    if not low - 0.3 * (high - low) <= info.optimum <= high + 0.3 * (high - low):
        return
    look: dict[str, Any] = {"color": INK, "linewidth": 0.7, "linestyle": (0, (1, 2)), "zorder": 1}
    words: dict[str, Any] = {"fontsize": 7, "color": INK, "alpha": 0.75}
    if vertical:
        ax.axvline(info.optimum, **look)
        ax.annotate(
            "optimum",
            (info.optimum, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            va="bottom",
            **words,
        )
    else:
        ax.axhline(info.optimum, gid="optimum-line", **look)
        ax.annotate(
            "optimum",
            (0, info.optimum),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, -1.5 * info.sign),  # on the side where the curves are
            textcoords="offset points",
            va="top" if info.sign > 0 else "bottom",
            gid="optimum-word",
            **words,
        )


def clock_axis(ax: Axes, start: float, end: float, label: str) -> None:
    """Time along x, logarithmic where it spans a factor of four."""
    if start > 0 and end / start >= 4:
        ax.set_xscale("log")
        # Under two and a half decades the powers of ten alone would be too few to read a time from.
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if end / start < 300 else (1,)))
        ax.xaxis.set_minor_locator(NullLocator())  # each tick is three lines and two texts: a quarter of a drawing
    else:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set_xlim(min(start, 0.9 * end), end)
    ax.set_xlabel(label)


def _measure_axis(ax: Axes, name: str, info: TaskInfo) -> None:
    """A cost or a metric along x, with its unit; seconds stand at the numbers."""
    seconds = name.endswith("_seconds")
    unit = info.measures[name].unit if name in info.measures and not seconds else ""
    ax.xaxis.set_major_formatter(EngFormatter(unit="s" if seconds else "", sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(literal(cost_label(name) + (f" ({unit})" if unit else "")))


def _title(info: TaskInfo) -> str:
    return literal(f"{info.id}, {info.constraint}" if info.constraint else info.id)


def points(unit: str) -> str:
    """The unit of a difference: percentages differ by points."""
    return "points" if unit == "%" else unit
