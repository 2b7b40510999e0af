"""Anytime performance: one ECDF over targets and tasks, its area, expected running times, and curves of each task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from naslab.analysis import anytime, plots, target_plots, targets
from naslab.analysis.contents import Section
from naslab.analysis.data import ResultsData, TaskInfo
from naslab.analysis.formats import number
from naslab.analysis.sections.words import EACH, INTERVAL, runs_of
from naslab.analysis.style import palette


def over_time(data: ResultsData, seed: int) -> Section:
    """The section."""
    section, styles = Section("Anytime performance"), palette(data.optimizers)
    areas = targets.area_under(data, np.random.default_rng(seed))
    if areas.empty:
        section.says.append("No run has an architecture: there is no target to reach.")
    else:
        section.says.append(_headline(areas))
        section.says.append(f"Targets of each task: {targets.RULE}.")
        _ecdf(section, data, areas)
    times = targets.expected_running_time(data, np.random.default_rng(seed))
    times["within"] = [f"{within:g}" for within in times["within"]]
    section.add(
        "expected-running-time",
        "Expected running time to targets",
        _side_by_side(times),
        "ERT: what all runs spent until they reached the target, or to their end, divided by the number that reached "
        f"it, with its {INTERVAL} of other runs, on a logarithmic scale; ∞: nobody did, or too few for an upper "
        "bound. Within: the target, a distance to the best truth in the truth's unit; easy, medium and hard are a "
        "third of the way along a task's targets, two thirds, and their end.",
    )
    with section.folded("Expected running time: how many runs reached each target"):
        section.add(
            "time-to-target",
            "Runs that reached the targets",
            times,
            "n: runs; reached: those that got within the distance of the best truth.",
        )
    with section.folded(f"{EACH}: targets reached, and the median run"):
        for task, info in data.tasks.items():
            frame = targets.ecdf(data, [task])
            if len(data.tasks) > 1 and len(frame):
                section.draw(
                    f"ecdf-{task}",
                    f"Targets reached on {task}",
                    target_plots.plot_ecdf(frame, task, info.clock_label, styles=styles),
                    f"Share of runs and targets reached. {_targets(data, info)} {runs_of(data, info)}",
                    _ends(frame, f"Share of targets reached at the end on {task}"),
                )
            curves = anytime.curves(data, task, np.random.default_rng(seed), n_resamples=0)
            section.draw(
                f"anytime-{task}",
                f"Median over time on {task}",
                plots.plot_anytime(curves, info, styles=styles),
                f"Median (line) and quartiles (band) of the {info.metric} of the best architecture so far (by "
                "reward). The quality axis is scaled to the second half of the (logarithmic) clock. "
                f"{runs_of(data, info)}",
                _ends(curves.rename(columns={"median": "share"}), f"Median {info.truth_label} at the end on {task}"),
            )
    with section.folded("Regret over time"):
        section.add(
            "area-over-the-curve",
            "Area over the anytime curve",
            anytime.area(data, np.random.default_rng(seed)),
            "Regret of the best architecture so far, averaged over the budget (lower is better), in the truth's "
            f"unit; mean over runs with its {INTERVAL}. Until its first architecture a run is charged the largest "
            "regret seen on the task. 'best seen': the optimum is unknown, and regret is counted from the best "
            "truth of any run.",
        )
    return section


def _ecdf(section: Section, data: ResultsData, areas: pd.DataFrame) -> None:
    frame, several = targets.ecdf(data), len(data.tasks) > 1
    shared = targets.shared_clock(data, list(data.tasks))
    label = next(iter(data.tasks.values())).clock_label if shared else "share of the budget"
    over = f"all {len(data.tasks)} tasks" if several else next(iter(data.tasks))
    if len(frame):
        section.draw(
            "ecdf",
            f"Targets reached over time, {over}",
            target_plots.plot_ecdf(frame, over, label, wide=True, styles=palette(data.optimizers)),
            f"Empirical distribution of running times: share of all runs and targets of {over} that are reached"
            f"{', tasks weighing the same' if several else ''}. {runs_of(data)}",
            _ends(frame, f"Share of targets reached at the end, {over}"),
        )
    section.add(
        "area-under-the-ecdf",
        "Area under the ECDF",
        areas,
        "The curve's height averaged over the logarithm of time, from the first evaluation (on a clock in seconds: the "
        f"first architecture of any run) to the budget; with its {INTERVAL}, resampled within each task. 1: all "
        "targets at once; 0: none ever.",
    )


def _headline(areas: pd.DataFrame) -> str:
    known = areas[areas["area"].notna()]
    if known.empty:
        return "Runs are missing: no area over all tasks."
    each = [
        f"{row['optimizer']} {row['area']:.2f}"
        + (f" [{row['area low']:.2f}, {row['area high']:.2f}]" if np.isfinite(row["area low"]) else "")
        for row in known.to_dict("records")
    ]
    more = f", and {len(each) - 5} more below" if len(each) > 5 else ""
    return f"Area under the ECDF of targets (1 is the most): {', '.join(each[:5])}{more}."


def _targets(data: ResultsData, info: TaskInfo) -> str:
    found = targets.levels(data, info.id)
    best, source = anytime.reference(data, info.id)
    source = "the optimum" if source == "optimum" else "the best truth seen (the optimum is unknown)"
    unit = plots.points(info.unit)
    ends = f"{found[0]:g} to {found[-1]:g}" if len(found) > 1 else f"{found[0]:g}"
    return f"{len(found)} targets, {ends} {unit}".rstrip() + f" from {source}, {best:.6g} {info.unit}".rstrip() + "."


def _side_by_side(times: pd.DataFrame) -> pd.DataFrame:
    """A row per task and target, a column per optimizer."""
    keys = ["task", "target", "within", "time in"]
    found = times[keys].drop_duplicates(ignore_index=True)
    for name in dict.fromkeys(times["optimizer"]):
        own = times[times["optimizer"] == name].rename(
            columns={"ERT": name, "ERT low": f"{name} low", "ERT high": f"{name} high"}
        )
        found = found.merge(own[[*keys, name, f"{name} low", f"{name} high"]], on=keys, how="left")
    return found


def _ends(frame: pd.DataFrame, what: str) -> str:
    last = frame.groupby("optimizer", sort=False)["share"].last()
    each = [f"{name} {number(value)}" for name, value in last.items() if np.isfinite(value)]
    return f"{what}: {', '.join(each) or 'none'}."
