"""Problems, tasks, constraints and budgets.

A *problem* is what an optimizer may see. A *task* adds what it may not: its reward and how the outcome is judged.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.choice import Architecture
from naslab.cost import METRICS
from naslab.datasets.catalogue import SPLITS, RowsOf
from naslab.datasets.rows import Labelled
from naslab.errors import InvalidTable, InvalidValue, UnknownMetric, UnknownTask
from naslab.evaluators.base import Evaluator, Fidelity
from naslab.evaluators.recipe import Recipe
from naslab.evaluators.table import TableReward, TableTruth
from naslab.feasibility import ENUMERABLE, Backend, Feasibility, FeasibleSet
from naslab.registry import entries, load, search_space
from naslab.space import SearchSpace
from naslab.tables.format import Table
from naslab.tables.header import Reading
from naslab.tables.store import find_table, imported_names, packaged_names, table_names


@dataclass(frozen=True)
class Budget:
    """How much a run may spend.

    Attributes:
        amount: More than zero.
        unit: ``"s"`` for seconds on the common clock, ``"evaluations"`` for a number of queries.
    """

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str | int | float | Budget) -> Budget:
        """``"12000s"`` or ``12000.0``-seconds strings are seconds; ``100`` or ``"100"`` are evaluations.

        Raises:
            InvalidValue: Anything else, or nothing to spend.
        """
        if isinstance(text, Budget):
            return text
        written = str(text).strip()
        unit = "s" if written.endswith("s") else "evaluations"
        try:
            amount = float(written.removesuffix("s"))
        except ValueError:
            amount = math.nan
        whole = unit == "s" or amount == int(amount if math.isfinite(amount) else 0)
        if not (math.isfinite(amount) and amount > 0 and whole):
            raise InvalidValue(
                f"budget {written!r}: give evaluations (such as 100) or seconds (such as 12000s), above 0"
            )
        return cls(amount, unit)

    def __str__(self) -> str:
        # Exact: what is written is what a resumed comparison is compared with.
        amount = int(self.amount) if self.amount == int(self.amount) else self.amount
        return f"{amount}s" if self.unit == "s" else f"{amount}"


class TabulatedCost(Mapping[Architecture, float]):
    """A cost that was measured for every architecture, such as latency."""

    def __init__(self, sizes: tuple[int, ...], architectures: npt.ArrayLike, values: npt.ArrayLike) -> None:
        self._table = np.full(sizes, np.nan)
        self._table[tuple(np.asarray(architectures).T)] = values

    def __getitem__(self, architecture: Architecture) -> float:
        return float(self._table[architecture])

    def __iter__(self) -> Any:
        return iter(np.ndindex(self._table.shape))

    def __len__(self) -> int:
        return self._table.size


@dataclass(frozen=True)
class Limit:
    """An upper bound on one cost.

    Attributes:
        metric: ``"params"``, ``"macs"``... of the cost model, or a cost the task measured: ``"latency_seconds"``.
        maximum: The largest value allowed, inclusive.
    """

    metric: str
    maximum: float

    def __str__(self) -> str:
        return f"{self.metric} <= {self.maximum:,.10g}"


@dataclass(frozen=True)
class Constraint:
    """Limits that an architecture must meet, all of them."""

    limits: tuple[Limit, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str] | Mapping[str, float]) -> Constraint:
        """``["params=41153", "macs=1e6"]`` or a mapping.

        Raises:
            InvalidValue: Not of that form, not a positive number, or a cost limited twice.
        """
        if not isinstance(texts, Mapping):
            pairs = [(metric, number) for metric, _, number in (text.partition("=") for text in texts)]
            twice = [metric for metric, times in Counter(metric for metric, _ in pairs).items() if times > 1]
            if twice:
                raise InvalidValue(f"{twice[0]} is limited twice; give each cost once")
        else:
            pairs = [(metric, str(number)) for metric, number in texts.items()]
        limits = []
        for metric, number in pairs:
            try:
                maximum = float(number)
            except ValueError:
                maximum = math.nan
            if not (math.isfinite(maximum) and maximum > 0):
                raise InvalidValue(f"limit {metric}={number}: give a cost and a positive number, such as params=41153")
            limits.append(Limit(metric, maximum))
        return cls(tuple(sorted(limits, key=lambda limit: limit.metric)))

    def __str__(self) -> str:
        return ", ".join(map(str, self.limits))

    def as_dict(self) -> dict[str, float]:
        return {limit.metric: limit.maximum for limit in self.limits}


@dataclass(frozen=True)
class Problem:
    """What an optimizer may see.

    Attributes:
        space: The search space.
        constraint: Limits on costs.
        fidelities: What :class:`~naslab.optimizers.base.Query` may ask for, least thorough first; empty where there
            is no choice.
        fidelity: What is meant where a query states none.
        measured: Costs that were measured rather than computed, by name.
        train: Training rows, where the task has any; loaded when they are first looked at.
        validation: Validation rows, likewise.
    """

    space: SearchSpace
    constraint: Constraint = Constraint()
    fidelities: tuple[Fidelity, ...] = ()
    fidelity: Fidelity | None = None
    measured: Mapping[str, Mapping[Architecture, float]] = field(default_factory=dict)
    train: Labelled | None = None
    validation: Labelled | None = None

    def __post_init__(self) -> None:
        for limit in self.constraint.limits:
            if limit.metric not in self.costs:
                raise UnknownMetric(limit.metric, self.costs)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the costs that an architecture has here."""
        return (*METRICS, *self.measured)

    def cost(self, metric: str, architecture: Architecture) -> float:
        """One cost of an architecture, computed or measured."""
        if metric in self.measured:
            return self.measured[metric][architecture]
        return self.space.cost_model.value(metric, architecture)

    def is_feasible(self, architecture: Architecture) -> bool:
        """Whether an architecture meets every limit."""
        return all(self.cost(limit.metric, architecture) <= limit.maximum for limit in self.constraint.limits)

    def feasibility(self, backend: Backend = "auto") -> Feasibility:
        """The feasible architectures under a factorised policy; without limits, the valid ones."""
        return Feasibility(self.space, self.constraint.as_dict(), backend, measured=self.measured)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the feasible architectures."""
        return self._feasible.sample(rng) if self.constraint.limits else self.space.sample(rng)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The feasible architectures one move away."""
        return self._feasible.neighbors(architecture)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the feasible neighbours."""
        return (
            self._feasible.mutate(architecture, rng) if self.constraint.limits else self.space.mutate(architecture, rng)
        )

    @cached_property
    def _feasible(self) -> FeasibleSet:
        return FeasibleSet(self.space, self.is_feasible, str(self.constraint))


@dataclass(frozen=True)
class Task:
    """A problem, how a search on it is rewarded, and what its outcome is judged by.

    Attributes:
        id: Such as ``"nasbench201/cifar10"``.
        problem: What an optimizer sees.
        reward: Makes the evaluator that a search may query and pays for; a fresh one for every run.
        truth: Judges the outcome. Never shown to a search.
        metric: What the truth measures, such as ``"test accuracy"``.
        unit: Its unit, such as ``"%"``.
        direction: ``"max"`` where a higher truth is better, ``"min"`` where a lower one is.
        source: What identifies the data, for the header of a trace (a table's hash).
        test: Test rows, where the task has any. Never shown to a search.
        calibration: Seconds that the fixed training of :mod:`naslab.evaluators.calibration` took on the machine whose
            clock the task's recorded seconds are; None where nobody recorded them.
        recipe: How the architectures of the truth were trained, where it is known.
    """

    id: str
    problem: Problem
    reward: Callable[[], Evaluator]
    truth: Evaluator
    metric: str = "score"
    unit: str = ""
    direction: str = "max"
    source: Mapping[str, str] = field(default_factory=dict)
    test: Labelled | None = None
    calibration: float | None = None
    recipe: Recipe | None = None

    def constrained(self, constraint: Constraint) -> Task:
        """The same task under a constraint.

        Raises:
            UnknownMetric: A cost that the task does not have.
            InvalidValue: A limit that no architecture meets (found out where the space can be enumerated).
        """
        problem = dataclasses.replace(self.problem, constraint=constraint)
        if constraint.limits and problem.space.size <= ENUMERABLE:
            try:
                problem.sample(np.random.default_rng(0))
            except InvalidValue as error:
                smallest = ", ".join(
                    f"{limit.metric}={min(problem.cost(limit.metric, a) for a in problem.space.architectures()):,.10g}"
                    for limit in constraint.limits
                )
                raise InvalidValue(f"{error}; the smallest there is: {smallest}") from None
        return dataclasses.replace(self, problem=problem)

    def true_value(self, architecture: Architecture) -> float:
        """The truth about one architecture, in :attr:`unit`."""
        return self.truth.evaluate(architecture, rng=np.random.default_rng(0)).score

    @cached_property
    def optimum(self) -> float | None:
        """The best truth of any feasible architecture, where the truth is a table."""
        values = getattr(self.truth, "values", None)
        if not isinstance(values, Mapping):
            return None
        feasible = (v for a, v in values.items() if v == v and self.problem.is_feasible(a))
        return (max if self.direction == "max" else min)(feasible, default=None)


@dataclass(frozen=True)
class _Reward:
    """Makes a table's reward. It keeps no state, so one serves every run; workers make their own."""

    table: Table
    column: str
    dataset: str
    epochs: int | None

    def __call__(self) -> Evaluator:
        return self._shared

    def __reduce__(self) -> tuple[Any, ...]:
        return _Reward, (self.table, self.column, self.dataset, self.epochs)

    @cached_property
    def _shared(self) -> TableReward:
        return TableReward(self.table, self.column, self.dataset, self.epochs)


def table_task(table: Table, dataset: str, task_id: str | None = None) -> Task:
    """The task that a table defines for one of its datasets.

    Its space is built with the options that the table states; costs that the table measured (``latency_seconds``) can
    be limited. Where the table knows its rows and its recipe, the task has them, too.

    Raises:
        UnknownTask: The table has no task for this dataset.
    """
    if dataset not in table.tasks:
        raise UnknownTask(f"{table.name}/{dataset}", [f"{table.name}/{name}" for name in table.tasks])
    entry = table.tasks[dataset]
    space = search_space(table.space, **entry.space_options)
    reward, truth = table.columns[entry.reward.column], table.columns[entry.truth.column]
    architectures = [tuple(options) for options in table.architectures.tolist()]
    values = dict(zip(architectures, table.mean(entry.truth.column, entry.truth.epochs).tolist(), strict=True))
    latency = f"{dataset}/latency_seconds"
    measured = {}
    if latency in table.columns:
        measured["latency_seconds"] = TabulatedCost(space.sizes, table.architectures, table.mean(latency))
    split = {"valid": "validation ", "test": "test ", "train": "training ", None: ""}[truth.split]
    data = entry.data
    rows = {name: RowsOf(data.name, name, data.sha256) if data else None for name in SPLITS}
    recipe = table.provenance.get("build", {}).get("recipe")
    return Task(
        id=task_id or f"{table.name}/{dataset}",
        problem=Problem(
            space,
            fidelities=reward.epochs,
            fidelity=entry.reward.epochs,
            measured=measured,
            train=rows["train"],
            validation=rows["validation"],
        ),
        reward=_Reward(table, entry.reward.column, dataset, entry.reward.epochs),
        truth=TableTruth(values),
        metric=split + truth.metric,
        unit=truth.unit,
        direction=truth.direction,
        source={"table": table.name, "table_sha256": table.sha256},
        test=rows["test"],
        calibration=table.provenance.get("calibration_seconds"),
        recipe=recipe and Recipe(**recipe),
    )


def task(task_id: str) -> Task:
    """The task of this id, such as ``"nasbench201/cifar10"``: a registered one, or one of a stored table.

    With ``@mode`` after it, such as ``"pocket-mlp/mnist@shared"``, its reward is found in another way: see the
    entry-point group ``naslab.rewards``.

    Raises:
        UnknownTask: There is none of this id.
        UnknownName: There is no such mode.
    """
    if "@" in task_id:
        plain, _, mode = task_id.rpartition("@")
        rewarded: Task = load("rewards", mode)(task(plain))
        return rewarded
    registered = entries("tasks")
    if task_id in registered:
        found: Task = registered[task_id].load()(task_id)
        return found
    name, _, dataset = task_id.partition("/")
    if name in table_names():
        return table_task(find_table(name), dataset)
    known = {*registered, *stored_task_ids()}
    raise UnknownTask(task_id, known, see="naslab list tasks; further tables: naslab table import --help")


def packaged_task(task_id: str) -> Task:
    """A task of a table that comes with naslab: NAS-Bench-201's, or that of a pocket benchmark."""
    name, _, dataset = task_id.partition("/")
    own = f"{name}-{dataset}"
    return table_task(find_table(own if own in packaged_names() else name), dataset, task_id)


def stored_task_ids() -> dict[str, str]:
    """Ids of the tasks of every imported table that can be opened, and what each rewards and is judged by."""
    ids = {}
    for name in imported_names():
        with suppress(InvalidTable):  # a damaged table is refused, by name, when it is asked for
            for dataset, entry in find_table(name).tasks.items():
                ids[f"{name}/{dataset}"] = f"Reward: {_reading(entry.reward)}. Truth: {_reading(entry.truth)}."
    return ids


def _reading(entry: Reading) -> str:
    column = entry.column.partition("/")[2].replace("/", " ")
    return column if entry.epochs is None else f"{column} at {entry.epochs} epochs"
