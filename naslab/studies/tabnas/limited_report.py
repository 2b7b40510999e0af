"""Summaries of runs under limits: means with intervals, over tasks, limits and seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from naslab.analysis.statistics import bootstrap_interval, holm, widening, wilcoxon_over_tasks
from naslab.analysis.style import legend_above, log_ticks, new_axes, palette

CELL = ["task", "metric", "limit"]


def mean_regret(runs: pd.DataFrame) -> dict[str, float]:
    """Mean over the cells (task and limit) of the mean over runs; 95 % bootstrap, stratified by cell.

    Not an interquartile mean of the pooled runs: that would cut away the cells whose regrets are largest.
    """
    strata = [group["regret"].to_numpy(float) for _, group in runs.groupby(CELL)]
    interval = bootstrap_interval(strata, np.random.default_rng(0), statistic=np.mean, per_stratum=True)
    return {"regret": interval.value, "low": interval.low, "high": interval.high}


def summary(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """One row per method and rule: mean regret with its interval, how often nothing was returned, and how many runs."""
    rows = []
    for key, group in runs.groupby(list(by), sort=False):
        values = key if isinstance(key, tuple) else (key,)
        row: dict[str, Any] = dict(zip(by, values, strict=True))
        rows.append({**row, **mean_regret(group), "nothing": group["fallback"].mean(), "runs": len(group)})
    return pd.DataFrame(rows)


def against(runs: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every method against one: the difference of mean regrets, and Wilcoxon's signed-rank test over tasks and limits.

    The difference has a 95 % bootstrap over the runs of both, stratified by task and limit; p is adjusted by Holm over
    the methods. Runs are independent, so only the cells' means are paired.
    """
    cells = runs.pivot_table(index=CELL, columns="method", values="regret", aggfunc="mean")
    rng, rows = np.random.default_rng(0), []
    for method in [name for name in runs["method"].unique() if name != reference]:
        differences, sizes = [], []
        for cell in cells.index:
            here = runs[(runs[CELL] == list(cell)).all(axis=1)]
            a, b = (here.loc[here["method"] == name, "regret"].to_numpy(float) for name in (method, reference))
            draws = [x[rng.integers(len(x), size=(2000, len(x)))].mean(axis=1) for x in (a, b)]
            differences.append(draws[0] - draws[1])
            sizes += [len(a), len(b)]
        a, b = cells[method].to_numpy(float), cells[reference].to_numpy(float)
        mean = float((a - b).mean())
        bounds = np.quantile(np.mean(differences, axis=0), [0.025, 0.975])
        low, high = mean + (widening(sizes) if min(sizes) > 1 else np.nan) * (bounds - mean)
        rows.append(
            {
                "method": method,
                f"regret minus that of {reference}": mean,
                "low": low,
                "high": high,
                "cells won": int((a < b).sum()),
                "cells": len(cells),
                "p": wilcoxon_over_tasks(a, b),
            }
        )
    frame = pd.DataFrame(rows)
    return frame.assign(**{"p (Holm)": holm(frame["p"])})


def curve(runs: pd.DataFrame, x: str, by: str) -> pd.DataFrame:
    """Mean regret with its interval at every value of one column, one line per value of another."""
    rows = [{by: key[0], x: key[1], **mean_regret(group)} for key, group in runs.groupby([by, x], sort=False)]
    return pd.DataFrame(rows).sort_values([by, x], kind="stable")


def draw_curves(frame: pd.DataFrame, x: str, by: str, names: Iterable[str] = (), **axis: Any) -> Axes:
    """One line with its band per value of a column, against the logarithm of another."""
    ax = new_axes()
    for name, look in palette(names or frame[by].unique()).items():
        rows = frame[frame[by] == name]
        ax.plot(rows[x], rows["regret"], color=look.colour, ls=look.line, marker=look.marker, ms=3, label=name)
        ax.fill_between(rows[x], rows["low"], rows["high"], color=look.colour, alpha=0.15, lw=0)
    ax.set(**{"xlabel": x, "ylabel": "regret, points", **axis})
    log_ticks(ax, frame[x])
    legend_above(ax)
    return ax
