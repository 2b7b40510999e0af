"""Figures of who beats whom: pairs of optimizers, and ranks over tasks. Frames in, axes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from naslab.analysis.labels import SIZE, block_width, name_rows, names_width, row_height
from naslab.analysis.statistics import FriedmanNemenyi
from naslab.analysis.style import COLUMN_WIDTH, INK, Styles, new_axes, palette, style, wrap
from naslab.analysis.tables import AVERAGE_RANK

_PROBABILITY = "probability that the left one is better"


def plot_improvement(frame: pd.DataFrame, *, styles: Styles | None = None, ax: Axes | None = None) -> Axes:
    """Probability of improvement of each pair, and its interval (`frame`: `tables.improvement`)."""
    styles = styles or palette(_names(frame))
    left, right = list(frame["a"]), list(frame["b"])
    with style():
        if ax is None:
            width = max(COLUMN_WIDTH, names_width(left) + 1.5 + block_width(right))
            ax = new_axes(
                width,
                0.6 + row_height([*left, *right], 0.26) * len(frame),
                left=names_width(left),
                right=block_width(right),
                bottom=0.42,
                top=0.12,
            )
        name_rows(ax, left, styles)
        for row, (a, b, value, low, high) in enumerate(
            zip(left, right, frame["P(a > b)"], frame["P(a > b) low"], frame["P(a > b) high"], strict=True)
        ):
            ahead = styles[a] if value >= 0.5 else styles[b]
            if np.isfinite(low):
                ax.plot(
                    [low, high],
                    [row, row],
                    color=ahead.colour,
                    linewidth=3.2,
                    alpha=0.45,
                    solid_capstyle="butt",
                )
            ax.plot(value, row, "|", color=INK, markersize=9, markeredgewidth=1.4, gid=ahead.gid("points"))
            ax.annotate(
                wrap(b),
                (1, row),
                xycoords=ax.get_yaxis_transform(),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=SIZE,
                color=styles[b].words,
                gid=styles[b].gid(f"name{row}"),
                annotation_clip=False,
            )
        ax.axvline(0.5, color=INK, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        ax.set_xlim(0, 1)
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set_xlabel(_PROBABILITY)
    return ax


def plot_pairwise(frame: pd.DataFrame, *, styles: Styles | None = None, ax: Axes | None = None) -> Axes:
    """Matrix of probabilities that the row's optimizer beats the column's; bold where one is ``better`` after Holm's
    correction (`frame`: `tables.improvement`)."""
    names = _names(frame)
    styles = styles or palette(names)
    place = {name: number for number, name in enumerate(names)}
    side = row_height(names, 0.34) * len(names)
    with style():
        if ax is None:
            left, top = names_width(names), names_width(names) + 0.05
            right = max(0.1, COLUMN_WIDTH - left - side)
            width, height = left + side + right, side + top + 0.3
            ax = new_axes(width, height, left=left, right=right, top=top, bottom=0.3)
        values = np.full((len(names), len(names)), np.nan)
        for a, b, value, better in frame[["a", "b", "P(a > b)", "better"]].itertuples(index=False):
            for row, column, shown in ((place[a], place[b], value), (place[b], place[a], 1 - value)):
                values[row, column] = shown
                ax.text(
                    column,
                    row,
                    f"{shown:.0%}".removesuffix("%") if np.isfinite(shown) else "",
                    ha="center",
                    va="center",
                    fontsize=SIZE,
                    color="white" if abs(shown - 0.5) > 0.3 else "#1b1f25",
                    weight="bold" if better in (a, b) else "normal",
                )
        ax.imshow(values, cmap="PuOr", vmin=0, vmax=1, aspect="equal", interpolation="none")
        name_rows(ax, names, styles)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.xaxis.tick_top()
        ax.set_xticks(range(len(names)), [wrap(name) for name in names], rotation=90, fontsize=SIZE)
        for text, name in zip(ax.get_xticklabels(), names, strict=True):
            text.set_color(styles[name].words)
            text.set_gid(styles[name].gid("column"))
        ax.tick_params(axis="x", length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("% of runs in which the row beats the column", labelpad=4)
        ax.xaxis.set_label_position("bottom")
    return ax


def plot_ranks(frame: pd.DataFrame, *, styles: Styles | None = None, ax: Axes | None = None) -> Axes:
    """Rank of each optimizer on each task (small) and on average (large) (`frame`: `tables.ranks`)."""
    names = list(frame["optimizer"])
    styles = styles or palette(names)
    with style():
        if ax is None:
            height = 0.6 + row_height(names, 0.26) * len(names)
            ax = new_axes(height=height, left=names_width(names), top=0.1, bottom=0.42)
        tasks = frame.drop(columns=["optimizer", *AVERAGE_RANK]).to_numpy(float)
        for row, name in enumerate(names):
            look = styles[name]
            ax.plot([1, len(names)], [row, row], color=INK, linewidth=0.4, alpha=0.25, zorder=0)
            ranks, counts = np.unique(tasks[row], return_counts=True)
            ax.scatter(
                ranks,
                np.full(len(ranks), row),
                s=9 * counts,
                color=look.colour,
                alpha=0.45,
                linewidth=0,
                gid=look.gid("points"),
            )
            average, low, high = frame.loc[frame.index[row], list(AVERAGE_RANK)]
            ax.plot([low, high], [row, row], color=look.colour, linewidth=1.2)
            ax.plot(
                average,
                row,
                "|",
                color=look.colour,
                markersize=11,
                markeredgewidth=2,
                gid=look.gid("average"),
            )
        name_rows(ax, names, styles)
        ax.set_xlim(0.8, len(names) + 0.2)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("rank by interquartile mean truth (1 = best)")
    return ax


def plot_critical_difference(result: FriedmanNemenyi, *, styles: Styles | None = None, ax: Axes | None = None) -> Axes:
    """Critical-difference diagram (Demsar 2006, figure 1): average ranks, best on the left; a bar joins
    optimizers that Nemenyi's test does not tell apart (`result`: `tables.friedman`)."""
    names = list(result.ranks.index)
    styles = styles or palette(names)
    k = len(names)
    half = (k + 1) // 2
    step, first = row_height(names, 0.2), 0.22 + 0.1 * len(result.groups)
    with style():
        if ax is None:
            margin = names_width(names) + 0.32  # the rank stands after the name
            height = 0.75 + first + step * half
            ax = new_axes(max(COLUMN_WIDTH, 2 * margin + 1.7), height, left=margin, right=margin, top=0.7, bottom=0.05)
        # The y axis counts inches below the axis of ranks, so that nothing overlaps however many there are.
        depth = first + step * half
        ax.set_xlim(1, k)
        ax.set_ylim(depth, 0)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.spines["top"].set_visible(True)
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("average rank (1 = best)")
        ax.set_yticks([])
        for place, name in enumerate(names):
            look, rank = styles[name], float(result.ranks[name])
            on_left = place < half
            y = first + step * ((place if on_left else k - 1 - place) + 0.4)
            side = 0.0 if on_left else 1.0
            edge = 1 - 0.02 * (k - 1) if on_left else k + 0.02 * (k - 1)
            ax.plot(
                [rank, rank, edge],
                [0, y, y],
                color=look.colour,
                linewidth=0.9,
                clip_on=False,
                solid_joinstyle="miter",
                gid=look.gid("line"),
            )
            ax.annotate(
                f"{wrap(name)} {rank:.2f}",
                (side, y),
                xycoords=ax.get_yaxis_transform(),
                xytext=(-5 if on_left else 5, 0),
                textcoords="offset points",
                ha="right" if on_left else "left",
                va="center",
                fontsize=SIZE,
                linespacing=1.05,
                color=look.words,
                gid=look.gid("name"),
                annotation_clip=False,
            )
        for level, group in enumerate(result.groups):
            best, worst = float(result.ranks[group[0]]), float(result.ranks[group[-1]])
            y = 0.14 + 0.1 * level
            ax.plot([best - 0.03, worst + 0.03], [y, y], color=INK, linewidth=2.6, solid_capstyle="butt")
        reach = min(result.critical_difference, k - 1)
        ax.annotate(
            f"critical difference {result.critical_difference:.2f}",
            xy=(1 + reach / 2, 1 + 0.42 / depth),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=SIZE,
            annotation_clip=False,
        )
        ax.plot(
            [1, 1 + reach],
            [1 + 0.4 / depth] * 2,
            transform=ax.get_xaxis_transform(),
            color=INK,
            linewidth=1,
            marker="|",
            markersize=5,
            clip_on=False,
        )
    return ax


def _names(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys([*frame["a"], *frame["b"]]))
