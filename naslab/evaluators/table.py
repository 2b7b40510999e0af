"""Looking up what somebody measured: an evaluator over a stored table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from naslab.errors import InvalidValue, UnknownMetric
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity, TaskLike
from naslab.space import Architecture
from naslab.tables import Table
from naslab.tables.format import Floats


class TableReward(Evaluator):
    """The recorded score of one randomly drawn training of the architecture.

    Asking twice may give two answers, as training twice would, and is charged twice: the protocol of Dong & Yang 2020
    (NAS-Bench-201). What is charged is the recorded training time; see :meth:`naslab.tables.Table.charge`.

    Attributes:
        timed: Whether there are such times; without them nothing is charged, and budgets are in evaluations.

    Args:
        table: Where the numbers are.
        column: Name of the score's column; the table's header ensures that rewards never come from test data.
        dataset: Whose training seconds are charged.
        epochs: The default fidelity; the column's other epochs can be asked for as fidelities.
    """

    def __init__(self, table: Table, column: str, dataset: str, epochs: int | None) -> None:
        self.timed = dataset not in table.untimed
        self.continues = table.curve and len(table.columns[column].epochs) > 1
        # The rows alone: who holds this evaluator does not hold the table, and the truth that is in it.
        self.default, self._row = epochs, table.rows.__getitem__
        fidelities: Sequence[int | None] = table.columns[column].epochs or (None,)
        self._recorded = {e: _scores(table, column, e) for e in fidelities}
        self._seconds = {e: table.charge(dataset, e).tolist() for e in fidelities}

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        epochs = self.default if fidelity is None else fidelity
        if epochs not in self._recorded:
            self._refuse(epochs)
        row = self._row(architecture)
        scores = self._recorded[epochs][row]
        score = scores[int(rng.random() * len(scores))]
        return Evaluation(score, self._seconds[epochs][row])

    def proceed(
        self,
        architecture: Architecture,
        *,
        fidelity: Fidelity | None,
        since: Fidelity | None,
        rng: np.random.Generator,
        checkpoint: Path,
    ) -> Evaluation:
        """Look further along the same recorded training; charged is the difference in seconds."""
        epochs = self.default if fidelity is None else fidelity
        draw = rng.random()
        curve: list[tuple[int, float]] = []
        row = self._row(architecture)
        for each, rows in self._recorded.items():
            curve.append((int(each or 0), rows[row][int(draw * len(rows[row]))]))
            if each == epochs:
                break
        else:
            self._refuse(epochs)
        paid = self._seconds[since][row] if since in self._seconds else 0.0
        return Evaluation(curve[-1][1], max(0.0, self._seconds[epochs][row] - paid), curve=tuple(curve))

    def _refuse(self, epochs: object) -> NoReturn:
        raise InvalidValue(f"fidelity {epochs!r} is not recorded; allowed: {', '.join(map(str, self._recorded))}")


class TableColumn(Evaluator):
    """Any number that the task's table holds of an architecture, as a score: a stored proxy, a cost of a device.

    Named ``table[column=synflow]``, ``table[column=pixel3_ms]``, ``table[column=accuracy/train]``. The mean over seeds
    after the longest training; its negative where lower is better. Nothing is charged.

    Args:
        table: Where the numbers are.
        dataset: Whose column it is.
        task: Whose architectures are judged.
        column: The column's name without the dataset.

    Raises:
        UnknownMetric: The table lacks the column; names the nearest.
        InvalidValue: None was given; or it is what searches are judged by, or test data. An architecture that has no
            number is refused when it is evaluated: ranked as the worst, it would say nothing of the column.
    """

    partial = True
    """`naslab correlate` leaves out what it has no score for."""

    def __init__(self, table: Table, dataset: str, task: TaskLike, *, column: str = "") -> None:
        here = (spec for spec in table.columns.values() if spec.dataset in (dataset, None))
        known = {spec.name.removeprefix(f"{dataset}/"): spec for spec in here}
        if not column:
            raise InvalidValue(f"which column? table[column=NAME]. Columns: {', '.join(known)}")
        if column not in known:
            raise UnknownMetric(column, known, of=table.name)
        spec = known[column]
        if spec.role == "truth" or spec.split == "test":
            raise InvalidValue(f"table[column={column}] is what searches are judged by: no evaluator sees it")
        values = table.mean(spec.name) if spec.direction == "max" else -table.mean(spec.name)
        architectures = map(tuple, table.architectures.tolist())
        self._scores = dict(zip(architectures, values.tolist(), strict=True))
        self._what = f"table[column={column}] of {task.id!r}"

    def lacks(self, architecture: Architecture) -> bool:
        """Whether an architecture has no number there."""
        return math.isnan(self._scores[architecture])

    @classmethod
    def for_task(cls, task: TaskLike, rng: np.random.Generator, **options: Any) -> Evaluator:
        """Of the task's table and dataset; see the constructor."""
        reward: Any = task.reward
        if not isinstance(getattr(reward, "table", None), Table):
            raise InvalidValue(f"the evaluator table: task {task.id!r} is rewarded by no table")
        return cls(reward.table, reward.dataset, task, **options)

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        if self.lacks(architecture):
            raise InvalidValue(f"{self._what} has no number for {architecture}. Fix: search a table of those that have")
        return Evaluation(self._scores[architecture], 0.0)


class TableTruth(Evaluator):
    """The mean over the recorded trainings: what the outcome of a search is judged by. It charges nothing.

    The score is the metric itself, in its own unit and direction: see :class:`naslab.tasks.Task`.

    Args:
        values: Score by architecture.
        trainings: ``(N, S)``, in the same order: each recorded training's score, NaN where there is none; None if
            unknown.
    """

    def __init__(self, values: Mapping[Architecture, float], trainings: Floats | None = None) -> None:
        self.values, self.trainings = values, trainings

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return Evaluation(self.values[architecture], 0.0)


def _scores(table: Table, column: str, epochs: int | None) -> list[list[float]]:
    """For each row the scores that were recorded (not every seed was run for every architecture); higher is better."""
    sign = 1.0 if table.columns[column].direction == "max" else -1.0
    values = sign * table.values(column, epochs)
    return [[x for x in row if x == x] or [float("nan")] for row in values.tolist()]
