"""The page about a search on one's own table: how good each network is, and quality against size."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from naslab.analysis.contents import Section
from naslab.analysis.plots import COST_LABELS
from naslab.analysis.style import COLUMN_WIDTH, INK, literal, new_axes, palette, style
from naslab.tabular.plan import Plan

FOUND, CONSTANT, RANDOM, RANDOM_BEST, TREES = (
    "found", "best constant width", "random feasible", "best random feasible", "boosted trees",
)  # fmt: skip
LABELS = {FOUND: "finalists", CONSTANT: "constant width", RANDOM_BEST: "random feasible"}
NAMES_WIDTH = 1.35  # inches
MOST_ROOM = 3  # times the largest network: a limit beyond would squeeze the points, and is not drawn


def sections(plan: Plan, frame: pd.DataFrame, trained: pd.DataFrame) -> list[Section]:
    """What the page says.

    Args:
        plan: The search.
        frame: As :attr:`naslab.tabular.search.OwnResult.frame`; the found network first, boosted trees last.
        trained: Every network that was trained from scratch: ``group, widths, params, validation``.
    """
    objective = plan.task.training_objective
    metric = f"{objective.metric} {objective.unit}".strip()
    found = Section("What was found")
    found.says.append(
        f"Scores are {metric}, {'higher' if objective.sign > 0 else 'lower'} is better. Every network is trained from "
        "scratch with the same recipe and seed. In each group the validation rows choose one network; the best of "
        "these on the validation rows, of equals the smallest, is saved. The test rows were looked at once, after that."
    )
    found.add(
        "results",
        "The found network and its references",
        frame,
        f"Seed {plan.seed}. Brackets: 95 % bootstrap over the test rows, 2,000 resamples; they do not "
        "cover another split or seed. 'found is better by' is paired (both are scored on the same resampled rows) and "
        "above 0 where the found network is better. Boosted trees: scikit-learn's HistGradientBoosting with its "
        "defaults.",
    )
    sizes = Section("Quality against size")
    sizes.draw(
        "trade-off",
        "Validation score against parameters",
        plot_sizes(plan, frame, trained),
        "Every network that was trained from scratch: the search's finalists, all feasible networks of constant width, "
        "and random feasible ones. Validation scores are on the rows that chose the epoch and the network.",
    )
    sizes.add("trained", "All networks trained from scratch", trained, "Validation scores.")
    table = Section("The table")
    table.add(
        "columns",
        "Columns of the table",
        plan.columns,
        "Missing: cells without a value, those included that count as missing. Features: how many inputs of the "
        "networks are made of the column, and the first of their names.",
    )
    return [found, sizes, table]


def plot_sizes(plan: Plan, frame: pd.DataFrame, trained: pd.DataFrame) -> Axes:
    """Validation score against parameters; arguments as :func:`sections`."""
    objective = plan.task.training_objective
    found, trees = frame.iloc[0], frame.iloc[-1]
    with style():
        ax = new_axes(COLUMN_WIDTH + NAMES_WIDTH, right=NAMES_WIDTH)
        for group, look in palette(trained["group"]).items():
            own = trained[trained["group"] == group].sort_values("params")
            ax.plot(
                own["params"],
                own["validation"],
                linestyle="-" if group == CONSTANT else "none",
                linewidth=0.8,
                color=look.colour,
                marker=look.marker,
                label=LABELS[group],
                gid=look.gid("points"),
            )
        x, y = [found["params"]], [found["validation"]]
        ax.plot(x, y, "o", markersize=9, markerfacecolor="none", color=INK, label="found")
        ax.axhline(trees["validation"], color=INK, linestyle="--", linewidth=0.8, label="boosted trees")
        for limit in plan.task.problem.constraint.limits:
            if limit.metric == "params" and limit.maximum < MOST_ROOM * trained["params"].max():
                ax.axvline(limit.maximum, color=INK, linestyle=":", linewidth=0.8, label="limit")
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel(COST_LABELS["params"])
        ax.set_ylabel(literal(f"validation {objective.metric} {objective.unit}".strip()))
        if objective.sign < 0:
            ax.invert_yaxis()  # up is better in every figure
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
