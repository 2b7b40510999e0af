"""How good what the runs ended with is: the paper's table first, all numbers and all runs folded away."""

from __future__ import annotations

import numpy as np
import pandas as pd

from naslab.analysis import plots, tables
from naslab.analysis.contents import Section
from naslab.analysis.data import COMPLETE, ResultsData, TaskInfo
from naslab.analysis.designs import design
from naslab.analysis.formats import number
from naslab.analysis.paper import Statistics, paper
from naslab.analysis.sections.words import EACH, INTERVAL, capital, runs_of, seeds_of
from naslab.analysis.style import palette


def final(data: ResultsData, found: Statistics, seed: int) -> Section:
    """The section."""
    section = Section("Final quality")
    quality, table = found.quality, paper(data, found)
    section.add("paper", "Strategies on tasks", table.frame, table.says, bold=table.bold)
    if len(data.seeds) < (fewest := design(data).fewest):
        section.says.append(
            f"Too few runs: {len(data.seeds)} per optimizer and task. Nothing is tested below {fewest}, and intervals "
            "are wide; one run has none."
        )
    if empty := int((data.runs["status"] != COMPLETE).sum()):
        section.says.append(f"{empty:,} of {len(data.runs):,} runs have no result; they are named under Runs.")
    with section.folded(f"{EACH}: what the tests say"):
        section.tell(tables.conclusions(data, found.tests))
    with section.folded("All numbers"):
        section.add(
            "final-quality",
            "Truth of the architecture that each run ended with",
            quality,
            f"n: complete runs (seeds {seeds_of(data)}). IQM: interquartile mean, with its {INTERVAL}; sd: sample "
            "standard deviation; regret: distance to the best truth in the space, in the same unit. Failed share: runs "
            "that ended without a feasible architecture; they count as the worst in median and IQM, and where there "
            "are any, mean, sd and regret are not given, which can't count them. A dash: not defined (one run has no "
            "spread, an unknown optimum no regret, too many failed).",
        )
        section.add(
            "regret-over-tasks",
            "Regret over all tasks",
            tables.over_tasks(data, np.random.default_rng(seed)),
            f"Interquartile mean of each task's runs (seeds {seeds_of(data)}), averaged over the tasks, with its "
            f"{INTERVAL}, resampled within each task. Where random search was compared, regrets are divided by the "
            "median of its own on each task: 0 is the optimum, 1 is random search.",
        )
    styles = palette(data.optimizers)
    complete = data.runs[data.runs["status"] == COMPLETE]
    with section.folded(f"{EACH}: every run"):
        for task, info in data.tasks.items():
            section.draw(
                f"final-{task}",
                f"Final quality on {task}",
                plots.plot_final(complete[complete["task"] == task], quality, info, styles=styles),
                f"{capital(info.metric)} at the end, one point per run; box: quartiles and median, whiskers to "
                f"the last point within 1.5 box lengths; diamond: IQM with its {INTERVAL}. {runs_of(data, info)}",
                _alt(quality[quality["task"] == task], info),
            )
    return section


def _alt(quality: pd.DataFrame, info: TaskInfo) -> str:
    """The interquartile means, best first."""
    known = quality[quality["IQM"].notna()].sort_values("IQM", ascending=info.sign < 0, kind="stable")
    each = [f"{name} {number(value)}" for name, value in zip(known["optimizer"], known["IQM"], strict=True)]
    return f"Interquartile mean {info.truth_label} on {info.id}, best first: {', '.join(each) or 'no result'}."
