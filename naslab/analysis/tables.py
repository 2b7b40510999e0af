"""The tables of a comparison: who ended how well, what is missing, and what can be called a difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.data import COMPLETE, FAILED, MISSING, NO_FEASIBLE, FloatArray, ResultsData
from naslab.analysis.formats import number
from naslab.analysis.statistics import (
    RESAMPLES,
    FriedmanNemenyi,
    bootstrap_interval,
    bootstrap_weights,
    friedman_nemenyi,
    mann_whitney_holm,
    probability_of_improvement,
)

ALPHA = 0.05


def final_quality(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """How good the architectures are that the runs ended with.

    Returns, per task and optimizer: ``task, optimizer, metric, n`` (complete runs: all that follows is of
    these), ``missing``, ``no feasible``, ``failed`` (runs; failed: no score was finite), ``mean, sd``
    (n - 1), ``median, IQM`` with ``IQM low`` and ``IQM high`` of its 95 % bootstrap interval (one
    stratum), and ``mean regret`` to the known optimum.
    NaN for what can't be computed: sd and interval of one run, everything of none, regret to the unknown.
    """
    seed = int(rng.integers(2**32))
    rows = []
    for task, info in data.tasks.items():
        for optimizer in data.optimizers:
            runs = data.of(task, optimizer)
            status = runs["status"]
            truths = data.truths(task, optimizer)
            regrets = runs.loc[status == COMPLETE, "regret"].to_numpy(float)
            # The same resamples in every row: adding an optimizer changes nobody else's interval.
            interval = bootstrap_interval([truths], np.random.default_rng(seed))
            counts = (len(truths), *(int((status == each).sum()) for each in (MISSING, NO_FEASIBLE, FAILED)))
            centre = (_mean(truths), _sd(truths), float(np.median(truths)) if len(truths) else np.nan)
            rows.append((task, optimizer, info.truth_label, *counts, *centre, *interval, _mean(regrets)))
    names = ["task", "optimizer", "metric", "n", "missing", "no feasible", "failed", "mean", "sd", "median"]
    return pd.DataFrame(rows, columns=[*names, "IQM", "IQM low", "IQM high", "mean regret"])


def over_tasks(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Simple regret over all tasks: the IQM of the pooled runs, its 95 % interval resampled task by task.

    Returns, per optimizer: ``optimizer, tasks, n, IQM regret, IQM regret low, IQM regret high, mean regret``.
    Empty where regrets can't be pooled: one task, an unknown optimum, or tasks in different units. NaN for an
    optimizer that has no complete run on one of the tasks.
    """
    infos = list(data.tasks.values())
    seed = int(rng.integers(2**32))
    rows = []
    if len(infos) > 1 and all(i.optimum is not None for i in infos) and len({i.unit for i in infos}) == 1:
        for optimizer in data.optimizers:
            strata = [
                info.sign * (info.optimum - data.truths(info.id, optimizer))
                for info in infos
                if info.optimum is not None
            ]
            n = sum(map(len, strata))
            if not all(map(len, strata)):
                strata = []
            interval = bootstrap_interval(strata, np.random.default_rng(seed))
            mean = _mean(np.concatenate(strata)) if strata else np.nan
            rows.append((optimizer, len(infos), n, *interval, mean))
    names = ["optimizer", "tasks", "n", "IQM regret", "IQM regret low", "IQM regret high", "mean regret"]
    return pd.DataFrame(rows, columns=names)


