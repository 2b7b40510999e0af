"""What a report says: its sections, each with sentences, tables and figures, made from the runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslab.analysis import anytime, plots, rank_plots, tables, tradeoff
from naslab.analysis.data import COMPLETE, ResultsData, TaskInfo
from naslab.analysis.statistics import FriedmanNemenyi, wilcoxon_over_tasks
from naslab.analysis.style import figure_of, palette

MOST_PAIRS = 10
INTERVAL = "95 % percentile bootstrap interval, 2,000 resamples"


@dataclass(frozen=True, eq=False)
class Table:
    """A table of the report, and the name of its files."""

    name: str
    title: str
    frame: pd.DataFrame
    caption: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of the report, and the name of its files."""

    name: str
    title: str
    figure: Figure
    caption: str


@dataclass(eq=False)
class Section:
    """A part of the report under one heading."""

    title: str
    says: list[str] = field(default_factory=list)
    items: list[Table | Picture] = field(default_factory=list)

    def add(self, name: str, title: str, frame: pd.DataFrame, caption: str) -> None:
        """Add a table; one without rows has nothing to say and is left out."""
        if len(frame):
            self.items.append(Table(name, title, frame, caption))

    def draw(self, name: str, title: str, ax: Axes, caption: str) -> None:
        """Add a figure."""
        self.items.append(Picture(name, title, figure_of(ax), caption))


def sections(
    data: ResultsData,
    seed: int,
    extra_tables: Sequence[tuple[str, pd.DataFrame, str]] = (),
) -> list[Section]:
    """The sections of the report on these runs, in order.

    Every table draws its resamples afresh from ``seed``, so that it is the same here and anywhere else.
    """
    tests = tables.significance(data, np.random.default_rng(seed))
    made = [_final(data, tests, seed)]
    if extra_tables:
        made.append(Section("Further tables"))
        for number, (title, frame, caption) in enumerate(extra_tables, start=1):
            made[-1].items.append(Table(f"further-{number}-{title}", title, frame, caption))
    return [*made, _anytime(data, seed), _targets(data), _significance(data, tests, seed), _tradeoff(data)]


def runs_section(data: ResultsData) -> Section:
    """What was asked for, and which runs are missing or ended with nothing."""
    section = Section("Runs")
    complete = int((data.runs["status"] == COMPLETE).sum())
    section.says.append(
        f"{len(data.tasks)} tasks x {len(data.optimizers)} optimizers x {len(data.seeds)} seeds = "
        f"{len(data.runs):,} runs asked for, {complete:,} complete."
    )
    section.says += [
        f"{info.id}: budget {info.budget_text}" + (f"; {info.constraint}" if info.constraint else "") + "; "
        + ("optimum unknown" if info.optimum is None else f"optimum {info.optimum:.6g} {info.unit}".rstrip())
        + f"; judged by {info.metric} ({'higher' if info.sign > 0 else 'lower'} is better)."
        for info in data.tasks.values()
    ]  # fmt: skip
    if complete == len(data.runs):
        section.says.append("No run is missing.")
    section.add(
        "runs-without-result",
        "Runs without a result",
        tables.absent(data),
        "Missing: the run was not finished, or not started; it is left out of every statistic. No-feasible: "
        "it spent its budget without a feasible architecture. Failed: none of its scores was a finite number. Ranks "
        "and curves count these two as worse than any other.",
    )
    return section


def _final(data: ResultsData, tests: pd.DataFrame, seed: int) -> Section:
    section = Section("Final quality")
    quality = tables.final_quality(data, np.random.default_rng(seed))
    section.says += tables.conclusions(data, tests)
    if empty := int((data.runs["status"] != COMPLETE).sum()):
        section.says.append(f"{empty:,} of {len(data.runs):,} runs have no result; they are named under Runs.")
    section.add(
        "final-quality",
        "Truth of the architecture that each run ended with",
        quality,
        f"n: complete runs (seeds {_seeds(data)}). IQM: interquartile mean, with its {INTERVAL}; sd: sample "
        "standard deviation; regret: distance to the best truth in the space, in the same unit. A dash: not "
        "defined (one run has no spread, an unknown optimum no regret).",
    )
    section.add(
        "regret-over-tasks",
        "Regret over all tasks",
        tables.over_tasks(data, np.random.default_rng(seed)),
        f"Runs of all tasks pooled; {INTERVAL}, resampled within each task (Agarwal et al. 2021).",
    )
    styles = palette(data.optimizers)
    complete = data.runs[data.runs["status"] == COMPLETE]
    for task, info in data.tasks.items():
        section.draw(
            f"final-{task}",
            f"Final quality on {task}",
            plots.plot_final(complete[complete["task"] == task], quality, info, styles=styles),
            f"{_capital(info.metric)} at the end, one point per run; box: quartiles and median, whiskers to "
            f"the last point within 1.5 box lengths; diamond: IQM with its {INTERVAL}. {_runs(data, info)}",
        )
    return section


