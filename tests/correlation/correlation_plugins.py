"""Evaluators that a test names as ``correlation_plugins:...``; what they are asked is kept in a file."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from naslab.evaluators import Evaluation, Evaluator
from naslab.space import Architecture
from naslab.tasks import Task

LOG = "RANKING_PLUGINS_LOG"


class Total(Evaluator):
    """The sum of the option numbers times a factor; asked slowly where wanted."""

    def __init__(self, factor: float = 1.0, pause: float = 0.0) -> None:
        self.factor, self.pause = factor, pause

    @classmethod
    def for_task(  # type: ignore[override]
        cls, task: Task, rng: np.random.Generator, *, factor: float = 1.0, pause: float = 0.0
    ) -> Total:
        return cls(factor, pause)

    def evaluate(self, architecture: Architecture, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        time.sleep(self.pause)
        if LOG in os.environ:
            with Path(os.environ[LOG]).open("a") as file:
                file.write(f"{architecture}\n")
        return Evaluation(self.factor * sum(architecture) + 1e-6 * rng.random(), 0.5, {"noise": rng.random()})


class Many(Total):
    """Is asked for whole batches."""

    def evaluate_many(self, architectures: Any, *, fidelity: Any = None, rng: np.random.Generator) -> list[Evaluation]:
        return [Evaluation(float(len(architectures)), 0.0) for _ in architectures]


class Nameless(Evaluator):
    """Can't be made for a task."""

    def evaluate(self, architecture: Architecture, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        return Evaluation(0.0, 0.0)


def peeking(task: Task, rng: np.random.Generator) -> Evaluator:
    """Wants the answer."""
    assert task.test is None
    task.true_value((0, 0, 0))
    return Total()


def broken(task: Task, rng: np.random.Generator) -> Evaluator:
    raise RuntimeError("no luck")
