"""Joint tasks: the recipe is searched along with the architecture, and judged by the same training on the test rows."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path

import numpy as np
import pytest
from test_live import RECIPE, SPACE, recorded_task, rows

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.training_objective import ACCURACY
from naslab.running import read, trace_path
from naslab.space import SGD, Choice, Range, Recipe, SearchSpace
from naslab.tasks.joint import joint
from naslab.tasks.rewards import live, shared

TEST = rows(80, 3)


@pytest.fixture(scope="module")
def task() -> naslab.Task:
    return joint(recorded_task(test=TEST, calibration=None))


def test_rate_decay_batch_and_optimizer_are_decided(task: naslab.Task) -> None:
    space = task.problem.space
    names = [each.name for each in space.decisions_in_order]
    assert names == ["width1", "width2", "batch", "optimizer", "learning_rate", "momentum", "weight_decay"]
    assert space.choices[2].options == (16, 32)  # 48 rows to train on
    a = space.architecture([0, 1, 1, 1, 0.01, 0.5, 1e-3])
    assert space.recipe_of(a) == Recipe(3, 32, 0.01, SGD(momentum=0.5), weight_decay=1e-3)
    assert (task.id, task.recipe, task.problem.fidelities) == ("toy/clouds@joint", None, ())


def test_a_training_is_that_of_the_recipe_decided(task: naslab.Task) -> None:
    a = task.problem.space.architecture([2, 1, 1, 0, 0.05, 0.1, 1e-3])
    found = task.reward().evaluate(a, rng=np.random.default_rng(5))
    assert task.problem.train is not None
    assert task.problem.validation is not None
    recipe = Recipe(3, 32, 0.05, "adamw", weight_decay=1e-3)
    alone = TrainingEvaluator(SPACE, task.problem.train, task.problem.validation, recipe)
    expected = alone.evaluate((2, 1), rng=np.random.default_rng(5))
    assert (found.score, found.metrics) == (expected.score, expected.metrics)
    judged = TrainingEvaluator(SPACE, task.problem.train, TEST, recipe).evaluate((2, 1), rng=np.random.default_rng(0))
    assert task.true_value(a) == judged.score
    assert pickle.loads(pickle.dumps(task)).true_value(a) == judged.score


def test_those_that_decide_alike_are_trained_together(task: naslab.Task) -> None:
    space = task.problem.space
    asked = [(0, 0, 0, 0, 0.05, 0.1, 1e-3), (2, 1, 0, 1, 0.05, 0.5, 1e-3), (1, 1, 0, 0, 0.05, 0.1, 1e-3)]
    found = task.reward().evaluate_many([space.architecture(a) for a in asked], rng=np.random.default_rng(0))
    rng = np.random.default_rng(0)
    assert task.problem.train is not None
    assert task.problem.validation is not None
    for members, optimizer in (([0, 2], "adamw"), ([1], SGD(momentum=0.5))):
        one = TrainingEvaluator(
            SPACE, task.problem.train, task.problem.validation, Recipe(3, 16, 0.05, optimizer, weight_decay=1e-3)
        )
        expected = one.evaluate_many([asked[i][:2] for i in members], rng=rng)
        assert [found[i].score for i in members] == [each.score for each in expected]


def test_it_is_searched_recorded_and_resumed(task: naslab.Task, tmp_path: Path) -> None:
    whole = naslab.search(task, "regularized-evolution", budget=6, out=tmp_path / "whole")
    path = trace_path(tmp_path / "whole", task.id, "regularized-evolution", 0)
    lines = path.read_bytes().splitlines(keepends=True)
    cut = trace_path(tmp_path / "cut", task.id, "regularized-evolution", 0)
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"".join(lines[:4]) + lines[4][:9])
    side = path.with_name(path.name + ".seconds")
    cut.with_name(cut.name + ".seconds").write_bytes(side.read_bytes())
    again = naslab.search(task, "regularized-evolution", budget=6, out=tmp_path / "cut")
    assert cut.read_bytes() == path.read_bytes()
    assert again.architecture == whole.architecture
    assert {type(entry) for step in read(path).steps for entry in step.query.architecture} == {int, float}


def test_what_cannot_be_a_joint_task_is_refused() -> None:
    with pytest.raises(InvalidValue, match="has no rows to train and test on"):
        joint(recorded_task())
    with pytest.raises(InvalidValue, match="is not recorded"):
        joint(recorded_task(test=TEST, recipe=None))


def test_the_recipe_of_a_space_comes_first(task: naslab.Task) -> None:
    assert live(task).problem.fidelities == (1, 2, 3)
    with pytest.raises(InvalidValue, match="states how its networks are trained: give no recipe"):
        live(task, RECIPE)
    with pytest.raises(InvalidValue, match=r"Choice\('batch'\): shared weights sees networks alone"):
        shared(task)
    assert task.problem.train is not None
    with pytest.raises(InvalidValue, match="give no other recipe"):
        TrainingEvaluator(task.problem.space, task.problem.train, TEST, RECIPE, ACCURACY)


def test_epochs_are_a_decision_or_a_fidelity() -> None:
    plain = recorded_task(test=TEST, calibration=None)
    recipe = Recipe(Range("epochs", 1, 3, integer=True), Choice("batch", (16, 32)), 0.1)
    task = live(joint(plain, recipe))
    assert task.problem.fidelities == ()
    assert len(task.reward().evaluate((0, 0, 1, 2), rng=np.random.default_rng(0)).metrics) == 3  # two epochs
    with pytest.raises(InvalidValue, match="fidelity 1: the epochs of 'mlp@joint' are a decision"):
        task.reward().evaluate((0, 0, 1, 2), fidelity=1, rng=np.random.default_rng(0))


def test_a_fixed_recipe_of_a_space_is_no_decision() -> None:
    space = SearchSpace(SPACE.graph, name="fixed", recipe=RECIPE)
    assert space.size == SPACE.size
    problem = dataclasses.replace(recorded_task().problem, space=space)
    task = live(recorded_task(problem=problem, recipe=None))
    assert task.reward().recipe_of((0, 0)) == RECIPE  # type: ignore[attr-defined]
    space.require_network("anything")
