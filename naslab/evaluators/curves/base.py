"""What all evaluators of partial learning curves share: where the curve comes from, and what it costs."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.base import Evaluation, Evaluator, Fidelity, TaskLike
from naslab.evaluators.table import TableReward
from naslab.space import Architecture
from naslab.tables import Table

Floats = npt.NDArray[np.float64]

SPLITS = ("train", "valid")


class CurveEvaluator(Evaluator):
    """Scores an architecture by the first epochs of one training, and charges what these cost.

    Args:
        source: What gives the curve: an evaluator that continues trials.
        fidelities: The epochs at which it has values, rising.
        epochs: How many of them are looked at.
    """

    def __init__(self, source: Evaluator, fidelities: tuple[int, ...], epochs: int) -> None:
        self.source, self.fidelities, self.epochs = source, fidelities, epochs

    @classmethod
    def for_task(
        cls, task: TaskLike, rng: np.random.Generator, *, epochs: int = 0, split: str = "valid", **options: Any
    ) -> CurveEvaluator:
        """Reads the curves of a task's trainings.

        Args:
            task: Its reward continues trials: a table's with curves, or training from scratch.
            rng: Not used.
            epochs: How many epochs are looked at; by default (0) half of those that there are.
            split: Whose curve: of the ``"valid"`` or of the ``"train"`` rows. The latter must be a column of the
                task's table.
            **options: Of the evaluator.

        Raises:
            InvalidValue: There are no curves, not that many epochs, or no such split.
        """
        if split not in SPLITS:
            raise InvalidValue(f"split {UnknownName(split, SPLITS)}")
        source = task.reward() if split == "valid" else _training_curve(task)
        fidelities = getattr(task.problem, "fidelities", ())
        if not source.continues or len(fidelities) < 2 or not all(isinstance(each, int) for each in fidelities):
            raise InvalidValue(f"{task.id!r} has no learning curves: its reward does not continue trials over epochs")
        wanted = epochs or fidelities[(len(fidelities) - 1) // 2]
        if wanted not in fidelities:
            raise InvalidValue(f"epochs={epochs} on {task.id!r}. Allowed: {', '.join(map(str, fidelities))}")
        return cls(source, fidelities, wanted, **options)

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        if fidelity is not None:
            raise InvalidValue(f"fidelity {fidelity!r}: how much of a curve is seen is stated by epochs=")
        epochs, values, seconds = self.curve(architecture, self.epochs, rng)
        whole = bool(np.isfinite(values).all())
        return Evaluation(self.judge(epochs, values) if whole else float("nan"), seconds)

    def curve(self, architecture: Architecture, epochs: int, rng: np.random.Generator) -> tuple[Floats, Floats, float]:
        """The epochs up to one, the values there (higher is better), and the seconds that they cost."""
        with tempfile.TemporaryDirectory() as folder:
            found = self.source.proceed(
                architecture, fidelity=epochs, since=None, rng=rng, checkpoint=Path(folder) / "trial"
            )
        known = np.array([point for point in found.curve if point[0] <= epochs], float)
        return known[:, 0], known[:, 1], found.seconds

    @abstractmethod
    def judge(self, epochs: Floats, values: Floats) -> float:
        """The score of a beginning; both are ``(n,)`` and finite, and higher values are better."""


def _training_curve(task: TaskLike) -> Evaluator:
    """A reader of the curve on the training rows, of the same trainings as the task's reward."""
    table, dataset = getattr(task.reward, "table", None), getattr(task.reward, "dataset", "")
    if isinstance(table, Table):
        for name, column in table.columns.items():
            if (column.dataset, column.split) == (dataset, "train") and len(column.epochs) > 1:
                return TableReward(table, name, dataset, None)
    raise InvalidValue(f"{task.id!r} has no curve on training rows, such as a table's column of split train")
