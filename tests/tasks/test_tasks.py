"""Budgets, limits, and what a problem must not know."""

from __future__ import annotations

import dataclasses
import functools
import json
import pickle
import struct
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_tasks

import naslab
from naslab.errors import InvalidValue, UnknownMetric, UnknownTask
from naslab.evaluators import Evaluator
from naslab.evaluators.predictors.base import Predictor
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.tables import Table
from naslab.tasks import Budget, Constraint, Problem, Source, Task
from naslab.testing import ToyReward


@pytest.mark.parametrize(
    ("given", "amount", "unit"),
    [
        ("12000s", 12000.0, "s"),
        (" 0.5s ", 0.5, "s"),
        ("1e3s", 1000.0, "s"),
        (100, 100, "evaluations"),
        ("100", 100, "evaluations"),
        (3.0, 3, "evaluations"),
        ("1e3", 1000, "evaluations"),
        (Budget(7.0, "s"), 7.0, "s"),
    ],
)
def test_budget_is_understood(given: Any, amount: float, unit: str) -> None:
    assert Budget.parse(given) == Budget(amount, unit)


@pytest.mark.parametrize(
    "given", ["0", "0s", "-5", "-5s", "abc", "", "s", "5m", "nan", "nans", "inf", "infs", "1.5", 2.5, None, "5 6", True]
)
def test_budget_is_refused(given: Any) -> None:
    with pytest.raises(InvalidValue, match=r"budget .*: give evaluations .* or seconds") as caught:
        Budget.parse(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["12000s", "0.1s", "1234567", "1234567.25s", "12345678s", "1e-7s", "1e20s"])
def test_budget_is_written_exactly(given: str) -> None:
    budget = Budget.parse(given)
    assert Budget.parse(str(budget)) == budget


def test_budgets_that_differ_are_written_differently() -> None:
    assert str(Budget.parse("1234567")) == "1234567"
    assert str(Budget.parse("12000s")) == "12000s"


def test_limits() -> None:
    constraint = Constraint.parse(["params=41153", "macs=1e6"])
    assert constraint.as_dict() == {"macs": 1e6, "params": 41153.0}
    assert constraint == Constraint.parse({"params": 41153, "macs": 1_000_000})
    assert str(constraint) == "macs <= 1,000,000, params <= 41,153"


@pytest.mark.parametrize(
    "given",
    [["params"], ["params="], ["params=abc"], ["params=0"], ["params=-1"], ["params=nan"], ["params=inf"],
     ["params=5", "params=6"], ["=5", "=6"], {"params": 0}],
)  # fmt: skip
def test_bad_limits(given: Any) -> None:
    with pytest.raises(InvalidValue, match=r"params|twice"):
        Constraint.parse(given)


def test_limits_on_unknown_costs_name_the_nearest(stored_task: str) -> None:
    with pytest.raises(UnknownMetric, match="Did you mean 'latency_seconds'"):
        naslab.task(stored_task).constrained(Constraint.parse(["latency=1"]))


def test_several_limits_hold_together(stored_task: str) -> None:
    one = naslab.task(stored_task).constrained(Constraint.parse(["params=30", "latency_seconds=0.002"]))
    problem, rng = one.problem, np.random.default_rng(0)
    expected = {
        a
        for row, a in enumerate(toy_tasks.ROWS)
        if problem.space.cost(a).params <= 30 and 0.001 + 0.0001 * row <= 0.002
    }
    by_params = {a for a in toy_tasks.ROWS if problem.space.cost(a).params <= 30}
    assert set() < expected < by_params
    assert {a for a in toy_tasks.ROWS if problem.is_feasible(a)} == expected
    drawn = [problem.sample(rng) for _ in range(600)]
    assert set(drawn) == expected
    for architecture in expected:
        assert set(problem.neighbors(architecture)) <= expected
        assert problem.mutate(architecture, rng) in expected
    assert one.optimum == max(one.true_value(a) for a in expected)


def test_a_limit_that_nobody_meets_names_the_smallest(stored_task: str) -> None:
    one = naslab.task(stored_task)
    smallest = min(one.problem.space.cost(a).params for a in toy_tasks.ROWS)
    with pytest.raises(InvalidValue, match=f"params <= 1; the smallest there is: params={smallest}$"):
        one.constrained(Constraint.parse(["params=1"]))


def test_limits_that_nobody_meets_together(stored_task: str) -> None:
    one = naslab.task(stored_task)
    with pytest.raises(InvalidValue, match=r"smallest there is: latency_seconds=0\.001, params="):
        one.constrained(Constraint.parse(["latency_seconds=0.0005", "params=1000"]))


