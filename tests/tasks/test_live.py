"""Live tasks: every evaluation trains, on the clock of the machine that the table was recorded on."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import toy_tasks
from toy_tasks import traces

import naslab
from naslab import Evaluation, Evaluator, Problem, Query, Task, compare
from naslab.datasets import Rows
from naslab.errors import InvalidValue
from naslab.evaluators import calibration
from naslab.evaluators.table import TableTruth
from naslab.evaluators.training import TrainingEvaluator
from naslab.running import attempt, session, trace_path
from naslab.space import Architecture, Recipe
from naslab.tasks.rewards import live

SPACE = naslab.search_space("mlp", in_features=4, out_features=2, depth=2, widths=(1, 4, 12))
RECIPE = Recipe(epochs=3, batch=16, learning_rate=0.1)


class Recorded(Evaluator):
    """What a table would say."""

    def evaluate(self, architecture: Architecture, *, fidelity: Any = None, rng: np.random.Generator) -> Evaluation:
        return Evaluation(50.0 + architecture[0], 2.0)


class Scripted(naslab.AskTell):
    """The same two queries again and again."""

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng)
        self.queries = itertools.cycle([Query((2, 1), 1), (2, 1)])

    def ask(self) -> Any:
        return next(self.queries)

    def tell(self, architecture: Architecture, evaluation: Evaluation) -> None:
        pass


def rows(count: int, seed: int) -> Rows:
    """Two clouds that touch."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=count)
    return Rows((rng.standard_normal((count, 4)) + y[:, None]).astype(np.float32), y)


def recorded_task(**changes: Any) -> Task:
    task = Task(
        "toy/clouds",
        Problem(SPACE, fidelities=(1, 9), fidelity=9, train=rows(48, 1), validation=rows(60, 2)),
        reward=Recorded,
        truth=TableTruth({a: 70.0 + sum(a) for a in SPACE.architectures()}),
        metric="test accuracy",
        unit="%",
        source={"table": "toy", "table_sha256": "abc"},
        calibration=10.0,
        recipe=RECIPE,
    )
    return dataclasses.replace(task, **changes)


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The fixed training takes 4 seconds here; how often it was timed."""
    timed: list[float] = []

    def calibration_seconds() -> float:
        timed.append(4.0)
        return 4.0

    monkeypatch.setattr(calibration, "calibration_seconds", calibration_seconds)
    calibration.speed.cache_clear()
    yield timed
    calibration.speed.cache_clear()


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how many seconds an evaluation takes, as the loop measures it."""

    def set_pace(seconds: float) -> None:
        monkeypatch.setattr(session, "Stopwatch", lambda device: SimpleNamespace(seconds=lambda: 0.0))
        monkeypatch.setattr(attempt, "Stopwatch", lambda device: SimpleNamespace(seconds=lambda: seconds))

    return set_pace


# ---- what a live task is ---------------------------------------------------------------------------------------------


def test_a_live_task_trains_on_the_rows_of_the_task() -> None:
    task = recorded_task()
    evaluator = live(task).reward()
    assert isinstance(evaluator, TrainingEvaluator)
    found = evaluator.evaluate((2, 1), rng=np.random.default_rng(4))
    direct = TrainingEvaluator(SPACE, rows(48, 1), rows(60, 2), RECIPE)
    expected = direct.evaluate((2, 1), rng=np.random.default_rng(4))
    assert (found.score, found.metrics) == (expected.score, expected.metrics)
    assert found.score > 60
    assert live(task).reward() is not live(task).reward()


def test_only_the_reward_differs() -> None:
    task = recorded_task()
    changed = live(task)
    assert changed.id == "toy/clouds@live"
    assert changed.truth is task.truth
    assert changed.true_value((2, 2)) == 74.0
    assert changed.source == {"table": "toy", "table_sha256": "abc", "reward": repr(RECIPE)}
    assert (changed.problem.fidelities, changed.problem.fidelity) == ((1, 2, 3), 3)
    same = {"truth", "metric", "unit", "direction", "test", "calibration", "recipe"}
    assert all(getattr(changed, name) is getattr(task, name) for name in same)
    back = dataclasses.replace(changed.problem, fidelities=task.problem.fidelities, fidelity=task.problem.fidelity)
    assert back == task.problem
    assert task.id == "toy/clouds"  # the task itself is what it was
    assert task.problem.fidelities == (1, 9)


def test_a_recipe_of_ones_own() -> None:
    recipe = dataclasses.replace(RECIPE, epochs=5, optimizer="adamw")
    changed = live(recorded_task(recipe=None), recipe)
    assert changed.problem.fidelities == (1, 2, 3, 4, 5)
    assert changed.source["reward"] == repr(recipe)
    found = changed.reward().evaluate((0, 0), rng=np.random.default_rng(0))
    assert "accuracy/epoch5" in found.metrics
    assert live(recorded_task(), recipe).reward().recipe == recipe  # type: ignore[attr-defined]


def test_a_constraint_is_kept() -> None:
    small = naslab.Constraint.parse({"params": 30})
    for task in (live(recorded_task().constrained(small)), live(recorded_task()).constrained(small)):
        result = naslab.search(task, "random", budget=3)
        assert all(SPACE.cost(step.query.architecture).params <= 30 for step in result.trace.steps)


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_a_task_without_rows_is_refused(missing: str) -> None:
    task = recorded_task(problem=dataclasses.replace(recorded_task().problem, **{missing: None}))
    message = "task 'toy/clouds' has no rows to train on. Those that have: pocket-cell/..., pocket-mlp/..."
    with pytest.raises(InvalidValue, match=message):
        live(task)
    with pytest.raises(InvalidValue, match=message):
        live(task, RECIPE)


