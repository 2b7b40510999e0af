"""Checks that the author of a plug-in runs on their own class::

    from naslab.testing import check_optimizer

    def test_my_optimizer():
        check_optimizer("my_package.my_module:MyOptimizer")

Each check raises :class:`ConformanceError`, which says what was expected and what happened.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import pickle
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from naslab.datasets import Rows
from naslab.errors import InvalidValue, NaslabError
from naslab.evaluators import Evaluation, Evaluator, Fidelity
from naslab.ops import AvgPool, Conv, Identity, Linear, ReLU, Zero
from naslab.optimizers import Optimizer, optimizer_spec
from naslab.running import search, trace_path
from naslab.space import SGD, Architecture, Choice, Range, Recipe, Rule, SearchSpace
from naslab.tasks import Budget, Constraint, Problem, Task

EVALUATIONS, EPOCHS = 40, 3
SEED = 11


class ConformanceError(AssertionError):
    """A class breaks the interface; says which check failed and how."""


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


def check_optimizer(optimizer: str | type[Optimizer]) -> None:
    """Check an optimizer on every toy task: a gradient search on those with rows, for three epochs.

    It must ask for valid architectures only, keep within the budget, survive scores that are not finite, give the same
    trace for the same seed (in a fresh process with another hash seed, too), resume to the same trace, return a
    feasible architecture, and leave the problem and the global random states alone. A space with ranges and a recipe it
    may also refuse, in one line, when it is built.

    Args:
        optimizer: A name as on the command line (``module:Class``, ``./file.py:Class``), or a class at module level.

    Raises:
        ConformanceError: A check fails.
    """
    label = optimizer_spec(optimizer).label
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: _checked_trace(optimizer, task, Path(folder)) for name, task in _accepted(label).items()}
    for name, content in _traces_elsewhere(label).items():
        _expect(traces[name].decode() == content, f"{label} on toy/{name}: a fresh process gave another trace")


def check_search_space(space: SearchSpace, *, samples: int = 50) -> None:
    """Check that a search space is consistent with itself.

    Samples and neighbours must be valid, neighbourhoods symmetric and mutations neighbours (unless decisions are
    conditional, or ranges); strings, JSON and pickles must
    come back as the same architecture; keys and costs must not depend on how the space was made; nothing may touch the
    global random states.

    Args:
        space: The space.
        samples: Number of random architectures to look at.

    Raises:
        ConformanceError: A check fails.
    """
    rng = np.random.default_rng(SEED)
    symmetric = not space.conditions and not space.ranges
    twin: SearchSpace = pickle.loads(pickle.dumps(space))
    with _global_randomness_untouched():
        for _ in range(samples):
            a = space.sample(rng)
            _expect(space.is_valid(a), f"sample() gave {a}, which is_valid() refuses")
            _expect(space.architecture(json.loads(json.dumps(a))) == a, f"{a} does not come back from JSON")
            written = space.to_string(a)
            _expect(space.from_string(written) == a, f"from_string({written!r}) is not {a}, which it was written from")
            _expect(twin.to_string(a) == written, f"a pickled copy writes {a} differently")
            _expect(twin.canonical(a) == space.canonical(a), f"a pickled copy has another canonical key for {a}")
            _expect(twin.cost(a) == space.cost(a), f"a pickled copy has other costs for {a}")
            neighbors = space.neighbors(a)
            _expect(len(set(neighbors)) == len(neighbors), f"neighbors({a}) lists an architecture twice")
            _expect(a not in neighbors, f"neighbors({a}) lists the architecture itself")
            for b in neighbors[:20]:
                _expect(space.is_valid(b), f"neighbors({a}) lists {b}, which is_valid() refuses")
                if symmetric:
                    _expect(a in space.neighbors(b), f"{b} is a neighbour of {a}, but not the other way round")
            child = space.mutate(a, rng)
            _expect(space.is_valid(child), f"mutate({a}) gave {child}, which is_valid() refuses")
            if not space.ranges:
                _expect(child in neighbors or (not neighbors and child == a), f"mutate({a}) gave {child}: no neighbour")
            marked, chosen = int(space.encode(a, "one-hot")[: sum(space.sizes)].sum()), space.conditions.active(a)
            _expect(marked == sum(chosen[: len(space.choices)]), f"the one-hot code of {a} marks {marked} options")


def check_evaluator(evaluator: Evaluator, space: SearchSpace, *, samples: int = 10) -> None:
    """Check that an evaluator keeps to the interface.

    It must return an :class:`~naslab.evaluators.Evaluation` with plain numbers, charge a time of at least zero,
    draw all its randomness from the generator it is given, leave the architecture and the global random states alone,
    and answer ``evaluate_many`` with one evaluation per architecture.

    Args:
        evaluator: The evaluator.
        space: A space whose architectures it evaluates.
        samples: Number of random architectures to evaluate.

    Raises:
        ConformanceError: A check fails.
    """
    rng = np.random.default_rng(SEED)
    architectures = [space.sample(rng) for _ in range(samples)]
    with _global_randomness_untouched():
        for a in architectures:
            found = evaluator.evaluate(a, rng=np.random.default_rng(SEED))
            _expect(isinstance(found, Evaluation), f"evaluate({a}) returned {found!r}, not an Evaluation")
            _expect(isinstance(found.score, float), f"the score of {a} is {found.score!r}, not a float")
            _expect(found.seconds >= 0, f"the evaluation of {a} charges {found.seconds} seconds")
            again = evaluator.evaluate(a, rng=np.random.default_rng(SEED))
            same = again.score == found.score or (math.isnan(again.score) and math.isnan(found.score))
            _expect(same, f"the same generator gave {a} the scores {found.score} and {again.score}")
    many = evaluator.evaluate_many(architectures, rng=np.random.default_rng(SEED))
    _expect(len(many) == len(architectures), f"evaluate_many() answered {len(architectures)} with {len(many)}")


def check_operation(op: Any, shape: tuple[Any, ...], width: Any = None, *, uncounted: int = 0) -> None:
    """Check an operation, its builder and its cuts; naslab's own vocabulary is tested by it.

    Where the operation, the features of the input or the width are choices, every combination is a form of it. Each
    form must have the stated output shape, parameters (with affine normalisations) and MACs, those of
    ``torch.utils.flop_counter``; get its initial values from the generator that it is given; and leave the global
    random states alone. Forms that share weights in a supernet must be parts of the largest: on its tensors, cut as the
    operation states, they compute what networks of their own with copies of these compute, training and evaluating, to
    1e-5.

    Args:
        op: The operation, with choices in it or without.
        shape: Shape of its input, without the batch axis; its first entry may be a choice.
        width: What the destination states: a number, a choice, or None.
        uncounted: MACs of one example that the operation states and the counter does not see (or, negative, the
            reverse).

    Raises:
        ConformanceError: A check fails.
    """
    from naslab.compiler.conformance import complaints

    with _context(f"{op}"), _global_randomness_untouched():
        for complaint in complaints(op, shape, width, uncounted, seed=SEED):
            raise ConformanceError(complaint)


def _checked_trace(optimizer: str | type[Optimizer], task: Task, folder: Path) -> bytes:
    """Check one task; returns the trace."""
    label = optimizer_spec(optimizer).label
    before = _fingerprint(task.problem)
    with _context(f"{label} on {task.id}"):
        # Imports of the first build may draw random numbers (scikit-learn does), which is not the optimizer's doing.
        optimizer_spec(optimizer).build(task.problem, np.random.default_rng(SEED))
    with _context(f"{label} on {task.id}"), _global_randomness_untouched():
        content = _trace(optimizer, task, folder / "first")
        result = search(task, optimizer, budget=_budget(label), seed=SEED, out=folder / "first")
        _expect(_fingerprint(task.problem) == before, "the problem was changed")
        most = Budget.parse(_budget(label)).amount
        _expect(len(result.trace.steps) <= most, f"{len(result.trace.steps)} {optimizer_spec(label).unit} were made")
        if result.architecture is not None:
            feasible = task.problem.is_feasible(result.architecture)
            _expect(feasible, f"best() is {result.architecture}, which breaks {task.problem.constraint}")
        _expect(_trace(optimizer, task, folder / "second") == content, "the same seed gave another trace")
        lines = content.splitlines(keepends=True)
        for kept in sorted({1, len(lines) // 2, len(lines) - 1}):
            third = folder / f"resumed{kept}"
            path = trace_path(third, task.id, label, SEED)
            path.parent.mkdir(parents=True)
            path.write_bytes(b"".join(lines[:kept]) + lines[min(kept, len(lines) - 1)][:5])
            for side in trace_path(folder / "first", task.id, label, SEED).parent.glob("*.seconds"):
                (path.parent / side.name).write_bytes(side.read_bytes())
            _expect(_trace(optimizer, task, third) == content, f"a run cut after line {kept} resumed to another trace")
        if optimizer_spec(label).unit == "epochs":
            return content  # its seconds are measured
        seconds = search(task, optimizer, budget="50s", seed=SEED).trace.steps
        _expect(math.fsum(s.evaluation.seconds for s in seconds) <= 50, "a budget of 50 s was exceeded")
    return content


def _trace(optimizer: str | type[Optimizer], task: Task, folder: Path) -> bytes:
    label = optimizer_spec(optimizer).label
    search(task, optimizer, budget=_budget(label), seed=SEED, out=folder)
    return trace_path(folder, task.id, label, SEED).read_bytes()


def _tasks(label: str) -> dict[str, Task]:
    return toy_trainings() if optimizer_spec(label).unit == "epochs" else toy_tasks()


def _accepted(label: str) -> dict[str, Task]:
    """The toy tasks without those that the optimizer refuses, which may be a joint search alone."""
    tasks = _tasks(label)
    if "joint" in tasks:
        try:
            optimizer_spec(label).build(tasks["joint"].problem, np.random.default_rng(SEED))
        except InvalidValue as error:
            _expect("\n" not in str(error), f"{label} refuses toy/joint in more than one line: {error}")
            del tasks["joint"]
    return tasks


def _budget(label: str) -> str:
    return f"{EPOCHS}epochs" if optimizer_spec(label).unit == "epochs" else f"{EVALUATIONS}"


def _traces_elsewhere(label: str) -> dict[str, str]:
    """The same runs in a fresh process, with another hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)}
    command = [sys.executable, "-m", "naslab.testing", label]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    complaint = done.stderr.decode().strip()[-300:]
    _expect(done.returncode == 0, f"{label} fails in a fresh process (is it at module level?): {complaint}")
    traces: dict[str, str] = json.loads(done.stdout)
    return traces


