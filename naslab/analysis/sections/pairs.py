"""Who is better than whom: pairs of optimizers, and ranks over tasks."""

from __future__ import annotations

import numpy as np

from naslab.analysis import rank_plots, tables
from naslab.analysis.contents import Section
from naslab.analysis.data import ResultsData
from naslab.analysis.designs import design
from naslab.analysis.paper import Statistics
from naslab.analysis.sections.words import EACH, INTERVAL, runs_of
from naslab.analysis.statistics import FEWEST, FriedmanNemenyi, wilcoxon_over_tasks
from naslab.analysis.style import palette

MOST_PAIRS = 10


def significance(data: ResultsData, found: Statistics) -> Section:
    """The section."""
    tests, pairs, ranks = found.tests, found.pairs, found.ranked
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
    section.says.append(tables.headline(data, pairs))
    mean = "averaged over the tasks" if len(data.tasks) > 1 else "on the one task"
    section.add(
        "headline",
        "Pairs of optimizers over all tasks",
        pairs,
        f"P(a > b): {its.probability}, {mean}, with its {INTERVAL}, and no narrower than {its.interval}; p: "
        f"{its.of_tasks}, which asks about other runs on the same tasks; p Holm: adjusted for these pairs; better: "
        f"at p Holm < 0.05. {runs_of(data)}",
    )
    with section.folded(f"{EACH}: tests of all pairs"):
        section.add(
            "pairs",
            "Pairs of optimizers on each task",
            tests,
            f"P(a > b) as above, on one task; p: {its.of_task}; p Holm: "
            f"adjusted for all {int(tests['p'].notna().sum())} tests of this table. Better: the winner at p Holm < "
            f"0.05. A dash: not tested, because a side has fewer than {its.fewest} runs or lacks some.",
        )
    drawn = pairs[pairs["P(a > b)"].notna()]
    if 0 < len(drawn) <= MOST_PAIRS:
        section.draw(
            "improvement",
            "Probability of improvement",
            rank_plots.plot_improvement(drawn, styles=styles),
            f"Probability that a run of the left optimizer is better than one of the right{its.seed}, {mean} (tick), "
            f"with its {INTERVAL} (bar), {its.resampled}. {runs_of(data)}",
        )
    if len(data.optimizers) > 2 and len(drawn):
        section.draw(
            "pairwise",
            "Pairs of optimizers",
            rank_plots.plot_pairwise(drawn, styles=styles),
            f"How often (%) a run of the row is better than one of the column{its.seed}, {mean}; bold: {its.name} "
            f"finds one better at p Holm < 0.05. {runs_of(data)}",
        )
    result = tables.friedman(data)
    section.says.append(_friedman_sentence(result))
    if len(data.optimizers) == 2:
        section.says.append(_wilcoxon_sentence(data))
    section.says += _same_cells(data)
    if left_out := [str(task) for task, row in tables.mean_scores(data).iterrows() if row.isna().any()]:
        section.says.append(f"Runs are missing on {', '.join(left_out)}: can't be ranked, left out of the ranks.")
    if len(data.tasks) > 1 and len(ranks):
        few = f" Too few runs (fewer than {FEWEST}) for an interval." if len(data.seeds) < FEWEST else ""
        section.add(
            "ranks",
            "Ranks",
            ranks,
            "Rank of the interquartile mean of the truths on each task, a run without a result being the worst; "
            f"1 = best; ties share a rank. Average with its {INTERVAL}, {its.resampled}: other "
            f"runs, the same tasks.{few} {runs_of(data)}",
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
            f"its {INTERVAL}).{few} {runs_of(data)}",
        )
    if isinstance(result, FriedmanNemenyi):
        section.draw(
            "critical-difference",
            "Critical-difference diagram",
            rank_plots.plot_critical_difference(result, styles=styles),
            f"Average ranks over {result.tasks} tasks; a bar joins optimizers that Nemenyi's test does not "
            f"tell apart at {result.alpha:g} (Demsar 2006). {runs_of(data)}",
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
