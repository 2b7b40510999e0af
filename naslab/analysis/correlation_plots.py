"""Figures of how well evaluators rank: agreement with a truth, and the matrix of all with each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy import stats

from naslab.analysis.data import FloatArray
from naslab.analysis.labels import SIZE, names_width
from naslab.analysis.style import COLUMN_WIDTH, INK, Styles, literal, new_axes, palette, style, wrap

_SHOWN = (("Spearman", "#0072b2", "o", -0.17), ("tau in top 10%", "#d55e00", "s", 0.17))
_TIGHT = {"handletextpad": 0.3, "columnspacing": 1.0, "handlelength": 1.2}
MOST_POINTS = 400
_CELL = 0.27  # inches; numbers of 7 points fit


def plot_agreement(
    statistics: pd.DataFrame, *, ceiling: float = np.nan, names: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Every evaluator's Spearman's rho, and its tau-b among the best tenth, with intervals; the best rho on top.

    Args:
        statistics: As :func:`naslab.analysis.correlation.agreement` returns them.
        ceiling: The rho of a predictor without any error; a dotted line.
        names: Of the evaluators, from top to bottom; by their rho where not given.
        ax: Where to draw; new axes by default.
    """
    found = {(str(r["evaluator"]), str(r["statistic"])): r for r in statistics.to_dict("records")}
    evaluators = dict.fromkeys(name for name, _ in found)
    rows = list(names) or sorted(evaluators, key=lambda name: -np.nan_to_num(found[name, "Spearman"]["value"], nan=-2))
    with style():
        if ax is None:
            left = names_width(rows)
            ax = new_axes(max(COLUMN_WIDTH, left + 2.6), 0.85 + 0.22 * len(rows), left=left, top=0.42, bottom=0.4)
        for statistic, colour, marker, shift in _SHOWN:
            for row, name in enumerate(rows):
                value, low, high = (found[name, statistic][part] for part in ("value", "low", "high"))
                ax.plot([low, high], [row + shift] * 2, color=colour, lw=2.2, alpha=0.4, solid_capstyle="butt")
                label = statistic if row == 0 else None
                ax.plot(value, row + shift, marker, color=colour, ms=3.2, ls="none", label=label)
        if np.isfinite(ceiling):
            ax.axvline(ceiling, color=INK, lw=0.8, ls=(0, (1, 2)), label="ceiling")
        ax.axvline(0, color=INK, lw=0.6, zorder=0)
        ax.set_yticks(range(len(rows)), [wrap(name) for name in rows], fontsize=SIZE)
        ax.tick_params(axis="y", length=0)
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="rank correlation")
        ax.set_axisbelow(True)
        ax.grid(axis="x", lw=0.4, alpha=0.4)
        ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0, **_TIGHT)
    return ax


def plot_ranks(
    scores: FloatArray,
    truth: FloatArray,
    name: str,
    label: str,
    *,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Rank by score against rank by truth, a point per architecture; 1 is the best. A dotted line: the perfect order.

    Args:
        scores: ``(n,)``, higher is better; what is not finite is the worst.
        truth: ``(n,)``, higher is better.
        name: Of the evaluator.
        label: Of the truth.
        styles: How evaluators are drawn.
        ax: Where to draw; new axes by default.

    Of more than :data:`MOST_POINTS` architectures every few are drawn, in the order of the truth.
    """
    ranked = [stats.rankdata(-np.where(np.isfinite(each), each, -np.inf)) for each in (scores, truth)]
    shown = np.argsort(ranked[1], kind="stable")[:: -(-len(truth) // MOST_POINTS)]
    look = (styles or palette([name]))[name]
    with style():
        ax = ax or new_axes(2.3, 2.4, left=0.55, right=0.1, bottom=0.45)
        ax.plot([1, len(truth)], [1, len(truth)], color=INK, lw=0.7, ls=(0, (1, 2)), zorder=0)
        ax.plot(
            ranked[0][shown], ranked[1][shown], "o", color=look.colour, markersize=2.4, markeredgewidth=0, alpha=0.55,
            gid=look.gid("points"),
        )  # fmt: skip
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        ax.set(xlabel="rank by score (1 = best)", ylabel=literal(f"rank by {label}"))
        ax.set_title(literal(name))
        ax.invert_xaxis()
        ax.invert_yaxis()
    return ax


def plot_matrix(matrix: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """A heat map of correlations between -1 and 1, the rows in the order of the frame.

    Args:
        matrix: Square; rows and columns carry the same names.
        ax: Where to draw; new axes by default.
    """
    names = [str(name) for name in matrix.index]
    side = max(1.6, _CELL * len(names))
    with style():
        if ax is None:
            margin = names_width(names)
            ax = new_axes(margin + side + 0.1, margin + side + 0.1, left=margin, right=0.1, top=margin, bottom=0.1)
        values = matrix.to_numpy(float)
        ax.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect="equal", interpolation="none")
        for (row, column), value in np.ndenumerate(values):
            ax.text(
                column, row, _short(value), ha="center", va="center", fontsize=SIZE,
                color="white" if abs(value) > 0.5 else INK,
            )  # fmt: skip
        ax.xaxis.tick_top()
        ticks = [wrap(name) for name in names]
        ax.set_xticks(range(len(names)), ticks, rotation=90, fontsize=SIZE)
        ax.set_yticks(range(len(names)), ticks, fontsize=SIZE)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.axhline(len(names) - 1.5, color="white", lw=1.6)
        ax.axvline(len(names) - 1.5, color="white", lw=1.6)
    return ax


def _short(value: float) -> str:
    """Two digits, without the zero before the point."""
    if not np.isfinite(value):
        return ""
    if abs(value) >= 0.995:
        return f"{value:.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.2f}".replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
