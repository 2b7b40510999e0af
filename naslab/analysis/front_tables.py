"""Several objectives: how good the fronts are that runs return, as frames."""

from __future__ import annotations

import numpy as np
import pandas as pd

from naslab.analysis import fronts
from naslab.analysis.data import MISSING, ExactFront, FloatArray, ResultsData, TaskInfo
from naslab.analysis.intervals import mean_interval

INDICATORS = ("hypervolume", "IGD+", "epsilon")
SHARES = (0.25, 0.5, 0.75)
MARGIN = 0.1


def exact_front(points: FloatArray) -> ExactFront | None:
    """What fronts are measured against: from the objectives of all feasible ones, ``(n, k)``, higher is better.

    None where nothing is known of any.
    """
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        return None
    reference = np.concatenate([[np.median(known[:, 0])], known[:, 1:].min(axis=0)])
    return ExactFront(reference, known.max(axis=0), np.unique(known[fronts.non_dominated(known)], axis=0))


def scale(data: ResultsData, task: str) -> tuple[ExactFront, bool]:
    """The front and the reference point that a task's fronts are measured by, and whether they are those of a table.

    On a table the reference point is the median truth and the worst value of every other objective over the feasible
    architectures, and the front is exact, so that no run changes another's value. Else the reference is the worst value
    of each objective that any run's front has, moved a tenth of the range further out, and the front is the best
    seen: that of all runs together.
    """
    if task in data.exact:
        return data.exact[task], True
    seen = np.concatenate([np.empty((0, len(data.task(task).objectives))), *_run_fronts(data, task).values()])
    if not len(seen):
        none = np.full(seen.shape[1], np.nan)
        return ExactFront(none, none, seen), False
    spread = np.ptp(seen, axis=0)
    reference = seen.min(axis=0) - MARGIN * np.where(spread > 0, spread, 1.0)
    return ExactFront(reference, seen.max(axis=0), np.unique(seen[fronts.non_dominated(seen)], axis=0)), False


def summary(data: ResultsData) -> pd.DataFrame:
    """How good the front is that a run returns, by three indicators.

    Returns, per task with several objectives and optimizer: ``task, optimizer, n`` (runs that ended), ``front``
    (architectures on a run's front, on average); ``hypervolume`` (1 is the box between the reference point and the best
    of each objective), ``IGD+`` and ``epsilon`` (0 where the whole front is reached), each the mean over the runs, with
    ``low`` and ``high`` (Student's 95 % interval); ``best hypervolume`` (of the exact front, or of the best seen);
    ``found`` (share of that front's points that a run returned, on average); ``violations`` (share of the evaluations
    that exceeded a limit; NaN without limits).

    Objectives are divided by their range from the reference point to the best there is (:func:`scale`), so that their
    units do not matter; what of the front is not better than the reference point in all objectives does not count.
    Where a run returned nothing better, the reference point stands for it: a run without a feasible architecture
    has hypervolume 0, and it is no better in IGD+ and epsilon than one point that bad. Missing runs are left out.
    """
    rows = []
    for task, info in data.tasks.items():
        if not info.objectives:
            continue
        against, _ = scale(data, task)
        target = _scaled(against.points, against)
        target = target[(target > 0).all(axis=1)]
        zero = np.zeros(len(info.objectives))
        found, best = _run_fronts(data, task), fronts.hypervolume(target, zero)
        for optimizer in data.optimizers:
            own = [found[optimizer, seed] for seed in _ended(data, task, optimizer)]
            values = []
            for front in own:
                points = np.vstack([_scaled(front, against), zero])
                shared = (target[:, None] == points).all(axis=2).any(axis=1)
                values.append(
                    (
                        fronts.hypervolume(points, zero),
                        fronts.igd_plus(points, target),
                        fronts.epsilon(points, target),
                        float(shared.mean()) if len(target) else np.nan,
                    )
                )
            columns = np.array(values).reshape(-1, 4).T
            means = [value for column in columns[:3] for value in mean_interval(column)]
            size = float(np.mean([len(front) for front in own])) if own else np.nan
            share = float(columns[3].mean()) if own else np.nan
            rows.append((task, optimizer, len(own), size, *means, best, share, _violations(data, task, optimizer)))
    bounds = [f"{name}{end}" for name in INDICATORS for end in ("", " low", " high")]
    columns_ = ["task", "optimizer", "n", "front", *bounds, "best hypervolume", "found", "violations"]
    return pd.DataFrame(rows, columns=columns_)


def attained(data: ResultsData, task: str, other: str) -> pd.DataFrame:
    """The surfaces that a quarter, half and three quarters of an optimizer's runs attain: the truth against another
    objective (Fonseca & Fleming 1996). A run without a front attains nothing.

    Returns ``optimizer, share, truth, value``, best value first, in their own directions; at a corner's value (or a
    worse one) that share of the runs has that truth or a better one.
    """
    info, found = data.task(task), _run_fronts(data, task)
    place = info.objectives.index(other)
    sign = info.objective_signs[[0, place]]
    rows = []
    for optimizer in data.optimizers:
        own = [found[optimizer, seed][:, [0, place]] for seed in _ended(data, task, optimizer)]
        for share in SHARES if own else ():
            corners = fronts.attainment(own, share) * sign
            rows += [(optimizer, share, truth, value) for truth, value in corners.tolist()]
    return pd.DataFrame(rows, columns=["optimizer", "share", "truth", "value"])


def said(data: ResultsData, info: TaskInfo) -> str:
    """The objectives of a task and what its fronts are measured against, in a sentence."""
    against, exact = scale(data, info.id)
    ways = ["higher" if sign > 0 else "lower" for sign in info.objective_signs]
    named = [info.metric, *info.objectives[1:]]
    listed = ", ".join(f"{name} ({way} is better)" for name, way in zip(named, ways, strict=True))
    corner = ", ".join(f"{value:,.6g}" for value in against.reference * info.objective_signs)
    which = f"the exact front of {len(against.points):,}" if exact else f"the best front seen, {len(against.points):,}"
    return f"{info.id}: {listed}. Reference point {corner}; {which} points."


def _run_fronts(data: ResultsData, task: str) -> dict[tuple[str, int], FloatArray]:
    """(optimizer, seed) -> the front of a run, ``(n, k)``, higher is better; of any expected run."""
    info = data.task(task)
    none = np.empty((0, len(info.objectives)))
    found = {(name, seed): none for name in data.optimizers for seed in data.seeds}
    if data.fronts is not None:
        own = data.fronts[data.fronts["task"] == task]
        for run in found:
            rows = own[(own["optimizer"] == run[0]) & (own["seed"] == run[1])]
            found[run] = rows[list(info.objectives)].to_numpy(float) * info.objective_signs
    return found


def _ended(data: ResultsData, task: str, optimizer: str) -> list[int]:
    runs = data.of(task, optimizer)
    return [int(seed) for seed in runs.loc[runs["status"] != MISSING, "seed"]]


def _scaled(points: FloatArray, against: ExactFront) -> FloatArray:
    """0 at the reference point, 1 at the best of each objective."""
    span = against.ideal - against.reference
    found: FloatArray = (points - against.reference) / np.where(span > 0, span, 1.0)
    return found


def _violations(data: ResultsData, task: str, optimizer: str) -> float:
    if "infeasible" not in data.frame.columns:
        return float("nan")
    runs = data.of(task, optimizer)
    counted, made = runs["infeasible"].sum(min_count=1), runs["evaluations"].sum()
    return float(counted / made) if made else float("nan")
