"""The table that goes into a paper, and what it shows in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from naslab.analysis.data import ResultsData
from naslab.analysis.designs import design
from naslab.analysis.formats import SPREAD, number
from naslab.analysis.tables import (
    AVERAGE_RANK,
    NONE_SHOWN,
    RUNS_MISSING,
    TOO_FEW,
    final_quality,
    improvement,
    mean_scores,
    ranks,
    significance,
)

MOST_NAMED = 4


@dataclass(frozen=True, eq=False)
class Paper:
    """Strategies x tasks."""

    frame: pd.DataFrame
    """``optimizer``, a column for each task (its unit in the heading) with its spread or interval, the average rank
    with its interval, and ``n``: runs on each task. The best average rank first."""
    bold: pd.DataFrame
    """Which cells are the best of their task or not told from it; columns of `frame`, False where not named."""
    says: str
    """What the numbers are and what bold type means."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the table and the sentence are made from."""

    quality: pd.DataFrame
    """`tables.final_quality`."""
    ranked: pd.DataFrame
    """`tables.ranks`."""
    tests: pd.DataFrame
    """`tables.significance`."""
    pairs: pd.DataFrame
    """`tables.improvement`."""


@lru_cache(maxsize=1)
def statistics(data: ResultsData, seed: int = 0) -> Statistics:
    """Of these runs, each with resamples drawn afresh from the seed; kept for who asks again."""
    made = (
        function(data, np.random.default_rng(seed)) for function in (final_quality, ranks, significance, improvement)
    )
    return Statistics(*made)


def paper(data: ResultsData, found: Statistics) -> Paper:
    """The table.

    Cells are mean and sample standard deviation. Where any run ended without an architecture they are the interquartile
    mean with its interval instead, in the whole table, because a mean can't count such a run. Bold: the best
    interquartile mean on a task and those that the test of the pair does not tell from it, after Holm's correction over
    all pairs and tasks; nothing where runs are missing or too few to test.
    """
    quality, ranked, tests = found.quality.set_index(["task", "optimizer"]), found.ranked, found.tests
    failed = bool(quality[["no feasible", "failed"]].to_numpy().any())
    order = list(ranked["optimizer"]) or data.optimizers
    columns: dict[str, list[Any]] = {"optimizer": order}
    for task, info in data.tasks.items():
        rows, name = quality.loc[task].loc[order], f"{task} ({info.unit})" if info.unit else task
        if failed:
            columns |= {f"{name}{end}": list(rows[f"IQM{end}"]) for end in ("", " low", " high")}
        else:
            columns |= {name: list(rows["mean"]), f"{name}{SPREAD}": list(rows["sd"])}
    if len(ranked):
        columns |= {name: list(ranked[name]) for name in AVERAGE_RANK}
    columns["n"] = [_runs(quality, name, data) for name in order]
    frame = pd.DataFrame(columns)
    bold = pd.DataFrame(False, index=frame.index, columns=frame.columns)
    means, untested = mean_scores(data), []
    for task, info in data.tasks.items():
        best = _not_told(means.T[task], tests[tests["task"] == task])
        if best is None:
            untested.append(task)
            continue
        bold[f"{task} ({info.unit})" if info.unit else task] = [name in best for name in order]
    what = "Interquartile mean with its 95 % bootstrap interval" if failed else "Mean ± sample standard deviation"
    metrics = list(dict.fromkeys(info.metric for info in data.tasks.values()))
    says = f"{what} of the {' or '.join(metrics)} of the architecture that each run ended with"
    signs = {info.sign for info in data.tasks.values()}
    says += f"; {'higher' if signs == {1} else 'lower'} is better. " if len(signs) == 1 else ". "
    says += (
        (
            "Bold: the best interquartile mean, and those that the test of the pair does not tell from it (p Holm of "
            "0.05 and more, over all pairs and tasks). "
        )
        if len(untested) < len(data.tasks)
        else "Nothing is bold: nothing could be tested. "
    )
    if untested and len(untested) < len(data.tasks):
        says += f"Not tested: {', '.join(untested)}. "
    left = "" if len(means.dropna()) == len(data.tasks) else " on which no run is missing"
    if len(ranked):
        says += (
            f"Average rank over the tasks{left}: 1 = best, with its 95 % bootstrap interval (other runs, same tasks). "
        )
    counts = {name: int(quality[name].sum()) for name in ("missing", "no feasible", "failed")}
    without = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    said = f" Without a result: {without}, of {len(data.runs):,} runs." if without else ""
    return Paper(frame, bold, f"{says}n: runs on each task.{said}")


