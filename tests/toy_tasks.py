"""Small tasks to run searches on: in memory, and as a stored table; and the command line as a child process."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import naslab
from naslab.evaluators import Evaluation, Evaluator
from naslab.evaluators.table import TableTruth
from naslab.space import Architecture, Rule, SearchSpace
from naslab.tables import Reading, Table
from naslab.tables.header import ColumnSpec, TableSpec, TableTask
from naslab.tables.writing import write_table
from naslab.tasks import Problem, Task

WIDTHS = ((1, 2, 3, 4), (1, 2, 3), (1, 2, 5))
BEST = (2, 0, 1)
"""The optimum of :func:`height`; its neighbours are better the nearer they are, so that every strategy can climb."""

TABLE = "toymlp"
TASK = f"{TABLE}/toy"
SPACE_OPTIONS = {"in_features": 2, "out_features": 2, "depth": 3, "widths": (1, 2, 3)}
ROWS = list(itertools.product(range(3), repeat=3))


def toy_space(rules: Sequence[Rule] = ()) -> SearchSpace:
    """Three widths: 36 architectures without rules."""
    space = naslab.search_space("mlp", in_features=2, out_features=2, widths=WIDTHS)
    return SearchSpace(space.graph, name="toy", rules=rules) if rules else space


def height(architecture: Architecture) -> float:
    """10 at the optimum, less with every step away from it."""
    return 10.0 - sum(abs(a - b) for a, b in zip(architecture, BEST, strict=True))


class ToyReward(Evaluator):
    """Charges one second plus the number of the first option; counts and keeps what it was asked."""

    def __init__(self, score: Callable[[Architecture], float] = height, noise: float = 0.0) -> None:
        self.score, self.noise = score, noise
        self.asked: list[Architecture] = []

    def evaluate(self, architecture: Architecture, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        self.asked.append(architecture)
        return Evaluation(self.score(architecture) + self.noise * rng.normal(), 1.0 + architecture[0])


class MeasuredReward(ToyReward):
    clock = "measured"


def toy_task(
    reward: Evaluator | None = None, rules: Sequence[Rule] = (), score: Callable[[Architecture], float] = height
) -> Task:
    """A task in memory; without a reward, a fresh noisy one for every run."""
    space = toy_space(rules)
    truth = TableTruth({a: score(a) for a in space.architectures()})
    return Task("toy", Problem(space), (lambda: reward) if reward else lambda: ToyReward(score, noise=0.1), truth)


def distinctive_truth() -> np.ndarray:
    """Test accuracies that no other number of the table or the space equals."""
    return 70.0 + np.random.default_rng(77).random(len(ROWS))


def store_table(path: Path, name: str = TABLE, shift: float = 0.0, direction: str = "max") -> Table:
    """27 perceptrons: validation after 1, 3 and 9 epochs by two seeds, test, training seconds, latency."""
    common: dict[str, Any] = {"dataset": "toy", "unit": "%", "direction": direction}
    valid = ColumnSpec(**common, metric="accuracy", split="valid", role="reward", epochs=(1, 3, 9), seeds=("1", "2"))
    test = ColumnSpec(**common, metric="accuracy", split="test", role="truth", epochs=(9,), seeds=("mean",))
    common |= {"unit": "seconds", "direction": "min", "split": None, "role": "cost", "seeds": ("mean",)}
    seconds = ColumnSpec(**common, metric="train_seconds", epochs=(9,))
    latency = ColumnSpec(**common, metric="latency_seconds", epochs=())
    rng = np.random.default_rng(5)
    truth, count = distinctive_truth(), len(ROWS)
    arrays = {
        valid.name: shift + 60.0 + truth[:, None, None] / 10 + rng.random((count, 3, 2)) * [[[0.9], [0.3], [0.1]]],
        test.name: truth[:, None, None],
        seconds.name: 90.0 + 9.0 * np.arange(count)[:, None, None],
        latency.name: 0.001 + 0.0001 * np.arange(count)[:, None, None],
    }
    task = TableTask(
        reward=Reading(column=valid.name, epochs=3),
        truth=Reading(column=test.name, epochs=9),
        space_options=SPACE_OPTIONS,
    )
    spec = TableSpec(
        name=name,
        space="mlp",
        options=(3, 3, 3),
        columns=(valid, test, seconds, latency),
        tasks={"toy": task},
        provenance={"source": "invented"},
    )
    return write_table(path, spec, ROWS, arrays, replace=True)


def traces(folder: Path) -> dict[str, bytes]:
    """Every trace of a comparison by its path in the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("runs/*/*/*.jsonl"))}


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that a folder holds; None for a folder in it."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def command(*arguments: str) -> list[str]:
    """The ``naslab`` command of this environment."""
    return [sys.executable, "-c", "from naslab.cli import main; main()", *arguments]


def run_naslab(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the ``naslab`` command in a process of its own."""
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(command(*arguments), capture_output=True, text=True, env=environment, timeout=300, **options)
