"""Tasks by their ids: registered ones, and those of stored tables."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from naslab.datasets.catalogue import SPLITS, RowsOf
from naslab.errors import InvalidTable, UnknownTask
from naslab.evaluators import Evaluator
from naslab.evaluators.table import TableReward, TableTruth
from naslab.registry import called, entries, load
from naslab.space import METRICS, Recipe, listed
from naslab.tables import Reading, Table, find_table, imported_names, packaged_names, table_names
from naslab.tables.format import Floats
from naslab.tables.spaces import stated_space
from naslab.tasks.base import Task
from naslab.tasks.problem import Problem

_TEST_ONLY = " (test-only protocol: searches see it)"


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

    Its space is built with the options that the table states. Where the table does not hold all of it, or has no reward
    or no truth for some architectures, the space is the rows that it has (:func:`naslab.space.listed`). Costs
    that the table measured (every column of the role
    ``cost`` that is better when lower, such as ``latency_seconds``; their means over seeds) are the task's under their
    metric's name; what the space computes exactly (``params``, ``macs``) stays computed. Where the table knows its rows
    and its recipe, the task has them, too.

    Raises:
        UnknownTask: The table has no task for this dataset.
    """
    if dataset not in table.tasks:
        raise UnknownTask(f"{table.name}/{dataset}", [f"{table.name}/{name}" for name in table.tasks])
    task_name, entry = dataset, table.tasks[dataset]
    dataset = entry.dataset or dataset
    space = stated_space(table.header, entry.space_options)
    reward, truth = table.columns[entry.reward.column], table.columns[entry.truth.column]
    architectures = [tuple(options) for options in table.architectures.tolist()]
    truths = table.mean(entry.truth.column, entry.truth.epochs)
    here = table.known(task_name)
    if not here.any():
        raise InvalidTable(f"table {table.name!r}: no architecture has a reward and a truth for {task_name!r}")
    if here.sum() < space.size:
        space = listed(space, table.architectures[here], None if table.keys is None else table.keys[here])
    values = dict(zip(architectures, truths.tolist(), strict=True))
    measured = {
        column.metric: dict(zip(architectures, _cost(table, name), strict=True))
        for name, column in table.columns.items()
        if column.is_cost_on(dataset) and not (space.has_network and column.metric in METRICS)
    }
    split = {"valid": "validation ", "test": "test ", "train": "training ", None: ""}[truth.split]
    data = entry.data
    rows = {name: RowsOf(data.name, name, data.sha256) if data else None for name in SPLITS}
    recipe = table.provenance.get("build", {}).get("recipe")
    return Task(
        id=task_id or f"{table.name}/{task_name}",
        problem=Problem(
            space,
            fidelities=reward.epochs,
            fidelity=entry.reward.epochs,
            measured=measured,
            train=rows["train"],
            validation=rows["validation"],
        ),
        reward=_Reward(table, entry.reward.column, dataset, entry.reward.epochs),
        truth=TableTruth(values, table.values(entry.truth.column, entry.truth.epochs)),
        metric=split + truth.metric + _TEST_ONLY * (table.header.protocol == "test-only"),
        unit=truth.unit,
        direction=truth.direction,
        source={"table": table.name, "table_sha256": table.sha256},
        test=rows["test"],
        calibration=table.provenance.get("calibration_seconds"),
        recipe=recipe and Recipe(**recipe),
        recorded=frozenset(
            each.sha256 for each in table.header.columns if each.name in (entry.reward.column, entry.truth.column)
        ),
    )


def _cost(table: Table, name: str) -> list[float]:
    """Means over seeds, never outside of what they are made of: in floating point three times 11.855, over three, is
    less than 11.855, and whether a limit of 11.855 is kept must not depend on that."""
    values = table.values(name)
    clipped: Floats = np.clip(table.mean(name), np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1))
    found: list[float] = clipped.tolist()
    return found


def table_notes(one: Task) -> list[str]:
    """Sentences that a reader of any result on a task must know about its table; none where it has no table."""
    table = getattr(one.reward, "table", None)
    if not isinstance(table, Table):
        return []
    notes, problem = [], one.problem
    if problem.space.listed:
        notes.append(
            f"{one.id} is a sample of its space: searches draw from {problem.space.size:,} architectures and move "
            "between them, and the best truth is the best of these."
        )
    if getattr(one.reward, "dataset", None) in table.untimed:
        notes.append(f"No training seconds were recorded for {one.id}: budgets are in evaluations.")
    named = [*(limit.metric for limit in problem.constraint.limits), *(each.name for each in problem.objectives)]
    for cost in dict.fromkeys(named):
        values = [problem.measured[cost][a] for a in problem.space.architectures()] if cost in problem.measured else []
        if unknown := int(np.isnan(values).sum()):
            notes.append(
                f"{cost} was not measured for {unknown:,} of the {len(values):,} architectures of {one.id}: these keep "
                "no limit on it, and are on no front."
            )
    if table.duplicates:
        notes.append(
            f"{table.duplicates:,} of the {len(table):,} rows of table {table.name!r} have the very numbers of an "
            "earlier row: they may share trainings."
        )
    return notes


def task(task_id: str, *, device: str = "cpu") -> Task:
    """The task of this id, such as ``"nasbench201/cifar10"``: a registered one, or one of a stored table.

    With ``@mode`` after it, such as ``"pocket-mlp/mnist@shared"``, the reward is computed in another way: see the
    entry-point group ``naslab.rewards``.

    Args:
        task_id: As above.
        device: Where its networks run: see :meth:`~naslab.tasks.Task.on`.

    Raises:
        UnknownTask: There is none of this id.
        UnknownName: There is no such mode.
        InvalidValue: There is no such device.
    """
    return _found(task_id).on(device)


def _found(task_id: str) -> Task:
    if "@" in task_id:
        plain, _, mode = task_id.rpartition("@")
        rewarded: Task = called(f"task {task_id!r} can't be made", load("rewards", mode), _found(plain))
        return rewarded
    registered = entries("tasks")
    if task_id in registered:
        found: Task = called(f"task {task_id!r} can't be made", registered[task_id].load(), task_id)
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