def finding(data: ResultsData, found: Statistics) -> str:
    """What was found and how sure it is, in one sentence."""
    pairs, ranked = found.pairs, found.ranked
    n, k = len(data.seeds), len(data.optimizers)
    tasks = f"{len(data.tasks)} tasks" if len(data.tasks) > 1 else next(iter(data.tasks))
    scope = f"{tasks} with {n} run{'s' if n > 1 else ''} each"
    if k == 1:
        return f"One strategy, {data.optimizers[0]}, ran on {scope}: there is nothing to compare it with."
    if (pairs["better"] == TOO_FEW).all():
        return f"Too few runs to tell {k} strategies apart: {n} on each task, and the test takes {design(data).fewest}."
    if (pairs["better"] == RUNS_MISSING).all() or ranked.empty:
        return f"Runs are missing on every task: {k} strategies can't be ranked yet."
    leader = str(ranked["optimizer"].iloc[0])
    value, low, high = (float(ranked[name].iloc[0]) for name in AVERAGE_RANK)
    interval = f" [{low:.1f}, {high:.1f}]" if np.isfinite(low) else ""
    first = list(ranked["optimizer"][ranked[AVERAGE_RANK[0]] == value])
    if len(data.tasks) > 1:
        have = f"average rank, {value:.1f}{interval} among {k}, over {scope}"
    else:
        info = next(iter(data.tasks.values()))
        best = info.sign * float(mean_scores(data).iloc[0].max())
        have = f"interquartile mean {info.metric}, {number(best)}{f' {info.unit}' if info.unit else ''}, on {scope}"
    who = f"{leader} has" if len(first) == 1 else f"{_listed(first)} share"
    if len(first) > 1:
        leader = str(first[0])
    mine = pairs[(pairs["a"] == leader) | (pairs["b"] == leader)]
    other = mine["a"].where(mine["b"] == leader, mine["b"])
    won = mine[mine["better"] == leader]
    lost, open_ = other[mine["better"] == other], other[mine["better"] == NONE_SHOWN]
    said = f"{who} the best {have}"
    if len(won):
        chance = won["P(a > b)"].where(won["a"] == leader, 1 - won["P(a > b)"])
        sure = f"p Holm {_at_most(float(won['p Holm'].max()))}; its runs win {_span(chance)} of the time"
        subject = f", and {leader}" if len(first) > 1 else ", and"
        said += f"{subject} is better than {_listed(list(other[won.index]), k - 1)} ({sure})"
    if len(lost):
        said += f", but by the test of pairs {_listed(list(lost))} {'is' if len(lost) == 1 else 'are'} better than it"
    if len(open_):
        joint = "; " if len(won) or len(lost) else ", but "
        said += f"{joint}no difference is shown from {_listed(list(open_), k - 1)}"
    return f"{said}."


def _not_told(means: pd.Series, tests: pd.DataFrame) -> set[str] | None:
    """The best on a task and those not told from it; None where that was not tested."""
    reached = means[np.isfinite(means.to_numpy(float))]
    if means.isna().any() or reached.empty or not len(tests) or (tests["better"] == TOO_FEW).any():
        return None
    best = set(reached.index[reached == reached.max()])
    for a, b, better in tests[["a", "b", "better"]].itertuples(index=False):
        if better == NONE_SHOWN and (a == reached.idxmax() or b == reached.idxmax()):
            best |= {a, b}
    return best


def _runs(quality: pd.DataFrame, optimizer: str, data: ResultsData) -> object:
    each = [len(data.scores(task, optimizer)) for task in data.tasks]
    return each[0] if min(each) == max(each) else f"{min(each)}-{max(each)}"


def _listed(names: list[str], everybody: int = 0) -> str:
    names = [str(name) for name in names]
    if everybody > 1 and len(names) == everybody:
        return f"all {everybody} others" if everybody > 2 else "both others"
    if len(names) > MOST_NAMED:
        return f"{len(names)} of the others"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _at_most(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"at most {p:.3f}"


def _span(chances: pd.Series) -> str:
    low, high = round(100 * float(chances.min())), round(100 * float(chances.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"
