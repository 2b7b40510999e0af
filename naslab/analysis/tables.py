"""The tables of a comparison: how well each optimizer ended, which runs are missing, and which differences count."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from naslab.analysis.data import (
    COMPLETE,
    FAILED,
    MISSING,
    NO_FEASIBLE,
    FloatArray,
    ResultsData,
    TaskInfo,
    without_noise,
)
from naslab.analysis.designs import design
from naslab.analysis.formats import number
from naslab.analysis.statistics import (
    FEWEST,
    RESAMPLES,
    FriedmanNemenyi,
    bootstrap_interval,
    friedman_nemenyi,
    holm,
    iqm,
    widening,
)

ALPHA = 0.05
BASELINE = "random"
MOST_NAMED = 6
"""Pairs that a sentence names; beyond, it counts them."""
NONE_SHOWN, TOO_FEW, RUNS_MISSING = "none shown", "too few runs", "runs missing"


def final_quality(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """How good the architectures are that the runs ended with.

    Returns, per task and optimizer: ``task, optimizer, metric, n`` (complete runs), ``missing``, ``no feasible``,
    ``failed`` (runs; failed: no score was finite), ``failed share`` (those without an architecture, of all that ended),
    ``mean, sd`` (n - 1), ``median, IQM`` with ``IQM low`` and ``IQM high`` of its 95 % bootstrap interval (one
    stratum), and ``mean regret`` to the known optimum. A run without an architecture is the worst of all in median and
    IQM, which stay defined while few are; mean, sd and regret are NaN where any is, because of the others alone they
    would be the better the more fail. Missing runs are left out. NaN for what can't be computed: sd and interval of
    one run, everything of none, regret to the unknown.
    """
    seed = int(rng.integers(2**32))
    rows = []
    for task, info in data.tasks.items():
        for optimizer in data.optimizers:
            runs = data.of(task, optimizer)
            status = runs["status"]
            truths, scores = data.truths(task, optimizer), data.scores(task, optimizer)
            regrets = runs.loc[status == COMPLETE, "regret"].to_numpy(float)
            # The same resamples in every row: adding an optimizer changes nobody else's interval.
            value, low, high = bootstrap_interval([scores], np.random.default_rng(seed))
            if info.optimum is not None:  # few runs widen the interval beyond what there is
                high = min(high, max(value, info.sign * info.optimum))
            interval = (value, low, high) if info.sign > 0 else (-value, -high, -low)
            missing, infeasible, failed = (int((status == each).sum()) for each in (MISSING, NO_FEASIBLE, FAILED))
            without = infeasible + failed
            share = without / len(scores) if len(scores) else np.nan
            kept = truths if not without else np.empty(0)
            median = info.sign * float(np.median(scores)) if len(scores) else np.nan
            counts = (len(truths), missing, infeasible, failed, share)
            centre = (_mean(kept), _sd(kept), *_known([median, *interval]))
            rows.append((task, optimizer, info.truth_label, *counts, *centre, _mean(regrets if not without else kept)))
    names = ["task", "optimizer", "metric", "n", "missing", "no feasible", "failed", "failed share"]
    names += ["mean", "sd", "median"]
    return pd.DataFrame(rows, columns=[*names, "IQM", "IQM low", "IQM high", "mean regret"])


def over_tasks(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Simple regret over all tasks: the IQM of each task's runs, averaged over the tasks.

    Regrets of different tasks have different scales. Each is divided by the median regret of random search on its task
    (a fixed unit: 0 is the optimum, 1 what random search reaches) where ``random`` was compared, all of its runs are
    there and that median is above zero. Otherwise regrets stay in the truth's unit. Runs are never pooled over tasks: a
    pooled IQM cuts the quarters of other tasks away for one optimizer than for another, and can put first what is worse
    on every task. A failed run has an infinite regret.

    Returns, per optimizer: ``optimizer, tasks, n`` (runs), ``IQM regret`` with ``IQM regret low`` and ``IQM regret
    high`` (95 % bootstrap, resampled task by task), ``mean regret`` and ``regret in`` (the unit). Empty where there is
    nothing to average: one task, an unknown optimum, or different units without random search. NaN for an optimizer
    that lacks runs on one of the tasks, or of which too many failed there.
    """
    infos = list(data.tasks.values())
    seed = int(rng.integers(2**32))
    scales = [_scale(data, info) for info in infos]
    normal = all(scale is not None for scale in scales)
    unit = f"median of {BASELINE}" if normal else infos[0].unit
    rows = []
    if len(infos) > 1 and all(i.optimum is not None for i in infos) and (normal or len({i.unit for i in infos}) == 1):
        for optimizer in data.optimizers:
            strata = [
                (data.scores(info.id, optimizer) - info.sign * info.optimum) / ((scale if normal else None) or 1.0)
                for info, scale in zip(infos, scales, strict=True)
                if info.optimum is not None
            ]
            n = sum(map(len, strata))
            if any(data.lacking(info.id, optimizer) for info in infos):
                strata = []
            value, low, high = bootstrap_interval(strata, np.random.default_rng(seed), per_stratum=True)
            high = min(high, max(value, 0.0))  # no regret is below zero
            mean = -float(np.mean([stratum.mean() for stratum in strata])) if strata else np.nan
            rows.append((optimizer, len(infos), n, *_known([-value, -high, -low, mean]), unit))
    names = ["optimizer", "tasks", "n", "IQM regret", "IQM regret low", "IQM regret high", "mean regret", "regret in"]
    return pd.DataFrame(rows, columns=names)


