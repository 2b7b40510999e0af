"""What the analysis is given: the runs of a comparison as plain frames, and the facts about its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from naslab.errors import InvalidValue, UnknownName

FloatArray: TypeAlias = npt.NDArray[np.float64]

COMPLETE, MISSING, NO_FEASIBLE, FAILED = "complete", "missing", "no-feasible", "failed"
_STATUSES = (COMPLETE, MISSING, NO_FEASIBLE, FAILED)
COSTS = ("params", "macs", "latency_seconds")
NOISE = 1e-8
"""Relative to the largest of some numbers: what differs by less differs by how it was computed."""
GRAIN = 1e-6
"""The same for recorded truths, which may be rounded to 32 bits. An accuracy on 10,000 images has steps of 1e-4."""
_RUN = ["task", "optimizer", "seed"]
_FRAME_COLUMNS = [*_RUN, "status", "architecture", "reward", "truth", "regret", "evaluations", "seconds"]
_ANYTIME_COLUMNS = [*_RUN, "evaluations", "seconds", "reward", "truth"]


def without_noise(values: FloatArray, scale: float | None = None, grain: float = NOISE) -> FloatArray:
    """The values, those that differ by float noise made equal, so that they share a rank in any order of computing.

    Neighbours are compared, not rounded: a rounding has borders, and noise may lie on both sides of one.

    Args:
        values: ``(n,)``; infinities stay what they are, NaN is not allowed.
        scale: What noise is relative to; the largest finite value by default.
        grain: How large it is at most, relative to the scale.
    """
    distinct, place = np.unique(values, return_inverse=True)
    finite = distinct[np.isfinite(distinct)]
    if finite.size < 2:
        return np.asarray(values, float)
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        apart = np.diff(distinct) > grain * (np.abs(finite).max() if scale is None else scale)
    first = np.concatenate([[0], np.where(apart, np.arange(1, len(distinct)), 0)])
    return np.asarray(distinct[np.maximum.accumulate(first)][place.reshape(-1)], float)


class Measure(Protocol):
    """A cost or a metric: its name, its unit, and +1 where higher is better, else -1."""

    @property
    def name(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def sign(self) -> int: ...


@dataclass(frozen=True)
class TaskInfo:
    """The facts about a task that a table or a figure needs."""

    id: str
    """The task's id, such as ``"nasbench201/cifar10"``."""
    metric: str
    """What the truth measures: ``"test accuracy"``."""
    unit: str
    """The truth's unit: ``"%"``, or ``""`` for a plain number."""
    direction: str
    """``"max"`` where a higher truth is better, else ``"min"``."""
    optimum: float | None
    """The best truth in the space (under the constraint), where it is known."""
    budget: float
    """How much a run may spend, in `budget_unit`."""
    budget_unit: str
    """``"s"``: seconds on the common clock, or ``"evaluations"``."""
    constraint: str
    """What architectures must satisfy, in words (``"params <= 41,153"``); ``""`` for nothing."""
    cells: str = ""
    """The search space. Tasks that share one judge the same architectures: they are no independent sample of tasks."""
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """Costs and metrics by name; a cost that is not among them is better when lower."""
    objectives: tuple[str, ...] = ()
    """What was optimised, ``"score"`` first, where it was more than that."""

    def __post_init__(self) -> None:
        if self.direction not in ("max", "min"):
            raise InvalidValue(f"direction {self.direction!r} of task {self.id!r}. Allowed: 'max' or 'min'.")
        if self.budget_unit not in ("s", "evaluations", "epochs"):
            raise InvalidValue(
                f"budget unit {self.budget_unit!r} of task {self.id!r}. Allowed: 's', 'evaluations' or 'epochs'."
            )
        if not self.budget > 0:
            raise InvalidValue(f"budget {self.budget!r} of task {self.id!r}. Allowed: a number above 0.")

    @property
    def sign(self) -> int:
        """+1 or -1: multiplied by it, a truth is better when it is higher."""
        return 1 if self.direction == "max" else -1

    def measure_sign(self, name: str) -> int:
        """+1 or -1: multiplied by it, a cost or a metric is better when it is higher."""
        return self.measures[name].sign if name in self.measures else -1

    @property
    def objective_signs(self) -> FloatArray:
        """:attr:`sign` and those of the further objectives, ``(k,)``: the score is judged by the truth."""
        return np.array([self.sign, *(self.measure_sign(name) for name in self.objectives[1:])], float)

    @property
    def clock(self) -> str:
        """The column that the budget is counted in: ``"seconds"`` or ``"evaluations"``."""
        return "seconds" if self.budget_unit == "s" else "evaluations"

    @property
    def truth_label(self) -> str:
        """The truth's metric and unit, as written on an axis."""
        return f"{self.metric} ({self.unit})" if self.unit else self.metric

    @property
    def clock_label(self) -> str:
        """The clock and its unit, as written on an axis."""
        return "search time (s)" if self.budget_unit == "s" else self.budget_unit

    @property
    def budget_text(self) -> str:
        """The budget in words: ``"12,000 s"``."""
        return f"{self.budget:,.10g} {self.budget_unit}"