def test_a_table_defines_a_task(stored_task: str) -> None:
    one = naslab.task(stored_task)
    assert (one.id, one.metric, one.unit, one.direction) == (stored_task, "test accuracy", "%", "max")
    assert one.problem.fidelities == (1, 3, 9)
    assert one.problem.fidelity == 3
    assert one.problem.cost("latency_seconds", (0, 0, 1)) == pytest.approx(0.0011)
    assert one.true_value(toy_tasks.ROWS[4]) == toy_tasks.distinctive_truth()[4]
    assert one.optimum == toy_tasks.distinctive_truth().max()
    seconds = {f: one.reward().evaluate((0, 0, 0), fidelity=f, rng=np.random.default_rng(0)).seconds for f in (1, 3, 9)}
    assert seconds == pytest.approx({1: 10.0, 3: 30.0, 9: 90.0})


@pytest.mark.parametrize(
    ("task_id", "hint"),
    [
        ("nasbench201/cifar11", "Did you mean 'nasbench201/cifar10'"),
        ("nasbench202/cifar10", "Did you mean 'nasbench201/cifar10'"),
        ("toymlp/toi", "Did you mean 'toymlp/toy'"),
        ("toymlp", "toymlp/toy"),
        ("", "nasbench201/cifar10"),
        ("../../etc/passwd", "naslab list tasks"),
    ],
)
def test_unknown_tasks(stored_task: str, task_id: str, hint: str) -> None:
    with pytest.raises(UnknownTask, match=hint.replace("(", r"\(")):
        naslab.task(task_id)


def test_a_table_task_can_be_pickled(stored_task: str) -> None:
    one = naslab.task(stored_task)
    copy = pickle.loads(pickle.dumps(one))
    for architecture in toy_tasks.ROWS:
        results = [t.reward().evaluate(architecture, rng=np.random.default_rng(3)) for t in (one, copy)]
        assert results[0] == results[1]
        assert one.true_value(architecture) == copy.true_value(architecture)


# ---- what a problem must not know ------------------------------------------------------------------------------------


def reachable(start: Any) -> list[Any]:
    """Everything an object holds, however: attributes, containers, closures, defaults, bound objects, arrays' bases."""
    seen: dict[int, Any] = {}
    waiting = [start]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, dict | types.MappingProxyType):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            waiting += thing
        elif isinstance(thing, functools.partial):
            waiting += [thing.func, thing.args, thing.keywords]
        elif isinstance(thing, types.MethodType):
            waiting += [thing.__self__, thing.__func__]
        elif isinstance(thing, types.FunctionType):
            waiting += [cell.cell_contents for cell in thing.__closure__ or ()]
            waiting += [thing.__defaults__, thing.__kwdefaults__]
        elif isinstance(thing, np.ndarray):
            waiting.append(thing.base)
            waiting += thing.ravel().tolist() if thing.size < 100_000 else []
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            waiting += [getattr(thing, field.name) for field in dataclasses.fields(thing)]
        waiting.append(getattr(thing, "__dict__", None))
        slots = [s for kind in type(thing).__mro__ for s in getattr(kind, "__slots__", ())]
        waiting += [getattr(thing, slot, None) for slot in slots if slot != "__weakref__"]
    return list(seen.values())


def secrets(one: Task) -> set[float]:
    """The truth and the single rewards of every architecture."""
    return {*one.truth.values.values(), *secret_rewards(one)}  # type: ignore[attr-defined]


def secret_rewards(one: Task) -> set[float]:
    rewards = one.reward()._recorded  # type: ignore[attr-defined]
    return {x for rows in rewards.values() for row in rows for x in row if x == x}


def leaks_in(thing: Any, numbers: set[float]) -> list[Any]:
    found = []
    for part in reachable(thing):
        own = isinstance(part, ZeroCost | Predictor | ToyReward)  # made from the problem alone: it knows no truth
        if (isinstance(part, Table | Task | Evaluator | Path) and not own) or (
            isinstance(part, float) and part in numbers
        ):
            found.append(part)
        elif isinstance(part, str | bytes) and len(part) < 10_000:
            text = part if isinstance(part, str) else part.decode(errors="replace")
            if "tables/" in text or any(text == repr(x) for x in list(numbers)[:50]):
                found.append(part)
    return found


