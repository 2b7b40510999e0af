"""Truth against a cost: Pareto fronts and the hypervolume under them. A lower cost is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from naslab.analysis.data import COMPLETE, FloatArray, ResultsData
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
    inside = (scores > reference[0]) & (costs < reference[1])
    scores, costs = scores[inside], costs[inside]
    front = pareto_front(scores, costs)
    heights = np.diff(np.concatenate([[reference[0]], scores[front]]))
    return float(heights @ (reference[1] - costs[front]))


def points(data: ResultsData, task: str, cost: str) -> pd.DataFrame:
    """The architectures that the complete runs of one task ended with, and what they cost.

    Returns one row per optimizer and architecture, cheapest first: ``optimizer, architecture, truth, cost,
    runs`` (how many ended with it) and ``front`` (on its optimizer's own Pareto front). Runs without a known
    cost are left out.
    Errors: UnknownMetric.
    """
    info = data.task(task)
    if cost not in data.costs:
        raise UnknownMetric(cost, data.costs)
    runs = data.runs[(data.runs["task"] == task) & (data.runs["status"] == COMPLETE)]
    runs = runs[np.isfinite(runs[cost].to_numpy(float))].rename(columns={cost: "cost"})
    identity = ["optimizer", "architecture", "truth", "cost"]
    parts: list[pd.DataFrame] = []
    for optimizer in data.optimizers:
        own = runs[runs["optimizer"] == optimizer].groupby(identity).size().reset_index(name="runs")
        own = own.sort_values(["cost", "truth"], kind="stable", ignore_index=True)
        best = pareto_front(info.sign * own["truth"].to_numpy(float), own["cost"].to_numpy(float))
        parts.append(own.assign(front=np.isin(np.arange(len(own)), best)))
    return pd.concat(parts, ignore_index=True)


def summary(data: ResultsData, cost: str) -> pd.DataFrame:
    """How good each optimizer's Pareto front is, as one number.

    Returns, per task and optimizer: ``task, optimizer, cost, n`` runs, ``front`` (architectures on it),
    ``hypervolume``, and the reference point: ``reference truth``, ``reference cost``. That point is the same
    for all optimizers of a task: the worst truth and the highest cost that any run ended with, moved a tenth
    of the range further out (so that the extremes count). The hypervolume is divided by that of the ideal
    point (best truth at the lowest cost), so 1 is the most there could be. NaN for an optimizer without runs.
    """
    rows = []
    for task, info in data.tasks.items():
        found = points(data, task, cost)
        scores, costs = info.sign * found["truth"].to_numpy(float), found["cost"].to_numpy(float)
        corner, ideal = (np.nan, np.nan), np.nan
        if len(found):
            # Where all are equal there is no range; any margin then gives everybody a hypervolume of 1.
            corner = (
                float(scores.min() - MARGIN * (np.ptp(scores) or 1.0)),
                float(costs.max() + MARGIN * (np.ptp(costs) or 1.0)),
            )
            ideal = hypervolume(scores.max(keepdims=True), costs.min(keepdims=True), corner)
        for optimizer in data.optimizers:
            own = (found["optimizer"] == optimizer).to_numpy()
            volume = hypervolume(scores[own], costs[own], corner) / ideal if own.any() else np.nan
            n, front = int(found["runs"][own].sum()), int(found["front"][own].sum())
            rows.append((task, optimizer, cost, n, front, volume, info.sign * corner[0], corner[1]))
    columns = ["task", "optimizer", "cost", "n", "front", "hypervolume", "reference truth", "reference cost"]
    return pd.DataFrame(rows, columns=columns)