def _anytime(data: ResultsData, seed: int) -> Section:
    section = Section("Quality over time")
    styles = palette(data.optimizers)
    frames = {task: anytime.curves(data, task, np.random.default_rng(seed)) for task in data.tasks}
    start = "The axis of quality starts where the second half of the (logarithmic) clock does."
    for task, info in data.tasks.items():
        section.draw(
            f"anytime-median-{task}",
            f"Median over time on {task}",
            plots.plot_anytime(frames[task], info, styles=styles),
            f"Median (line) and quartiles (band) of the {info.metric} of the best architecture so far (by reward). "
            f"{start} {_runs(data, info)}",
        )
    for task, info in data.tasks.items():
        section.draw(
            f"anytime-mean-{task}",
            f"Mean over time on {task}",
            plots.plot_anytime_mean(frames[task], info, styles=styles),
            f"Mean (line) and its {INTERVAL} (band) of the {info.metric} of the best architecture so far (by "
            f"reward), from when every run that ever finds one has one. {start} {_runs(data, info)}",
        )
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


def _targets(data: ResultsData) -> Section:
    section = Section("Time to a target")
    styles = palette(data.optimizers)
    for task, info in data.tasks.items():
        frame = anytime.ecdf(data, task)
        best, source = anytime.reference(data, task)
        source = "the optimum" if source == "optimum" else "the best truth seen (the optimum is unknown)"
        for target in frame["target"].unique():
            section.draw(
                f"ecdf-{task}-{target:g}",
                f"Runs within {target:g} on {task}",
                plots.plot_ecdf(frame, info, target, styles=styles),
                f"Share of runs whose best architecture so far has come within {target:g} "
                f"{plots.points(info.unit)} of {source}, {best:.6g} {info.unit}. {_runs(data, info)}",
            )
    section.add(
        "time-to-target",
        "Time to a target",
        anytime.time_to_target(data),
        "within: distance to the optimum (or the best truth seen) in the truth's unit; reached: runs that "
        "got there; median time over all runs, a dash where no more than half got there.",
    )
    return section


def _significance(data: ResultsData, tests: pd.DataFrame, seed: int) -> Section:
    section = Section("Significance")
    if len(data.optimizers) == 1:
        section.says.append("No test: there is one optimizer and nothing to compare it with.")
        return section
    styles = palette(data.optimizers)
    section.add(
        "pairs",
        "Pairs of optimizers on each task",
        tests,
        "P(a > b): probability that a run of a is better than one of b (ties count one half) with its "
        f"{INTERVAL}; p: two-sided Mann-Whitney U; p Holm: adjusted for the pairs of one task. "
        "Better: the winner at p Holm < 0.05. A dash: not tested, fewer than two runs on a side.",
    )
    pairs = tables.improvement(data, np.random.default_rng(seed))
    drawn = pairs[pairs["P(a > b)"].notna()]
    mean = "averaged over the tasks" if len(data.tasks) > 1 else "on the one task"
    if 0 < len(drawn) <= MOST_PAIRS:
        section.draw(
            "improvement",
            "Probability of improvement",
            rank_plots.plot_improvement(drawn, styles=styles),
            f"Probability that a run of the left optimizer is better than one of the right, {mean} (tick), "
            f"with its {INTERVAL} (bar), resampled within task and optimizer. {_runs(data)}",
        )
    if len(data.optimizers) > 2 and len(drawn):
        section.draw(
            "pairwise",
            "Pairs of optimizers",
            rank_plots.plot_pairwise(drawn, styles=styles),
            f"How often (%) a run of the row is better than one of the column, {mean}; bold: the {INTERVAL} "
            f"leaves out 50. {_runs(data)}",
        )
    result = tables.friedman(data)
    section.says.append(_friedman_sentence(result))
    if len(data.optimizers) == 2:
        section.says.append(_wilcoxon_sentence(data))
    if left_out := [str(task) for task, row in tables.mean_scores(data).iterrows() if row.isna().any()]:
        section.says.append(f"Not every optimizer has runs on {', '.join(left_out)}: left out of the ranks.")
    ranks = tables.ranks(data, np.random.default_rng(seed))
    if len(data.tasks) > 1 and len(ranks):
        section.add(
            "ranks",
            "Ranks",
            ranks,
            f"Rank of the mean truth on each task, 1 = best; ties share a rank. Average with its {INTERVAL}, resampled "
            "within task and optimizer: other runs, the same tasks.",
        )
        if isinstance(result, FriedmanNemenyi):
            section.add(
                "nemenyi",
                "Nemenyi's test",
                result.pairs,
                f"Post-hoc test of average ranks over {result.tasks} tasks; differences above "
                f"{result.critical_difference:.2f} are significant at {result.alpha:g}.",
            )
        section.draw(
            "ranks",
            "Ranks",
            rank_plots.plot_ranks(ranks, styles=styles),
            "Rank by mean truth on each task (dots; larger for several tasks) and on average (bar; line: its "
            f"{INTERVAL}). {_runs(data)}",
        )
    if isinstance(result, FriedmanNemenyi):
        section.draw(
            "critical-difference",
            "Critical-difference diagram",
            rank_plots.plot_critical_difference(result, styles=styles),
            f"Average ranks over {result.tasks} tasks; a bar joins optimizers that Nemenyi's test does not "
            f"tell apart at {result.alpha:g} (Demsar 2006). {_runs(data)}",
        )
    return section


