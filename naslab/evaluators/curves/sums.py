"""Sums over the beginning of a learning curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslab.errors import InvalidValue
from naslab.evaluators.base import Evaluator, TaskLike
from naslab.evaluators.curves.base import CurveEvaluator, Floats


class CurveSum(CurveEvaluator):
    """The mean over the last epochs seen, or over all: it orders architectures as their sum does.

    Args:
        source: As for :class:`CurveEvaluator`.
        fidelities: Likewise.
        epochs: Likewise.
        last: Over how many epochs; 0 for all.
    """

    def __init__(self, source: Evaluator, fidelities: tuple[int, ...], epochs: int, *, last: int = 0) -> None:
        super().__init__(source, fidelities, epochs)
        if last < 0:
            raise InvalidValue(f"last={last}: a number of epochs, or 0 for all")
        self.last = last

    def judge(self, epochs: Floats, values: Floats) -> float:
        return float(values[-self.last :].mean())


class LastValue(CurveSum):
    """The validation score after the last epoch seen: the baseline of every predictor from curves."""

    def __init__(self, source: Evaluator, fidelities: tuple[int, ...], epochs: int, *, last: int = 1) -> None:
        super().__init__(source, fidelities, epochs, last=last)


class SoTL(CurveSum):
    """The sum over training, as a mean over epochs: how fast it learns its training rows.

    Ru et al. 2021, "Speedy Performance Estimation for Neural Architecture Search": SoTL sums training losses over all
    epochs seen, SoTL-E over the last ones (``last=1``, the paper's choice). ``split=valid`` is SoVL. Deviation: it sums
    what the task's table records of the training rows, turned so that higher is better; the pocket tables record
    accuracies, not losses.
    """

    @classmethod
    def for_task(
        cls, task: TaskLike, rng: np.random.Generator, *, epochs: int = 0, split: str = "train", **options: Any
    ) -> CurveEvaluator:
        return super().for_task(task, rng, epochs=epochs, split=split, **options)


class SoTLE(SoTL):
    """SoTL over the last epoch seen alone."""

    def __init__(self, source: Evaluator, fidelities: tuple[int, ...], epochs: int, *, last: int = 1) -> None:
        super().__init__(source, fidelities, epochs, last=last)