@dataclass(frozen=True, eq=False)
class Landscape:
    """What is known of all architectures of a task, of their truth against one cost."""

    reference: tuple[float, float]
    """``(truth, cost)`` from which a hypervolume is counted: the median truth, the highest cost."""
    ideal: tuple[float, float]
    """The best truth, the lowest cost."""
    truths: FloatArray
    """Of the exact Pareto front, shape ``(n,)``."""
    costs: FloatArray
    """The same."""


@dataclass(frozen=True, eq=False)
class ExactFront:
    """What is known of all architectures of a task in all objectives, turned so that higher is better."""

    reference: FloatArray
    """``(k,)``, from which a hypervolume is counted: the median truth, the worst of every other objective."""
    ideal: FloatArray
    """``(k,)``: the best of each."""
    points: FloatArray
    """``(n, k)``: the front."""


@dataclass(frozen=True, eq=False)
class ResultsData:
    """The runs of a comparison.

    Errors: InvalidValue for a frame that lacks a column, lists a run twice or one that nobody asked for, or
    calls a run complete that has no truth.
    """

    frame: pd.DataFrame
    """One row per run: task, optimizer, seed, status (complete, missing, no-feasible, failed: no score
    was finite), architecture, reward,
    truth, regret (>= 0; NaN where the optimum is unknown), evaluations, seconds (charged), and the costs that
    are known, among params, macs, latency_seconds."""
    anytime: pd.DataFrame
    """One row each time a run's incumbent changed: task, optimizer, seed, evaluations (1-based), seconds,
    reward, truth; stamped with the clock at the end of the evaluation that found it. A step function:
    constant after a row, undefined before the first."""
    tasks: dict[str, TaskInfo]
    """Task id -> facts."""
    optimizers: list[str]
    """In the order asked for. The expected runs are tasks x optimizers x seeds."""
    seeds: list[int]
    archives: pd.DataFrame | None = None
    """For each run and cost the Pareto front of all that the run evaluated: task, optimizer, seed, cost (its name),
    truth, value (of the cost). None where nothing but what the runs ended with is known."""
    landscapes: Mapping[tuple[str, str], Landscape] = field(default_factory=dict)
    """(task, cost) -> what is known of the whole space, where that is a table."""
    paired: bool = False
    """Whether the runs of a task with one seed began with the same random numbers."""
    fronts: pd.DataFrame | None = None
    """The front of every run in all objectives: task, optimizer, seed and a column per objective, in its own direction
    and unit, ``score`` being the truth. None where there are not several objectives."""
    exact: Mapping[str, ExactFront] = field(default_factory=dict)
    """Task -> what is known of the whole space in all objectives, where that is in tables."""

    def __post_init__(self) -> None:
        for name, frame, columns in (
            ("frame", self.frame, _FRAME_COLUMNS),
            ("anytime", self.anytime, _ANYTIME_COLUMNS),
        ):
            if lacking := [column for column in columns if column not in frame.columns]:
                raise InvalidValue(f"results {name} without {lacking[0]!r}. Columns: {', '.join(columns)}.")
        if not (self.tasks and self.optimizers and self.seeds):
            raise InvalidValue("results of nothing. Needed: at least one task, one optimizer and one seed.")
        runs = self.frame[_RUN]
        if runs.duplicated().any():
            raise InvalidValue(f"run listed twice: {_run_name(runs[runs.duplicated()])}.")
        stray = ~(
            runs["task"].isin(list(self.tasks))
            & runs["optimizer"].isin(self.optimizers)
            & runs["seed"].isin(self.seeds)
        )
        if stray.any():
            raise InvalidValue(f"run that is not part of this comparison: {_run_name(runs[stray])}.")
        status = self.frame["status"]
        if not status.isin(_STATUSES).all():
            raise InvalidValue(f"run with a status other than {', '.join(_STATUSES)}.")
        hollow = (status == COMPLETE) & ~np.isfinite(self.frame["truth"].to_numpy(float))
        if hollow.any():
            raise InvalidValue(f"complete run without a finite truth: {_run_name(runs[hollow])}.")

    @cached_property
    def runs(self) -> pd.DataFrame:
        """`frame` with one row per expected run, in the order tasks, optimizers, seeds; absent runs are missing."""
        expected = pd.MultiIndex.from_product([list(self.tasks), self.optimizers, self.seeds], names=_RUN)
        runs = self.frame.set_index(_RUN).reindex(expected).reset_index()
        runs["status"] = runs["status"].fillna(MISSING)
        return runs

    @cached_property
    def costs(self) -> list[str]:
        """The cost columns that are known for at least one run."""
        archived = () if self.archives is None else self.archives["cost"].unique()
        names = dict.fromkeys((*COSTS, *archived))
        return [cost for cost in names if cost in self.frame.columns and bool(self.frame[cost].notna().any())]

    def measures(self, task: str) -> list[str]:
        """The costs and metrics that are known for at least one run of a task."""
        own = self.frame[self.frame["task"] == task]
        names = dict.fromkeys((*COSTS, *self.task(task).measures))
        return [name for name in names if name in own.columns and bool(own[name].notna().any())]

    def task(self, name: str) -> TaskInfo:
        """The facts about a task. Errors: UnknownName."""
        if name not in self.tasks:
            raise UnknownName(name, self.tasks)
        return self.tasks[name]

    def of(self, task: str, optimizer: str) -> pd.DataFrame:
        """The expected runs of one optimizer on one task."""
        return self._of.get((task, optimizer), self.runs[:0])

    @cached_property
    def _of(self) -> dict[tuple[str, str], pd.DataFrame]:
        seeds, pairs = len(self.seeds), [(task, name) for task in self.tasks for name in self.optimizers]
        return {pair: self.runs.iloc[n * seeds : (n + 1) * seeds] for n, pair in enumerate(pairs)}

    def truths(self, task: str, optimizer: str) -> FloatArray:
        """The truths of the complete runs, shape ``(n,)``, in the task's own direction and unit."""
        runs = self.of(task, optimizer)
        return runs.loc[runs["status"] == COMPLETE, "truth"].to_numpy(float)

    def scores(self, task: str, optimizer: str) -> FloatArray:
        """Truths for statistics of ranks, shape ``(n,)``, sorted: higher is better, -inf for a run that ended without
        a feasible architecture (it is worse than any that has one); missing runs are left out. Truths of the task that
        differ by float noise are equal."""
        scores = self.by_seed(task, optimizer)
        return np.sort(scores[~np.isnan(scores)])

    def by_seed(self, task: str, optimizer: str) -> FloatArray:
        """The same in the order of seeds, shape ``(seeds,)``, NaN for missing runs."""
        self.task(task)
        return self._by_seed[task, optimizer]

    @cached_property
    def _by_seed(self) -> dict[tuple[str, str], FloatArray]:
        found: dict[tuple[str, str], FloatArray] = {}
        for task, runs in self.runs.groupby("task", sort=False):
            status = runs["status"].to_numpy()
            scores = np.where(status == COMPLETE, self.tasks[str(task)].sign * runs["truth"].to_numpy(float), -np.inf)
            there = status != MISSING
            scores[there], scores[~there] = without_noise(scores[there], grain=GRAIN), np.nan
            found |= {(str(task), name): scores[runs["optimizer"] == name] for name in self.optimizers}
        return found

    def steps(self, task: str) -> dict[str, list[tuple[FloatArray, FloatArray]]]:
        """Optimizer -> per run that is not missing: the times at which its incumbent changed, and the truths."""
        self.task(task)
        return self._steps[task]

    @cached_property
    def _steps(self) -> dict[str, dict[str, list[tuple[FloatArray, FloatArray]]]]:
        found: dict[str, dict[str, list[tuple[FloatArray, FloatArray]]]] = {}
        none = np.empty((0, 2))
        for task, info in self.tasks.items():
            rows = self.anytime[self.anytime["task"] == task]
            rows = rows.sort_values(["optimizer", "seed", info.clock], kind="stable")
            columns = rows[[info.clock, "truth"]].to_numpy(float)
            where = {run: columns[places] for run, places in rows.groupby(["optimizer", "seed"]).indices.items()}
            runs = self.runs[(self.runs["task"] == task) & (self.runs["status"] != MISSING)]
            found[task] = {name: [] for name in self.optimizers}
            for optimizer, seed in zip(runs["optimizer"], runs["seed"], strict=True):
                run = where.get((optimizer, seed), none)
                found[task][optimizer].append((run[:, 0], run[:, 1]))
        return found

    def lacking(self, task: str, optimizer: str) -> int:
        """How many runs are missing: not started or not finished. It can't be known how good they would be."""
        return len(self.seeds) - len(self.scores(task, optimizer))


def _run_name(runs: pd.DataFrame) -> str:
    task, optimizer, seed = runs.iloc[0]
    return f"task {task!r}, optimizer {optimizer!r}, seed {seed}"