def test_a_table_that_knows_no_rows_is_refused(stored_task: str) -> None:
    with pytest.raises(InvalidValue, match="task 'toymlp/toy' has no rows to train on"):
        live(naslab.task(stored_task), RECIPE)


def test_a_task_without_recipe_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"'toy/clouds' were trained is not recorded. Fix: give a recipe"):
        live(recorded_task(recipe=None))


def test_a_live_task_travels_between_processes() -> None:
    task = live(recorded_task())
    copy = pickle.loads(pickle.dumps(task))
    assert (copy.id, copy.source, copy.problem.fidelities) == (task.id, task.source, task.problem.fidelities)
    found, expected = (t.reward().evaluate((1, 2), rng=np.random.default_rng(4)) for t in (copy, task))
    assert (found.score, found.metrics) == (expected.score, expected.metrics)


# ---- its clock -------------------------------------------------------------------------------------------------------


def test_seconds_are_those_of_the_table(
    tmp_path: Path, calibrated: list[float], ticking: Callable[[float], None]
) -> None:
    ticking(0.5)
    result = naslab.search(live(recorded_task()), Scripted, budget="4s", out=tmp_path)
    # The table's machine took 10 seconds for what takes 4 here: half a second here is 1.25 there.
    assert [step.evaluation.seconds for step in result.trace.steps] == [1.25] * 3
    assert calibrated == [4.0]
    side = trace_path(tmp_path, "toy/clouds@live", result.trace.header["optimizer"]["name"], 0)
    assert side.with_name(side.name + ".seconds").read_text().splitlines()[:-1] == ["1.25"] * 3


def test_without_calibration_a_second_is_a_second(calibrated: list[float], ticking: Callable[[float], None]) -> None:
    ticking(0.5)
    result = naslab.search(live(recorded_task(calibration=None)), Scripted, budget="1.6s")
    assert [step.evaluation.seconds for step in result.trace.steps] == [0.5] * 3
    assert calibrated == []


def test_recorded_seconds_are_not_converted(calibrated: list[float]) -> None:
    result = naslab.search(recorded_task(), "random", budget="5s")
    assert [step.evaluation.seconds for step in result.trace.steps] == [2.0, 2.0]
    assert calibrated == []


def test_measured_evaluators_of_any_task_are_converted(
    calibrated: list[float], ticking: Callable[[float], None]
) -> None:
    ticking(2.0)
    task = dataclasses.replace(toy_tasks.toy_task(toy_tasks.MeasuredReward()), calibration=1.0)
    result = naslab.search(task, "random", budget=2)
    assert [step.evaluation.seconds for step in result.trace.steps] == [0.5, 0.5]


def test_the_clock_counts_what_the_evaluator_says_of_itself_for_nothing(
    calibrated: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def boastful(self: TrainingEvaluator, architecture: Architecture, **rest: Any) -> Evaluation:
        return Evaluation(1.0, 1e9)

    monkeypatch.setattr(TrainingEvaluator, "evaluate", boastful)
    result = naslab.search(live(recorded_task()), Scripted, budget=2)
    assert all(0 <= step.evaluation.seconds < 60 for step in result.trace.steps)


def test_a_trace_holds_no_measured_seconds(
    tmp_path: Path, calibrated: list[float], ticking: Callable[[float], None]
) -> None:
    written = []
    for folder, pace in (("slow", 7.0), ("fast", 0.001)):
        ticking(pace)
        compare([live(recorded_task())], ["random", "regularized-evolution"], seeds=2, budget=4, out=tmp_path / folder)
        written.append(traces(tmp_path / folder))
    assert len(written[0]) == 4
    assert written[0] == written[1]
    assert not any(b"seconds" in content for content in written[0].values())
    assert all(content.count(b"accuracy/epoch3") == 4 for content in written[0].values())


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path, calibrated: list[float]) -> None:
    for workers in (1, 2):
        compare([live(recorded_task())], ["random"], seeds=2, budget=3, out=tmp_path / str(workers), workers=workers)
    assert traces(tmp_path / "1") == traces(tmp_path / "2")
    assert len(traces(tmp_path / "1")) == 2


# ---- a search on it --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("calibrated")
def test_queries_choose_the_epochs() -> None:
    result = naslab.search(live(recorded_task()), Scripted, budget=4)
    for step in result.trace.steps:
        trained = {name for name in step.evaluation.metrics if name.startswith("accuracy/")}
        assert len(trained) == (step.query.fidelity or 3)
    assert [step.query.fidelity for step in result.trace.steps] == [1, None, 1, None]


@pytest.mark.usefixtures("calibrated")
def test_results_are_judged_by_the_truth_of_the_table(tmp_path: Path) -> None:
    results = compare([recorded_task(), live(recorded_task())], ["random"], seeds=2, budget=3, out=tmp_path)
    frame = results.frame
    assert set(frame["task"]) == {"toy/clouds", "toy/clouds@live"}
    assert frame["truth"].between(70, 74).all()