def _tradeoff(data: ResultsData) -> Section:
    section = Section("Quality against cost")
    if not data.costs:
        section.says.append("No cost is known for these tasks.")
        return section
    styles = palette(data.optimizers)
    for cost in data.costs:
        for task, info in data.tasks.items():
            frame = tradeoff.points(data, task, cost)
            if frame.empty:
                section.says.append(f"{task}: no run with a known {plots.COST_LABELS[cost]}.")
                continue
            section.draw(
                f"tradeoff-{cost}-{task}",
                f"{_capital(info.metric)} against {plots.COST_LABELS[cost]} on {task}",
                plots.plot_tradeoff(frame, info, cost, styles=styles),
                f"{_capital(info.metric)} against {plots.COST_LABELS[cost]} of the architectures that runs "
                "ended with (markers, larger where several runs ended with the same) and each optimizer's "
                f"Pareto front (steps). {_runs(data, info)}",
            )
        section.add(
            f"hypervolume-{cost}",
            f"Hypervolume of the Pareto fronts, {plots.COST_LABELS[cost]}",
            tradeoff.summary(data, cost),
            "Area that the front dominates, over that of the best truth at the lowest cost (1 is the most). "
            "Reference point: the worst truth and the highest cost of any run on the task, each a tenth of the "
            "range further out.",
        )
    return section


def _friedman_sentence(result: FriedmanNemenyi | str) -> str:
    if isinstance(result, str):
        return result
    differ = "the optimizers differ" if result.p < result.alpha else "no difference shown"
    return (
        f"Friedman's test over {result.tasks} tasks (mean over seeds per task): chi-squared = "
        f"{result.statistic:.2f} with {len(result.ranks) - 1} degrees of freedom, p = {result.p:.3g}: {differ} "
        f"at {result.alpha:g}."
    )


def _wilcoxon_sentence(data: ResultsData) -> str:
    scores = tables.mean_scores(data).dropna()
    scores = scores[np.isfinite(scores.to_numpy(float)).all(axis=1)]
    p = wilcoxon_over_tasks(*(scores[optimizer].to_numpy(float) for optimizer in data.optimizers))
    if np.isnan(p):
        return f"No Wilcoxon signed-rank test over tasks: with {len(scores)} it can't reach p < 0.05; it needs six."
    return f"Wilcoxon signed-rank test over {len(scores)} tasks (mean over seeds per task): p = {p:.3g}."


def _runs(data: ResultsData, info: TaskInfo | None = None) -> str:
    """How many runs a figure shows, for its caption."""
    tasks = list(data.tasks) if info is None else [info.id]
    counts = [len(data.scores(task, optimizer)) for task in tasks for optimizer in data.optimizers]
    low, high = min(counts), max(counts)
    n = f"{low}" if low == high else f"{low} to {high}, see the table of missing runs"
    each = "per optimizer" if len(tasks) == 1 else "per optimizer and task"
    single = " One run: no interval." if high == 1 else ""
    return f"Runs {each}: n = {n} (seeds {_seeds(data)}).{single}"


def _seeds(data: ResultsData) -> str:
    return tables.ranges(data.seeds)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
