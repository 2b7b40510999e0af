"""Tables and figures of the multi-fidelity study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from naslab.analysis import anytime, rank_plots, tables
from naslab.analysis.carried_out import UTILISATION
from naslab.analysis.contents import Section
from naslab.analysis.data import COMPLETE, MISSING, FloatArray, ResultsData, TaskInfo
from naslab.analysis.labels import block_width, label_ends
from naslab.analysis.paired import signed_rank
from naslab.analysis.sections.words import INTERVAL
from naslab.analysis.statistics import holm, mann_whitney_holm, mean_columns, probability_of_improvement
from naslab.analysis.style import Styles, new_axes, palette, style

BASELINE = "random"


@dataclass(frozen=True)
class Found:
    """What the study ran.

    Attributes:
        several: By the number of workers the strategies that ran with each.
        everyone: With one worker all strategies, those of fewer seeds among them.
        alike: The same, as many seeds of each.
        scratch: With one worker the strategies over rungs, their trials training from scratch.
        trainings: Average trainings that a run may pay for.
    """

    several: Mapping[int, ResultsData]
    everyone: ResultsData
    alike: ResultsData
    scratch: ResultsData
    trainings: int

    @property
    def shown(self) -> dict[int, ResultsData]:
        """By the number of workers all strategies that ran with so many."""
        return {**self.several, 1: self.everyone}


def sections(found: Found) -> list[Section]:
    """The page."""
    return [_end(found), _ranks(found), _over_time(found), _workers(found), _scratch(found)]


def regrets(found: Found) -> pd.DataFrame:
    """Per number of workers, task and strategy the mean regret, and how often a run beats one of random search.

    p is of the two-sided Mann-Whitney test against random search, after Holm over all rows of one number of workers.
    """
    parts = []
    for workers, data in found.shown.items():
        rows, tests = [], []
        for task in data.tasks:
            baseline = data.scores(task, BASELINE)
            for optimizer in data.optimizers:
                scores = data.scores(task, optimizer)
                row = {"workers": workers, "task": task, "optimizer": optimizer, "n": len(scores)}
                row |= mean_columns(regret_of(data, task, optimizer), "regret")
                beats, p = (np.nan, np.nan, np.nan), np.nan
                if optimizer != BASELINE:
                    beats = probability_of_improvement([scores], [baseline], np.random.default_rng(0))
                    p = float(mann_whitney_holm({"a": scores, "b": baseline})["p"].iloc[0])
                rows.append({**row, **dict(zip(("P", "P low", "P high"), beats, strict=True))})
                tests.append(p)
        parts.append(pd.DataFrame(rows).assign(p=holm(tests)))
    return pd.concat(parts, ignore_index=True)


def regret_of(data: ResultsData, task: str, optimizer: str) -> FloatArray:
    """Regrets of the runs of one strategy; NaN for one that returned nothing, whose mean then is not given."""
    runs = data.of(task, optimizer)
    runs = runs[runs["status"] != MISSING]
    return runs["regret"].where(runs["status"] == COMPLETE).to_numpy(float)


def continued(going_on: ResultsData, scratch: ResultsData) -> pd.DataFrame:
    """Per task and strategy the regret where trials go on and where they begin again, and how far these are apart.

    Runs of one seed begin with the same random numbers on both sides: their differences are taken, and tested.
    """
    rows, tests = [], []
    for task in scratch.tasks:
        for optimizer in scratch.optimizers:
            on, again = (regret_of(data, task, optimizer) for data in (going_on, scratch))
            row: dict[str, Any] = {"task": task, "optimizer": optimizer, "n": len(again)}
            row |= {
                **mean_columns(on, "continue"),
                **mean_columns(again, "scratch"),
                **mean_columns(again - on, "gain"),
            }
            pairs = [[data.by_seed(task, optimizer)] for data in (going_on, scratch)]
            tests.append(signed_rank(*pairs)[0])
            rows.append(row)
    return pd.DataFrame(rows).assign(p=holm(tests))


def busy(found: Found) -> pd.DataFrame:
    """Per number of workers, task and strategy what the budget was used for."""
    rows = []
    for workers, data in found.shown.items():
        for task, info in data.tasks.items():
            for optimizer in data.optimizers:
                runs = data.of(task, optimizer)
                runs = runs[runs["status"] != MISSING]
                row = {"workers": workers, "task": task, "optimizer": optimizer, "n": len(runs)}
                row |= mean_columns(runs["evaluations"], "evaluations")
                row |= mean_columns(runs["seconds"] / (workers * info.budget), "share of the budget")
                if workers > 1:
                    row |= mean_columns(runs[UTILISATION], "utilisation")
                rows.append(row)
    return pd.DataFrame(rows)


def _end(found: Found) -> Section:
    section = Section("Regret at the end")
    section.says += [
        "Budgets, on each table's recorded clock: "
        + "; ".join(
            f"{info.id} {', '.join(f'{data.task(task).budget_text} ({n})' for n, data in found.several.items())}"
            for task, info in found.everyone.tasks.items()
        )
        + f" (number of workers): {found.trainings} average trainings of the table in all, rounded."
    ]
    section.add(
        "regret", "Regret at the end", regrets(found),
        "Regret: distance of the mean test accuracy of what a run returned to the best in the table, in points; mean "
        "over n runs with Student's 95 % interval. P: probability that a run beats one of random search, with its "
        "interval; p: Mann-Whitney against random search, after Holm over the rows of one number of workers.",
    )  # fmt: skip
    return section


def _ranks(found: Found) -> Section:
    section = Section("Ranks")
    least = len(found.alike.seeds)
    for name, what, data in (
        *((f"{n}", _workers_are(n), data) for n, data in found.several.items()),
        ("alike", f"{_workers_are(1)}, the first {least} seeds of all", found.alike),
    ):
        ranked = tables.ranks(data, np.random.default_rng(0))
        caption = (
            f"Rank of the interquartile mean test accuracy on each table (1 = best), {len(data.seeds)} runs each; "
            f"average with its {INTERVAL}: other runs, the same tables."
        )
        section.add(f"ranks-{name}", f"Ranks, {what}", ranked, caption)
        if len(ranked):
            styles = palette(found.everyone.optimizers)
            section.draw(f"ranks-{name}", f"Ranks, {what}", rank_plots.plot_ranks(ranked, styles=styles), caption)
    return section


def _over_time(found: Found) -> Section:
    section = Section("Quality over time")
    areas = [
        anytime.area(data, np.random.default_rng(0)).assign(workers=workers) for workers, data in found.shown.items()
    ]
    section.add(
        "area", "Regret over time", pd.concat(areas, ignore_index=True),
        f"Regret of what a run would return, averaged over its budget; mean over runs with its {INTERVAL}. Until its "
        "first architecture a run is charged the largest regret seen on the task.",
    )  # fmt: skip
    for workers, data in found.shown.items():
        for task, info in data.tasks.items():
            curves = anytime.curves(data, task, np.random.default_rng(0))
            section.draw(
                f"anytime-{workers}-{task}", f"{task}, {_workers_are(workers)}",
                regret_over_time(curves, info, palette(found.everyone.optimizers)),
                f"Mean regret of what a run would return (the best at the highest fidelity told so far), with its "
                f"{INTERVAL}; from the moment when every run of a strategy would return something.",
            )  # fmt: skip
    return section


def regret_over_time(curves: pd.DataFrame, info: TaskInfo, styles: Styles) -> Axes:
    """Mean regret against the clock, both on logarithmic scales (`curves`: :func:`naslab.analysis.anytime.curves`)."""
    names, ends = list(curves["optimizer"].unique()), {}
    right = block_width(names)
    with style():
        ax = new_axes(3.0 + right, 3.4, left=0.5, right=right)
        for name, curve in curves.groupby("optimizer", sort=False):
            look, clock = styles[str(name)], curve["clock"].to_numpy(float)
            mean, low, high = ((info.optimum or 0.0) - curve[each].to_numpy(float) for each in ("mean", "high", "low"))
            ax.step(clock, mean, where="post", color=look.colour, linestyle=look.line, gid=look.gid("line"))
            ax.fill_between(
                clock, low, high, step="post", color=look.colour, alpha=0.08, linewidth=0, gid=look.gid("band")
            )
            ends[str(name)] = (float(clock[-1]), float(mean[-1]))
        ax.set(xscale="log", yscale="log", xlabel=info.clock_label, ylabel="mean regret (points)", title=info.id)
        ax.set_xlim(right=float(curves["clock"].max()))
        label_ends(ax, ends, styles)
    return ax


def _workers(found: Found) -> Section:
    section = Section("Workers")
    section.add(
        "workers", "What the budget was used for", busy(found),
        "Means over n runs with Student's 95 % interval. Evaluations: results told, of any fidelity. Share of the "
        "budget: seconds charged, over the workers' seconds; what would end after the budget is not begun. "
        "Utilisation: the same over the workers' seconds until the last result.",
    )  # fmt: skip
    return section


def _scratch(found: Found) -> Section:
    section = Section("Continue against scratch")
    section.add(
        "scratch", "What going on is worth", continued(found.several[1], found.scratch),
        "Regret with one worker where a trial that goes on pays for its further epochs alone (continue), and where it "
        "is trained again from the first (scratch: --resume scratch), at the same seconds; gain: the difference of "
        "runs that began with the same random numbers. Means over n runs with Student's 95 % interval; p: Wilcoxon's "
        "signed-rank test of the differences, after Holm over the table.",
    )  # fmt: skip
    return section


def _workers_are(count: int) -> str:
    return "one worker" if count == 1 else f"{count} workers"
