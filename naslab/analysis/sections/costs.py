"""Quality against what architectures cost."""

from __future__ import annotations

import pandas as pd

from naslab.analysis import plots, tradeoff
from naslab.analysis.contents import Section
from naslab.analysis.data import ResultsData, TaskInfo
from naslab.analysis.sections.words import EACH, capital, runs_of, seeds_of
from naslab.analysis.style import palette


def costs(data: ResultsData) -> Section:
    """The section; a sentence where no cost is known."""
    section = Section("Quality against cost")
    if not data.costs:
        section.says.append("No cost is known for these tasks.")
        return section
    styles = palette(data.optimizers)
    for cost in data.costs:
        section.add(
            f"hypervolume-{cost}",
            f"Hypervolume of the Pareto fronts, {plots.cost_label(cost)}",
            tradeoff.summary(data, cost),
            "Area that the front of all that a run evaluated dominates, judged by the truth, over that of the best "
            f"truth at the lowest cost (1 is the most): mean over n runs (seeds {seeds_of(data)}) with Student's 95 % "
            "interval; a run without a result has 0. Front: architectures on it. Exact front: the best there is. "
            "Reference point: on a table the median truth and the highest cost of its feasible architectures; else "
            "the worst truth and the highest cost of any run's result, each a tenth of the range further out.",
        )
        with section.folded(f"{EACH}: quality against {plots.cost_label(cost)}"):
            for task, info in data.tasks.items():
                frame = tradeoff.points(data, task, cost)
                if frame.empty:
                    section.says.append(f"{task}: no run with a known {plots.cost_label(cost)}.")
                    continue
                section.draw(
                    f"tradeoff-{cost}-{task}",
                    f"{capital(info.metric)} against {plots.cost_label(cost)} on {task}",
                    plots.plot_tradeoff(frame, info, cost, styles=styles),
                    f"{capital(info.metric)} against {plots.cost_label(cost)} of the architectures that runs "
                    "ended with (markers, larger where several runs ended with the same) and each optimizer's "
                    "Pareto front over all its runs (steps), which grows with their number; the table's hypervolume is "
                    f"per run. {runs_of(data, info)}",
                    _fronts(frame, info, plots.cost_label(cost)),
                )
    return section


def _fronts(frame: pd.DataFrame, info: TaskInfo, cost: str) -> str:
    """Each optimizer's best and cheapest, in words."""
    each = []
    for name, front in frame[frame["front"]].groupby("optimizer", sort=False):
        first, last = front.iloc[0], front.iloc[-1]
        each.append(f"{name} {last['truth']:.5g} at {last['cost']:,.4g}, {first['truth']:.5g} at {first['cost']:,.4g}")
    return f"Pareto fronts on {info.id}, {info.truth_label} at {cost}, best and cheapest: {'; '.join(each)}."
