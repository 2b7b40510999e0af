"""What a report says: its sections, each with sentences, tables and figures, made from the runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from naslab.analysis import anytime, carried_out, plots, rank_plots, tables, tradeoff
from naslab.analysis.data import COMPLETE, ResultsData, TaskInfo
from naslab.analysis.designs import design
from naslab.analysis.statistics import FEWEST, FriedmanNemenyi, wilcoxon_over_tasks
from naslab.analysis.style import figure_of, palette

MOST_PAIRS = 10
INTERVAL = "95 % bootstrap interval (2,000 resamples, widened for few runs as Student's is)"


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
    pairs = tables.improvement(data, np.random.default_rng(seed))
    made = [_final(data, tests, pairs, seed)]
    if extra_tables:
        made.append(Section("Further tables"))
        for number, (title, frame, caption) in enumerate(extra_tables, start=1):
            made[-1].items.append(Table(f"further-{number}-{title}", title, frame, caption))
    return [*made, _anytime(data, seed), _targets(data), _significance(data, tests, pairs, seed), _tradeoff(data)]


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
        "Missing: the run was not finished, or not started; nobody knows how good it would be, and its optimizer is "
        "not ranked or tested on this task. No-feasible: it spent its budget without a feasible architecture. Failed: "
        "none of its scores was a finite number. Medians, interquartile means, ranks, tests and curves count these two "
        "as worse than any other.",
    )
    section.says += carried_out.resumed(data)
    section.add(
        "failed-evaluations",
        "Evaluations that failed",
        carried_out.failed_evaluations(data),
        "By kind: error (the evaluator raised), time limit, died (its process ended), no number. They were told to the "
        "optimizer as failures, and charged; they are not infeasible architectures.",
    )
    section.add(
        "workers",
        "Workers",
        carried_out.busy_workers(data),
        "Runs with several workers: means over n runs of the seconds from a run's start to its last result, and of "
        "the share of them in which workers evaluated.",
    )
    section.add("sources", "What was read of other tasks", carried_out.read_elsewhere(data), carried_out.READ_SAYS)
    return section


def _final(data: ResultsData, tests: pd.DataFrame, pairs: pd.DataFrame, seed: int) -> Section:
    section = Section("Final quality")
    quality = tables.final_quality(data, np.random.default_rng(seed))
    if len(pairs):
        section.says.append(tables.headline(data, pairs))
    section.says += tables.conclusions(data, tests)
    if len(data.seeds) < (fewest := design(data).fewest):
        section.says.append(
            f"Too few runs: {len(data.seeds)} per optimizer and task. Nothing is tested below {fewest}, and intervals "
            "are wide; one run has none."
        )
    if empty := int((data.runs["status"] != COMPLETE).sum()):
        section.says.append(f"{empty:,} of {len(data.runs):,} runs have no result; they are named under Runs.")
    section.add(
        "final-quality",
        "Truth of the architecture that each run ended with",
        quality,
        f"n: complete runs (seeds {_seeds(data)}). IQM: interquartile mean, with its {INTERVAL}; sd: sample "
        "standard deviation; regret: distance to the best truth in the space, in the same unit. Failed share: runs "
        "that ended without a feasible architecture; they count as the worst in median and IQM, and where there are "
        "any, mean, sd and regret are not given, which can't count them. A dash: not defined (one run has no "
        "spread, an unknown optimum no regret, too many failed).",
    )
    section.add(
        "regret-over-tasks",
        "Regret over all tasks",
        tables.over_tasks(data, np.random.default_rng(seed)),
        f"Interquartile mean of each task's runs (seeds {_seeds(data)}), averaged over the tasks, with its {INTERVAL}, "
        f"resampled within each task. Where random search was compared, regrets are divided by the median of its own "
        "on each task: 0 is the optimum, 1 is random search.",
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
    start = "The quality axis is scaled to the second half of the (logarithmic) clock."
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
            f"reward), from the time when every run has one (never, if a run found none). {start} {_runs(data, info)}",
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


def _significance(data: ResultsData, tests: pd.DataFrame, pairs: pd.DataFrame, seed: int) -> Section:
    section = Section("Significance")
    if len(data.optimizers) == 1:
        section.says.append("No test: there is one optimizer and nothing to compare it with.")
        return section
    styles, its = palette(data.optimizers), design(data)
    section.says += [its.says] if its.says else []
    section.says.append(
        "Holm's correction is over the pairs in the headline, and over all pairs and tasks in the table of tasks; it "
        "is not over both, nor over the tests of ranks below. The headline is the conclusion, the rest describes."
    )
    mean = "averaged over the tasks" if len(data.tasks) > 1 else "on the one task"
    section.add(
        "headline",
        "Pairs of optimizers over all tasks",
        pairs,
        f"P(a > b): {its.probability}, {mean}, with its {INTERVAL}, and no narrower than {its.interval}; p: "
        f"{its.of_tasks}, which asks about other runs on the same tasks; p Holm: adjusted for these pairs; better: "
        f"at p Holm < 0.05. {_runs(data)}",
    )
    section.add(
        "pairs",
        "Pairs of optimizers on each task",
        tests,
        f"P(a > b) as above, on one task; p: {its.of_task}; p Holm: "
        f"adjusted for all {int(tests['p'].notna().sum())} tests of this table. Better: the winner at p Holm < 0.05. "
        f"A dash: not tested, because a side has fewer than {its.fewest} runs or lacks some.",
    )
    drawn = pairs[pairs["P(a > b)"].notna()]
    if 0 < len(drawn) <= MOST_PAIRS:
        section.draw(
            "improvement",
            "Probability of improvement",
            rank_plots.plot_improvement(drawn, styles=styles),
            f"Probability that a run of the left optimizer is better than one of the right{its.seed}, {mean} (tick), "
            f"with its {INTERVAL} (bar), {its.resampled}. {_runs(data)}",
        )
    if len(data.optimizers) > 2 and len(drawn):
        section.draw(
            "pairwise",
            "Pairs of optimizers",
            rank_plots.plot_pairwise(drawn, styles=styles),
            f"How often (%) a run of the row is better than one of the column{its.seed}, {mean}; bold: {its.name} "
            f"finds one better at p Holm < 0.05. {_runs(data)}",
        )
    result = tables.friedman(data)
    section.says.append(_friedman_sentence(result))
    if len(data.optimizers) == 2:
        section.says.append(_wilcoxon_sentence(data))
    section.says += _same_cells(data)
    if left_out := [str(task) for task, row in tables.mean_scores(data).iterrows() if row.isna().any()]:
        section.says.append(f"Runs are missing on {', '.join(left_out)}: can't be ranked, left out of the ranks.")
    ranks = tables.ranks(data, np.random.default_rng(seed))
    if len(data.tasks) > 1 and len(ranks):
        few = f" Too few runs (fewer than {FEWEST}) for an interval." if len(data.seeds) < FEWEST else ""
        section.add(
            "ranks",
            "Ranks",
            ranks,
            "Rank of the interquartile mean of the truths on each task, a run without a result being the worst; "
            f"1 = best; ties share a rank. Average with its {INTERVAL}, {its.resampled}: other "
            f"runs, the same tasks.{few} {_runs(data)}",
        )
        if isinstance(result, FriedmanNemenyi):
            section.add(
                "nemenyi",
                "Nemenyi's test",
                result.pairs,
                f"Post-hoc test of average ranks over {result.tasks} tasks; differences above "
                f"{result.critical_difference:.2f} are significant at {result.alpha:g}. Conservative for few tasks.",
            )
        section.draw(
            "ranks",
            "Ranks",
            rank_plots.plot_ranks(ranks, styles=styles),
            "Rank by interquartile mean truth on each task (dots; larger for several tasks) and on average (bar; line: "
            f"its {INTERVAL}).{few} {_runs(data)}",
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
                "Pareto front over all its runs (steps), which grows with their number; the table's hypervolume is per "
                f"run. {_runs(data, info)}",
            )
        section.add(
            f"hypervolume-{cost}",
            f"Hypervolume of the Pareto fronts, {plots.COST_LABELS[cost]}",
            tradeoff.summary(data, cost),
            "Area that the front of all that a run evaluated dominates, judged by the truth, over that of the best "
            f"truth at the lowest cost (1 is the most): mean over n runs (seeds {_seeds(data)}) with Student's 95 % "
            "interval; a run without a result has 0. Front: architectures on it. Exact front: the best there is. "
            "Reference point: on a table the median truth and the highest cost of its feasible architectures; else "
            "the worst truth and the highest cost of any run's result, each a tenth of the range further out.",
        )
    return section


def _friedman_sentence(result: FriedmanNemenyi | str) -> str:
    if isinstance(result, str):
        return result
    differ = "the optimizers differ" if result.p < result.alpha else "no difference shown"
    return (
        f"Friedman's test over {result.tasks} tasks (interquartile mean over seeds per task): chi-squared = "
        f"{result.statistic:.2f}, p = {result.p:.3g} by {result.test}: {differ} at {result.alpha:g}."
    )


def _wilcoxon_sentence(data: ResultsData) -> str:
    scores = tables.mean_scores(data).dropna()
    scores = scores[np.isfinite(scores.to_numpy(float)).all(axis=1)]
    p = wilcoxon_over_tasks(*(scores[optimizer].to_numpy(float) for optimizer in data.optimizers))
    if np.isnan(p):
        return f"No Wilcoxon signed-rank test: with {len(scores)} tasks it can't reach p < 0.05; it needs six."
    return f"Wilcoxon signed-rank test over {len(scores)} tasks (interquartile mean over seeds per task): p = {p:.3g}."


def _same_cells(data: ResultsData) -> list[str]:
    """Warns where tasks are no independent sample, which tests of ranks over tasks take them for."""
    by_space: dict[str, list[str]] = {}
    for task, info in data.tasks.items():
        by_space.setdefault(info.cells or task, []).append(task)
    return [
        f"{', '.join(tasks[:-1])} and {tasks[-1]} judge the same architectures (space {space}): they tend to agree, "
        "and tests of ranks over tasks (Friedman, Nemenyi, Wilcoxon), which take them for independent, find too small "
        "a p. The headline does not: it takes tasks as given."
        for space, tasks in by_space.items()
        if len(tasks) > 1
    ]


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
