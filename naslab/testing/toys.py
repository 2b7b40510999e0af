"""Small tasks that need no data, on which optimizers are tried."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from naslab.datasets import Rows
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.ops import AvgPool, Conv, Identity, Linear, ReLU, Zero
from naslab.space import SGD, Architecture, Choice, Range, Recipe, Rule, SearchSpace
from naslab.tasks import Constraint, Problem, Task

SEED = 11


class ToyReward(Evaluator):
    """Rewards high option indices, with noise; every seventh evaluation or so is not finite if ``broken``."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        score = sum(option * (i + 1) for i, option in enumerate(architecture)) + rng.normal()
        if self.broken and rng.random() < 0.15:
            score = float(rng.choice([math.nan, math.inf, -math.inf]))
        epochs = fidelity if isinstance(fidelity, int) else 9
        return Evaluation(float(score), float(epochs))


def toy_tasks() -> dict[str, Task]:
    """Small tasks of every kind that an optimizer may meet; they need no data.

    ``plain``: mixed operations and widths. ``rules``: few combinations are valid. ``constrained``: a limit on
    parameters. ``fidelities``: 1, 3 or 9 epochs. ``broken``: scores that are often not finite. ``joint``: options
    that contain choices, and a recipe with ranges.
    """
    layers, cell = _layers(), _cell()
    truth = ToyReward()
    plain = Task("toy/plain", Problem(layers), ToyReward, truth)
    return {
        "plain": plain,
        "rules": Task("toy/rules", Problem(cell), ToyReward, truth),
        "constrained": Task("toy/constrained", Problem(layers), ToyReward, truth).constrained(
            Constraint.parse({"params": 400})
        ),
        "fidelities": Task("toy/fidelities", Problem(layers, fidelities=(1, 3, 9), fidelity=9), ToyReward, truth),
        "broken": Task("toy/broken", Problem(layers), lambda: ToyReward(broken=True), truth),
        "joint": Task("toy/joint", Problem(_joint()), ToyReward, truth),
    }


def toy_trainings() -> dict[str, Task]:
    """Small tasks with rows to train on, for gradient searches: ``plain``, ``rules`` and ``constrained``."""
    layers, rng = _layers(), np.random.default_rng(SEED)
    widths = [(i, j) for i, j in np.ndindex(4, 3) if i != j]
    ruled = SearchSpace(layers.graph, name="toy-layers", rules=[Rule(("width1", "width2"), frozenset(widths))])
    x = rng.standard_normal((2, 128, 6)).astype(np.float32)
    train, held = (Rows(each, each[:, :3].argmax(axis=1)) for each in x)
    tasks = {
        name: Task(f"toy/{name}", Problem(space, train=train, validation=held), ToyReward, ToyReward())
        for name, space in (("plain", layers), ("rules", ruled))
    }
    limited = dataclasses.replace(tasks["plain"], id="toy/constrained")
    return {**tasks, "constrained": limited.constrained(Constraint.parse({"params": 400}))}


class ToyTraining(Evaluator):
    """Trainings of 1, 3 or 9 epochs that go on, take different times, and raise in about one of eight evaluations."""

    continues = True

    def evaluate(
        self, architecture: Architecture, *, fidelity: Fidelity | None = None, rng: np.random.Generator
    ) -> Evaluation:
        return self._trained(architecture, fidelity, None, rng)

    def proceed(
        self,
        architecture: Architecture,
        *,
        fidelity: Fidelity | None,
        since: Fidelity | None,
        rng: np.random.Generator,
        checkpoint: Path,
    ) -> Evaluation:
        return self._trained(architecture, fidelity, since, rng)

    def _trained(
        self, architecture: Architecture, fidelity: Fidelity | None, since: Fidelity | None, rng: np.random.Generator
    ) -> Evaluation:
        epochs, paid = int(fidelity or 9), int(since or 0)
        quality = sum(option * (i + 1) for i, option in enumerate(architecture)) + rng.normal()
        curve = tuple((epoch, float(quality * (1 - 0.5**epoch))) for epoch in range(1, epochs + 1))
        if rng.random() < 0.12:
            raise ToyFailure("the training failed", seconds=0.5)
        return Evaluation(curve[-1][1], (epochs - paid) * (1 + 0.25 * architecture[0]), curve=curve)


class ToyFailure(RuntimeError):
    """What a training may raise; it says what was spent."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def toy_trials() -> Task:
    """A task with trials that go on and may fail: what a strategy meets that is asked by several workers."""
    problem = Problem(_layers(), fidelities=(1, 3, 9), fidelity=9)
    return Task("toy/trials", problem, ToyTraining, ToyReward())


def _layers() -> SearchSpace:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(6,))
    graph.add_node("h1", width=Choice("width1", (4, 8, 16, 32)))
    graph.add_node("h2", width=Choice("width2", (4, 8, 16)))
    graph.add_node("y", width=3)
    graph.add_edge("x", "h1", op=Linear())
    graph.add_edge("h1", "a1", op=Choice("activation", (ReLU(), Identity())))
    graph.add_edge("a1", "h2", op=Linear())
    graph.add_edge("h2", "y", op=Linear())
    return SearchSpace(graph, name="toy-layers")


def _cell() -> SearchSpace:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(4, 8, 8))
    options = (Zero(), Identity(), Conv(kernel=1), Conv(kernel=3))
    for v in (1, 2, 3):
        graph.add_node(v, width=4)
        for u in range(v):
            graph.add_edge(u or "x", v, op=Choice(f"{u}->{v}", options))
    exactly_two = [c for c in np.ndindex(4, 4, 4) if sum(o > 0 for o in c) == 2]
    return SearchSpace(graph, name="toy-cell", rules=[Rule(("0->3", "1->3", "2->3"), frozenset(exactly_two))])


def _joint() -> SearchSpace:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(4, 8, 8))
    graph.add_node("y", width=4)
    conv = Conv(kernel=Choice("kernel", (1, 3, 5)))
    graph.add_edge("x", "h", op=Choice("op", (Identity(), conv, AvgPool())))
    graph.add_edge("h", "y", op=Choice("last", (Conv(), conv)))
    momentum = Range("momentum", 0.1, 0.99)
    recipe = Recipe(
        epochs=2,
        batch=Choice("batch", (8, 16, 32)),
        learning_rate=Range("learning_rate", 1e-4, 1e-1, log=True),
        optimizer=Choice("optimizer", ("adamw", SGD(momentum=momentum))),
    )
    return SearchSpace(graph, name="toy-joint", recipe=recipe)