def leaks_in_bytes(data: bytes, numbers: set[float]) -> list[float]:
    some = sorted(numbers)[:: max(1, len(numbers) // 300)]
    return [x for x in some if struct.pack("<d", x) in data or struct.pack(">d", x) in data or repr(x).encode() in data]


TASKS = ["nasbench201/cifar100", toy_tasks.TASK]


def used_problem(task_id: str, limits: list[str]) -> tuple[Task, Problem]:
    one = naslab.task(task_id)
    if limits:
        one = one.constrained(Constraint.parse(limits))
    naslab.search(one, "regularized-evolution", budget=30)
    naslab.search(one, "local-search", budget=30)
    assert one.optimum is not None
    return one, one.problem


@pytest.mark.parametrize("task_id", TASKS)
@pytest.mark.parametrize("limits", [[], ["latency_seconds=0.02"]])
def test_a_problem_carries_no_truth(stored_task: str, task_id: str, limits: list[str]) -> None:
    one, problem = used_problem(task_id, limits)
    numbers = secrets(one)
    assert len(numbers) >= 27
    assert leaks_in(problem, numbers) == []
    assert leaks_in_bytes(pickle.dumps(problem), numbers) == []


@pytest.mark.parametrize("task_id", [pytest.param(TASKS[0], marks=pytest.mark.slow), toy_tasks.TASK])
def test_the_search_for_leaks_finds_them(stored_task: str, task_id: str) -> None:
    one = naslab.task(task_id)
    numbers = set(one.truth.values.values())  # type: ignore[attr-defined]
    values = np.array(sorted(numbers))
    assert leaks_in(dataclasses.replace(one.problem, train=lambda: one), numbers)
    assert leaks_in(dataclasses.replace(one.problem, train={"rows": values}), numbers)
    for leaky in (values, values.tolist(), json.dumps(values.tolist())):
        assert leaks_in_bytes(pickle.dumps(dataclasses.replace(one.problem, validation=leaky)), numbers)


def test_a_new_optimizer_holds_no_truth(stored_task: str) -> None:
    from naslab.optimizers import optimizer_spec
    from naslab.registry import entries

    tasks = {"evaluations": naslab.task(stored_task), "epochs": naslab.task("pocket-mlp/segments")}  # these need rows
    for name in entries("optimizers"):
        spec = optimizer_spec(name)
        one = tasks[spec.unit]
        before = Source("before", one.problem.space, ToyReward())
        problem = dataclasses.replace(one.problem, sources=() if spec.sources is None else (before,))
        optimizer = spec.build(problem, np.random.default_rng(0))
        known = {x for x in secrets(one) if x != round(x, 2)}  # 5.0 is a default, too
        assert known
        assert leaks_in(optimizer, known) == [], name
        assert not any(isinstance(part, Task) for part in reachable(optimizer)), name


def test_a_source_holds_no_table() -> None:
    """The table of a source may hold the target's truth, too."""
    problem = naslab.task("nasbench201/cifar10").reading([naslab.task("nasbench201/cifar100")]).problem
    parts = reachable(problem)
    assert any(isinstance(part, Source) for part in parts)
    assert not any(isinstance(part, Table | Task | Path) for part in parts)


def test_limits_that_nothing_exceeds_are_known() -> None:
    problem = naslab.task("pocket-mlp/segments").problem
    costs = [problem.space.cost(a) for a in problem.space.architectures()]
    slowest = max(problem.measured["latency_seconds"][a] for a in problem.space.architectures())
    most = {
        "params": max(cost.params for cost in costs),
        "peak_bytes": max(cost.peak_bytes for cost in costs),
        "latency_seconds": slowest,
    }
    for metric, value in most.items():
        at = dataclasses.replace(problem, constraint=Constraint.parse({metric: value}))
        below = dataclasses.replace(problem, constraint=Constraint.parse({metric: value * 0.9999}))
        assert [(limit.metric, largest) for limit, largest in at.idle_limits()] == [(metric, value)]
        assert below.idle_limits() == []


def test_shared_trainings_are_said(stored_task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In 10,200 of pocket-cell's rows an isomorphic cell's training stands."""
    from naslab.analysis import report
    from naslab.correlation.study import correlate

    said = "10,200 of the 15,625 rows of table 'pocket-cell-mnist' have the very numbers of an earlier row"
    found = correlate("pocket-cell/mnist", ["reward"], 20)
    assert found.notes[0].startswith(said)
    passed: list[Any] = []
    monkeypatch.setattr(report, "write_report", lambda *given, **_: passed.append(given))
    naslab.compare(["pocket-cell/mnist", stored_task], ["random"], budget=3, seeds=1, out=tmp_path).report()
    assert [note for note in passed[0][5] if "numbers" in note] == [found.notes[0]]