def significance(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Every pair of optimizers on each task: probability of improvement, Mann-Whitney, Holm within the task.

    Returns ``task, a, b, n a, n b, P(a > b)`` with ``P(a > b) low`` and ``P(a > b) high``, ``p, p Holm``
    and who is ``better`` at 0.05 (else "none shown" or "not tested"). A run without an architecture
    counts as worse than any other; missing runs are left out. Not tested (p is NaN): pairs with fewer than
    two runs on a side. Empty for one optimizer.
    """
    seed = int(rng.integers(2**32))
    parts = []
    for task in data.tasks:
        scores = {optimizer: data.scores(task, optimizer) for optimizer in data.optimizers}
        tests = mann_whitney_holm(scores)
        tests.insert(0, "task", task)
        intervals = [
            probability_of_improvement([scores[a]], [scores[b]], np.random.default_rng(seed))
            for a, b in zip(tests["a"], tests["b"], strict=True)
        ]
        probable = pd.DataFrame(intervals, columns=["P(a > b)", "P(a > b) low", "P(a > b) high"])
        parts.append(pd.concat([tests.drop(columns=["U", "p", "p Holm"]), probable, tests[["p", "p Holm"]]], axis=1))
    frame = pd.concat(parts, ignore_index=True)
    ahead = frame["a"].where(frame["P(a > b)"] > 0.5, frame["b"])
    shown = ahead.where(frame["p Holm"] < ALPHA, "none shown")
    frame["better"] = shown.where(frame["p Holm"].notna(), "not tested")
    return frame


def improvement(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Every pair of optimizers: probability of improvement, averaged over the tasks that both have runs on.

    Returns ``a, b, tasks, P(a > b)``, and ``P(a > b) low``, ``P(a > b) high`` of its 95 % bootstrap interval,
    stratified by task and optimizer. Empty for one optimizer.
    """
    seed = int(rng.integers(2**32))
    rows = []
    for a, b in combinations(data.optimizers, 2):
        scores = [(data.scores(task, a), data.scores(task, b)) for task in data.tasks]
        scores = [(x, y) for x, y in scores if len(x) and len(y)]
        interval = probability_of_improvement(
            [x for x, _ in scores], [y for _, y in scores], np.random.default_rng(seed)
        )
        rows.append((a, b, len(scores), *interval))
    name = "P(a > b)"
    return pd.DataFrame(rows, columns=["a", "b", "tasks", name, f"{name} low", f"{name} high"])


def mean_scores(data: ResultsData) -> pd.DataFrame:
    """The blocks of Friedman's test: one row per task, one column per optimizer, the mean over its runs.

    Higher is better. Runs without a feasible architecture are left out of a mean; an optimizer that has no
    others scores -inf (last). NaN where an optimizer has no runs at all on a task.
    """

    def score(task: str, optimizer: str) -> float:
        scores = data.scores(task, optimizer)
        feasible = scores[np.isfinite(scores)]
        return float(feasible.mean()) if len(feasible) else (-np.inf if len(scores) else np.nan)

    blocks = [[score(task, optimizer) for optimizer in data.optimizers] for task in data.tasks]
    return pd.DataFrame(blocks, index=list(data.tasks), columns=data.optimizers)


def friedman(data: ResultsData) -> FriedmanNemenyi | str:
    """Friedman and Nemenyi over the tasks that every optimizer ran on, or one sentence on why not."""
    scores = mean_scores(data).dropna()
    methods, tasks = len(data.optimizers), len(scores)
    if methods < 3:
        return f"No Friedman test: it compares three or more optimizers, and there {_are(methods, 'optimizer')}."
    if tasks < 3:
        ran = "" if tasks == len(data.tasks) else " on which every optimizer has runs"
        return f"No Friedman test: it needs three or more tasks, and there {_are(tasks, 'task')}{ran}."
    return friedman_nemenyi(scores, alpha=ALPHA)


AVERAGE_RANK = ("average rank", "average rank low", "average rank high")


def ranks(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Rank of each optimizer by its mean truth, 1 = best, ties share: ``optimizer``, one column per task that
    every optimizer has runs on, and of the average rank :data:`AVERAGE_RANK`, its 95 % percentile bootstrap over the
    runs, within task and optimizer (the tasks are those that there are); best first. Empty where there is no such
    task."""
    means = mean_scores(data).dropna()
    if means.empty:
        return pd.DataFrame(columns=["optimizer", *AVERAGE_RANK])
    ranked = means.rank(axis=1, ascending=False).T
    drawn = np.mean([_resampled_ranks(data, str(task), rng) for task in means.index], axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    average = dict(zip(AVERAGE_RANK, (ranked.mean(axis=1), low, high), strict=True))
    return ranked.assign(**average).sort_values(AVERAGE_RANK[0], kind="stable").rename_axis("optimizer").reset_index()


def _resampled_ranks(data: ResultsData, task: str, rng: np.random.Generator) -> FloatArray:
    """``(resamples, optimizers)``: the ranks of the means of resampled runs."""
    columns = []
    for optimizer in data.optimizers:
        scores = data.scores(task, optimizer)
        feasible = scores[np.isfinite(scores)]
        if len(feasible):
            columns.append(bootstrap_weights(len(feasible), rng) @ feasible)
        else:
            columns.append(np.full(RESAMPLES, -np.inf))
    found: FloatArray = stats.rankdata(-np.stack(columns, axis=1), axis=1)
    return found


def absent(data: ResultsData) -> pd.DataFrame:
    """The runs that did not end with an architecture: ``task, optimizer, status, runs, seeds``."""
    rows = data.runs[data.runs["status"] != COMPLETE]
    groups = rows.groupby(["task", "optimizer", "status"], sort=False)["seed"]
    named = [(*key, len(seeds), ranges([int(seed) for seed in seeds])) for key, seeds in groups]
    return pd.DataFrame(named, columns=["task", "optimizer", "status", "runs", "seeds"])


def conclusions(data: ResultsData, tests: pd.DataFrame) -> list[str]:
    """One sentence per task: who has the best mean, and what the tests (of `significance`) say of it."""
    means = mean_scores(data)
    sentences = []
    for task, info in data.tasks.items():
        reached = means.loc[task][np.isfinite(means.loc[task].to_numpy(float))]
        if reached.empty:
            sentences.append(f"{task}: no run ended with an architecture.")
            continue
        best = str(reached.idxmax())
        n = len(data.truths(task, best))
        value = f"{number(info.sign * float(reached[best]))} {info.unit}".rstrip()
        said = [f"{task}: {best} has the best mean {info.metric} ({value}, n = {n})"]
        mine = tests[(tests["task"] == task) & ((tests["a"] == best) | (tests["b"] == best))]
        others = mine["a"].where(mine["b"] == best, mine["b"])
        for words, chosen in (
            ("significantly better than", mine["better"] == best),
            ("significantly worse than", mine["better"] == others),
            ("no difference shown from", mine["better"] == "none shown"),
            ("not tested (fewer than two runs) against", mine["better"] == "not tested"),
        ):
            if chosen.any():
                said.append(f"{words} {', '.join(others[chosen])}")
        sentences.append("; ".join(said) + ".")
    return sentences


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _sd(values: FloatArray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _are(count: int, noun: str) -> str:
    return f"is one {noun}" if count == 1 else f"are {count or 'no'} {noun}s"


def ranges(numbers: Sequence[int]) -> str:
    """``[0, 1, 2, 5]`` as ``"0-2, 5"``."""
    runs: list[list[int]] = []
    for seed in sorted(numbers):
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
