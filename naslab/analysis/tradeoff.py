"""Truth against a cost: Pareto fronts and the hypervolume under them. A lower cost is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from naslab.analysis import fronts
from naslab.analysis.data import COMPLETE, MISSING, FloatArray, Landscape, ResultsData
from naslab.analysis.intervals import mean_interval
from naslab.errors import UnknownMetric

MARGIN = 0.1


def pareto_front(scores: FloatArray, costs: FloatArray) -> npt.NDArray[np.intp]:
    """Indices of the points that no other point beats, cheapest first; of equal points the first.

    `scores` (higher is better) and `costs` (lower is better): shape ``(n,)``, finite.
    """
    order = np.lexsort((-np.asarray(scores), costs))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], np.asarray(scores)[order]]))[:-1]
    return order[np.asarray(scores)[order] > best_before]


def hypervolume(scores: FloatArray, costs: FloatArray, reference: tuple[float, float]) -> float:
    """Area that the points dominate, down to the reference point ``(score, cost)`` (Zitzler & Thiele 1998).

    Points that are not better than the reference in both score and cost count nothing. 0 for no points.
    """
    return fronts.hypervolume(np.column_stack([scores, -costs]), np.array([reference[0], -reference[1]]))


def points(data: ResultsData, task: str, cost: str) -> pd.DataFrame:
    """The architectures that the complete runs of one task ended with, and their cost, or another metric.

    Returns one row per optimizer and architecture, best cost first: ``optimizer, architecture, truth, cost,
    runs`` (how many ended with it) and ``front`` (on the Pareto front of all its optimizer's runs). Runs without a
    known cost are left out.
    Errors: UnknownMetric.
    """
    info = data.task(task)
    if cost not in (known := data.measures(task)):
        raise UnknownMetric(cost, known)
    sign = info.measure_sign(cost)
    runs = data.runs[(data.runs["task"] == task) & (data.runs["status"] == COMPLETE)]
    runs = runs[np.isfinite(runs[cost].to_numpy(float))].rename(columns={cost: "cost"})
    identity = ["optimizer", "architecture", "truth", "cost"]
    found = runs.groupby(identity, sort=False).size().reset_index(name="runs")
    place = found["optimizer"].map({name: number for number, name in enumerate(data.optimizers)})
    scores, costs = info.sign * found["truth"].to_numpy(float), -sign * found["cost"].to_numpy(float)
    order = np.lexsort((found["architecture"], found["truth"], costs, place))
    found, scores, costs, place = found.iloc[order], scores[order], costs[order], place.to_numpy()[order]
    front = np.zeros(len(found), bool)
    for number in range(len(data.optimizers)):
        own = np.flatnonzero(place == number)
        front[own[pareto_front(scores[own], costs[own])]] = True
    marked: pd.DataFrame = found.assign(front=front).reset_index(drop=True)
    return marked


def summary(data: ResultsData, cost: str) -> pd.DataFrame:
    """How good the Pareto front of one run is, as one number: the hypervolume of all that the run evaluated.

    Returns, per task and optimizer: ``task, optimizer, cost, n`` (runs that ended), ``front`` (architectures on a run's
    front, on average), ``hypervolume`` (mean over the runs) with ``hypervolume low`` and ``hypervolume high``
    (Student's 95 % interval), ``exact front`` (the hypervolume of the best front that there is), and the reference
    point: ``reference truth``, ``reference cost``.

    A value belongs to one run: the front over all runs of an optimizer grows with their number and rewards those that
    scatter. It is over the run's whole archive (where only the result is known, over that), judged by the truth. A run
    without a feasible architecture has 0; missing runs are left out. The hypervolume is divided by that of the ideal
    point (best truth at the lowest cost), so 1 is the most there could be.

    Where the space is known as a table the reference point is the median truth and the highest cost of the feasible
    architectures and the ideal is theirs, so that no run changes another's value. Else it is the worst truth and the
    highest cost that any run ended with, moved a tenth of the range further out, the ideal is the best seen, and
    the exact front is NaN. NaN for an optimizer without runs.
    """
    rows = []
    for task, info in data.tasks.items():
        found = _archives(data, task, cost)
        ended = data.runs[(data.runs["task"] == task) & (data.runs["status"] != MISSING)]
        corner, ideal, best = _reference(data, task, cost, found)
        scores, costs = info.sign * found["truth"].to_numpy(float), found["value"].to_numpy(float)
        of_run = found.groupby(["optimizer", "seed"], sort=False).indices
        for optimizer in data.optimizers:
            volumes, sizes = [], []
            for seed in ended.loc[ended["optimizer"] == optimizer, "seed"]:
                own = of_run.get((optimizer, seed), [])
                volumes.append(hypervolume(scores[own], costs[own], corner) / ideal if len(found) else np.nan)
                sizes.append(len(pareto_front(scores[own], costs[own])))
            mean = mean_interval(np.array(volumes))
            front = float(np.mean(sizes)) if sizes else np.nan
            rows.append((task, optimizer, cost, len(volumes), front, *mean, best, info.sign * corner[0], corner[1]))
    name = "hypervolume"
    columns = ["task", "optimizer", "cost", "n", "front", name, f"{name} low", f"{name} high", "exact front"]
    return pd.DataFrame(rows, columns=[*columns, "reference truth", "reference cost"])


def _archives(data: ResultsData, task: str, cost: str) -> pd.DataFrame:
    """``optimizer, seed, truth, value``: what the runs of a task evaluated, what they ended with included."""
    if cost not in data.costs:
        raise UnknownMetric(cost, data.costs)
    runs = data.runs[(data.runs["task"] == task) & (data.runs["status"] == COMPLETE)]
    columns = ["optimizer", "seed", "truth", "value"]
    parts = [runs[np.isfinite(runs[cost].to_numpy(float))].rename(columns={cost: "value"})[columns]]
    if data.archives is not None:
        own = data.archives[(data.archives["task"] == task) & (data.archives["cost"] == cost)]
        parts.append(own[columns])
    found: pd.DataFrame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return found


def _reference(
    data: ResultsData, task: str, cost: str, found: pd.DataFrame
) -> tuple[tuple[float, float], float, float]:
    """The corner ``(score, cost)``, the ideal point's area down to it, and the exact front's share of that."""
    sign = data.task(task).sign
    known = data.landscapes.get((task, cost))
    if known is not None:
        corner = (sign * known.reference[0], known.reference[1])
        area = (sign * known.ideal[0] - corner[0]) * (corner[1] - known.ideal[1])
        if area > 0:
            return corner, area, hypervolume(sign * known.truths, known.costs, corner) / area
    if found.empty:
        return (np.nan, np.nan), np.nan, np.nan
    ends = points(data, task, cost)
    scores, costs = sign * ends["truth"].to_numpy(float), ends["cost"].to_numpy(float)
    # Where all are equal there is no range; any margin then gives everybody a hypervolume of 1.
    corner = (
        float(scores.min() - MARGIN * (np.ptp(scores) or 1.0)),
        float(costs.max() + MARGIN * (np.ptp(costs) or 1.0)),
    )
    seen = (sign * found["truth"]).max() - corner[0], corner[1] - found["value"].min()
    return corner, float(seen[0] * seen[1]), np.nan


def landscape(truths: FloatArray, costs: FloatArray, sign: int) -> Landscape:
    """What a hypervolume is measured against, from the truths and costs of all feasible architectures, ``(n,)``."""
    known = np.isfinite(truths) & np.isfinite(costs)
    truths, costs = truths[known], costs[known]
    best = pareto_front(sign * truths, costs)
    reference = (float(np.median(truths)), float(costs.max()))
    return Landscape(reference, (sign * float((sign * truths).max()), float(costs.min())), truths[best], costs[best])