def _print_traces(label: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: _trace(label, task, Path(folder)).decode() for name, task in _accepted(label).items()}
    print(json.dumps(traces))


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


def _fingerprint(problem: Problem) -> str:
    space = problem.space
    graph = repr(list(space.graph.nodes(data=True))), repr(list(space.graph.edges(data=True)))
    return repr((graph, space.choices, space.rules, problem.constraint, problem.fidelities, problem.fidelity))


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ConformanceError(otherwise)


@contextmanager
def _context(where: str) -> Iterator[None]:
    try:
        yield
    except ConformanceError as error:
        raise ConformanceError(f"{where}: {error}") from None
    except NaslabError as error:
        raise ConformanceError(f"{where}: {type(error).__name__}: {error}") from error


@contextmanager
def _global_randomness_untouched() -> Iterator[None]:
    before = copy.deepcopy(_global_states())
    yield
    for name, state in _global_states().items():
        if name in before:
            _expect(repr(state) == repr(before[name]), f"it draws from {name}: use the generator it is given")


def _global_states() -> dict[str, Any]:
    states: dict[str, Callable[[], Any]] = {"random": random.getstate, "np.random": np.random.get_state}
    found = {name: state() for name, state in states.items()}
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_rng_state().tolist()
    return found


if __name__ == "__main__":
    _print_traces(sys.argv[1])