def _scale(data: ResultsData, info: TaskInfo) -> float | None:
    """The median regret of random search, if it can serve as a unit."""
    if BASELINE not in data.optimizers or info.optimum is None or data.lacking(info.id, BASELINE):
        return None
    median = info.sign * info.optimum - float(np.median(data.scores(info.id, BASELINE)))
    return median if np.isfinite(median) and median > 1e-9 * abs(info.optimum) else None


def significance(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Every pair of optimizers on each task: probability of improvement, Mann-Whitney, Holm over the whole table.

    Where runs are paired by seed the test is Wilcoxon's of signed ranks (:mod:`naslab.analysis.designs`).

    Returns ``task, a, b, n a, n b, P(a > b)`` with ``P(a > b) low`` and ``P(a > b) high``, ``p, p Holm``
    and who is ``better`` at 0.05, else "none shown". A run without an architecture counts as worse than any
    other. p is NaN where nothing is tested: "too few runs" (on a side, for the design), or "runs missing"
    (then the probability is NaN, too: nobody knows how good they would be). Empty for one optimizer.
    """
    seed, its = int(rng.integers(2**32)), design(data)
    parts = []
    for task in data.tasks:
        scores = {optimizer: its.scores(data, task, optimizer) for optimizer in data.optimizers}
        tests = its.tests(scores).drop(columns=["U", "p Holm"], errors="ignore")
        tests.insert(0, "task", task)
        gone = {optimizer: data.lacking(task, optimizer) for optimizer in data.optimizers}
        lacking = tests["a"].map(gone).astype(int) + tests["b"].map(gone).astype(int)
        intervals = [
            (np.nan,) * 3 if without else its.improvement([scores[a]], [scores[b]], np.random.default_rng(seed))
            for a, b, without in zip(tests["a"], tests["b"], lacking, strict=True)
        ]
        probable = pd.DataFrame(intervals, columns=["P(a > b)", "P(a > b) low", "P(a > b) high"], dtype=float)
        few = tests[["n a", "n b"]].min(axis=1) < its.fewest
        why = pd.Series(np.where(lacking > 0, RUNS_MISSING, np.where(few, TOO_FEW, "")), dtype=object)
        p = tests.pop("p").where(why == "")
        parts.append(pd.concat([tests, probable, p.rename("p"), why.rename("better")], axis=1))
    return _judged(pd.concat(parts, ignore_index=True))


def _judged(frame: pd.DataFrame) -> pd.DataFrame:
    """With ``p Holm`` over the table and who is ``better``; where that already says why there is no test, it stays."""
    better = frame.pop("better")
    leans = frame.pop("leans") if "leans" in frame else 0
    frame["p Holm"] = holm(frame["p"])
    side = np.sign(frame["P(a > b)"] - 0.5)
    ahead = frame["a"].where(side > 0, frame["b"])
    # A test of ranks may lean to the one that wins less often: then neither is called better.
    shown = ahead.where((frame["p Holm"] < ALPHA) & (side != 0) & (side != -leans), NONE_SHOWN)
    frame["better"] = better.where(better != "", shown)
    return frame


def improvement(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Every pair of optimizers over all tasks on which neither lacks a run: the headline of a comparison.

    Returns ``a, b, tasks, P(a > b)``, the probability of improvement averaged over these tasks, ``P(a > b) low``,
    ``P(a > b) high`` of its 95 % interval, ``p`` of van Elteren's test, stratified by task (of signed ranks where runs
    are paired by seed), ``p Holm`` over the pairs, and who is ``better`` at 0.05, else "none shown", "too few runs" or
    "runs missing" (on all tasks). Empty for one optimizer.
    """
    seed, its = int(rng.integers(2**32)), design(data)
    rows = []
    for a, b in combinations(data.optimizers, 2):
        scores = [
            (its.scores(data, task, a), its.scores(data, task, b))
            for task in data.tasks
            if not data.lacking(task, a) and not data.lacking(task, b)
        ]
        x, y = [each for each, _ in scores], [each for _, each in scores]
        interval = its.improvement(x, y, np.random.default_rng(seed))
        why = TOO_FEW if len(data.seeds) < its.fewest else "" if scores else RUNS_MISSING
        p, leans = (np.nan, 0) if why else its.test(x, y, np.random.default_rng(seed))
        rows.append((a, b, len(scores), *interval, p, why, leans))
    names = ["a", "b", "tasks", "P(a > b)", "P(a > b) low", "P(a > b) high", "p", "better", "leans"]
    return _judged(pd.DataFrame(rows, columns=names))


def mean_scores(data: ResultsData) -> pd.DataFrame:
    """What ranks are made of, the blocks of Friedman's test: one row per task, one column per optimizer.

    The interquartile mean over the runs, in which a run without a feasible architecture is the worst; higher is
    better. -inf (last) where so many failed that one is left among the middle runs. NaN where a run of the optimizer
    is missing: it can't be ranked. What differs by float noise is equal.
    """
    blocks = [
        [
            np.nan if data.lacking(task, optimizer) else float(iqm(data.scores(task, optimizer)))
            for optimizer in data.optimizers
        ]
        for task in data.tasks
    ]
    frame = pd.DataFrame(blocks, index=list(data.tasks), columns=data.optimizers, dtype=float)
    for task, row in frame.iterrows():
        known = row.notna()
        frame.loc[task, known] = without_noise(row[known].to_numpy(float))
    return frame


def friedman(data: ResultsData) -> FriedmanNemenyi | str:
    """Friedman and Nemenyi over the tasks on which no run is missing, or one sentence on why not."""
    scores = mean_scores(data).dropna()
    methods, tasks = len(data.optimizers), len(scores)
    if methods < 3:
        return f"No Friedman test: it compares three or more optimizers, and there {_are(methods, 'optimizer')}."
    if tasks < 3:
        ran = "" if tasks == len(data.tasks) else " on which no run is missing"
        return f"No Friedman test: it needs three or more tasks, and there {_are(tasks, 'task')}{ran}."
    return friedman_nemenyi(scores, alpha=ALPHA)


AVERAGE_RANK = ("average rank", "average rank low", "average rank high")


def ranks(data: ResultsData, rng: np.random.Generator) -> pd.DataFrame:
    """Rank of each optimizer by the IQM of its truths (see `mean_scores`): 1 = best, ties share a rank; best first.

    Returns ``optimizer``, one column per task on which no run is missing, and :data:`AVERAGE_RANK`: the average
    rank with its 95 % bootstrap interval over the runs, resampled within task and optimizer (the tasks stay the same),
    each resample moved away from the estimate by `widening`. The interval is NaN below :data:`FEWEST` runs. Empty
    where there is no such task.
    """
    means = mean_scores(data).dropna()
    if means.empty:
        return pd.DataFrame(columns=["optimizer", *AVERAGE_RANK])
    ranked = means.rank(axis=1, ascending=False).T
    low = high = np.full(len(data.optimizers), np.nan)
    if len(data.seeds) >= FEWEST:
        drawn = np.mean([_resampled_ranks(data, str(task), rng) for task in means.index], axis=0)
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    bounds = pd.DataFrame({AVERAGE_RANK[0]: ranked.mean(axis=1), AVERAGE_RANK[1]: low, AVERAGE_RANK[2]: high})
    found = pd.concat([ranked, bounds], axis=1).sort_values(AVERAGE_RANK[0], kind="stable")
    return found.rename_axis("optimizer").reset_index()


def _resampled_ranks(data: ResultsData, task: str, rng: np.random.Generator) -> FloatArray:
    """``(resamples, optimizers)``: the ranks of the IQMs of resampled runs."""
    columns, n = [], len(data.seeds)  # of a task on which no run is missing
    together = rng.integers(n, size=(RESAMPLES, n)) if data.paired else None
    for optimizer in data.optimizers:
        scores = design(data).scores(data, task, optimizer)
        value = float(iqm(scores))
        drawn = iqm(scores[rng.integers(n, size=(RESAMPLES, n)) if together is None else together], axis=1)
        if np.isfinite(value):
            drawn = value + widening([n]) * (drawn - value)
        columns.append(drawn)
    scale = max((float(np.abs(c[np.isfinite(c)]).max(initial=0.0)) for c in columns), default=0.0) or 1.0
    # Rounded, so that equal runs of two optimizers tie whatever the float noise of their sums.
    found: FloatArray = stats.rankdata(-np.round(np.stack(columns, axis=1) / scale, 9), axis=1)
    return found


def absent(data: ResultsData) -> pd.DataFrame:
    """The runs that did not end with an architecture: ``task, optimizer, status, runs, seeds``."""
    rows = data.runs[data.runs["status"] != COMPLETE]
    groups = rows.groupby(["task", "optimizer", "status"], sort=False)["seed"]
    named = [(*key, len(seeds), ranges([int(seed) for seed in seeds])) for key, seeds in groups]
    return pd.DataFrame(named, columns=["task", "optimizer", "status", "runs", "seeds"])


def conclusions(data: ResultsData, tests: pd.DataFrame) -> list[str]:
    """One sentence per task: who has the best IQM, and what the tests (of `significance`) say of it."""
    means = mean_scores(data)
    sentences = []
    for task, info in data.tasks.items():
        lacking = {name: data.lacking(task, name) for name in data.optimizers if data.lacking(task, name)}
        if all(not np.isfinite(data.scores(task, name)).any() for name in data.optimizers):
            sentences.append(f"{task}: no run ended with an architecture.")
            continue
        if lacking:
            gone = ", ".join(f"{name} lacks {count} of {len(data.seeds)} runs" for name, count in lacking.items())
            sentences.append(f"{task}: can't be ranked, {gone}.")
            continue
        reached = means.loc[task][np.isfinite(means.loc[task].to_numpy(float))]
        if reached.empty:
            sentences.append(
                f"{task}: can't be ranked, too many runs of every optimizer ended without an architecture."
            )
            continue
        firsts = [str(name) for name in reached.index[reached == reached.max()]]
        best, n = firsts[0], len(data.seeds)
        value = f"{number(info.sign * float(reached.max()))} {info.unit}".rstrip()
        have = f"{best} has" if len(firsts) == 1 else f"{', '.join(firsts[:-1])} and {firsts[-1]} share"
        failed = n - len(data.truths(task, best))
        without = f", {failed} without a result" if failed else ""
        said = [f"{task}: {have} the best interquartile mean {info.metric} ({value}, n = {n}{without})"]
        mine = tests[(tests["task"] == task) & ((tests["a"] == best) | (tests["b"] == best))]
        others = mine["a"].where(mine["b"] == best, mine["b"])
        for words, chosen in (
            ("significantly better than", mine["better"] == best),
            ("significantly worse than", mine["better"] == others),
            ("no difference shown from", mine["better"] == NONE_SHOWN),
            (f"too few runs (fewer than {design(data).fewest}) to test it against", mine["better"] == TOO_FEW),
        ):
            if chosen.any():
                said.append(f"{words} {', '.join(others[chosen])}")
        sentences.append("; ".join(said) + ".")
    return sentences


def headline(data: ResultsData, pairs: pd.DataFrame) -> str:
    """The one conclusion over all tasks, in a sentence: the test of every pair (of `improvement`)."""
    its = design(data)
    over = f"Over all {len(data.tasks)} tasks" if len(data.tasks) > 1 else "Over the runs"
    if (pairs["better"] == TOO_FEW).all():
        counted = f"{len(data.seeds)} per optimizer and task; it takes {its.fewest}"
        return f"{over}: too few runs to test who is better ({counted})."
    won: dict[str, list[str]] = {}
    unsaid: dict[str, list[str]] = {NONE_SHOWN: [], RUNS_MISSING: []}
    for a, b, value, p, better in pairs[["a", "b", "P(a > b)", "p Holm", "better"]].itertuples(index=False):
        if better in (a, b):
            loser, probability = (b, value) if better == a else (a, 1 - value)
            won.setdefault(better, []).append(f"{loser} (p {_p(p)}, P(better) = {probability:.2f})")
        else:
            unsaid[better].append(f"{a} and {b}")
    said = [f"{better} is better than {', '.join(losers)}" for better, losers in won.items()]
    for what, words in ((NONE_SHOWN, "no difference shown"), (RUNS_MISSING, "runs missing")):
        if len(unsaid[what]) > MOST_NAMED:
            said.append(f"{words} in {len(unsaid[what])} of {len(pairs)} pairs")
        elif unsaid[what]:
            said.append(f"{words} between {', '.join(unsaid[what])}")
    tested = int(pairs["p"].notna().sum())
    holds = f", Holm over {tested} pairs" if tested > 1 else ""
    return f"{over} ({its.name}, stratified by task{holds}): {'; '.join(said)}."


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _known(values: Sequence[float]) -> list[float]:
    """Infinities, which stand for failed runs, as NaN."""
    return [float(value) if np.isfinite(value) else np.nan for value in values]


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
