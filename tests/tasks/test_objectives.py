"""Objectives and limits by the names of costs and metrics."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from toy_tasks import height, toy_task

import naslab
from naslab.errors import InvalidValue, PluginError, UnknownMetric
from naslab.evaluators import Evaluation
from naslab.tasks import Constraint, Objective, Problem

METRICS = {"latency_ms": Objective("latency_ms", "min", "ms"), "robustness": Objective("robustness", "max", "%")}
SMALL, LARGE = (0, 0, 0), (3, 2, 2)


def problem(*limits: str, **rest: Any) -> Problem:
    one = dataclasses.replace(toy_task().problem, metrics=METRICS, **rest)
    return dataclasses.replace(one, constraint=Constraint.parse(limits))


def told(score: float = 1.0, **metrics: float) -> Evaluation:
    return Evaluation(score, 1.0, metrics)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["score"], ["score:max"]),
        (["score", "params"], ["score:max", "params:min"]),
        (["score:max", "latency_ms", "robustness"], ["score:max", "latency_ms:min", "robustness:max"]),
        (["score", "-energy"], ["score:max", "energy:min"]),
        (["score", "energy:max", "params:max"], ["score:max", "energy:max", "params:max"]),
    ],
)
def test_directions_are_known_or_stated(texts: list[str], expected: list[str]) -> None:
    one = problem().optimising(texts)
    assert [*map(str, one.objectives)] == expected
    assert one.optimising(map(str, one.objectives)).objectives == one.objectives  # as a header repeats them
    assert one.measurable["latency_ms"].unit == "ms"


@pytest.mark.parametrize(
    ("texts", "error", "words"),
    [
        (["score", "latncy_ms"], UnknownMetric, "Did you mean 'latency_ms'.*latncy_ms:min"),
        (["score", "params:down"], InvalidValue, "direction 'down' of 'params'. Allowed: 'max' or 'min'"),
        (["score", "params", "params"], InvalidValue, "'params' is named twice"),
        (["params", "score"], InvalidValue, "the first is 'score'"),
        (["score:min"], InvalidValue, "the first is 'score', higher is better"),
        ([], InvalidValue, "Example: score,params"),
        ("score", InvalidValue, "give a list"),
    ],
)
def test_what_is_refused(texts: list[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        problem().optimising(texts)


@pytest.mark.parametrize("name", ["params", "score", "seed", "truth"])
def test_a_metric_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(InvalidValue, match=f"metric '{name}'"):
        dataclasses.replace(toy_task().problem, metrics={name: Objective(name)})


def test_values_are_turned_so_that_higher_is_better() -> None:
    one = problem().optimising(["score", "params", "latency_ms", "robustness"])
    evaluation = told(2.0, latency_ms=5.0, robustness=70.0)
    assert one.values(LARGE, evaluation) == (2.0, -one.cost("params", LARGE), -5.0, 70.0)
    assert [one.value(each.name, LARGE, evaluation) for each in one.objectives[2:]] == [5.0, 70.0]


def test_an_evaluation_that_lacks_a_metric() -> None:
    one = problem("latency_ms=5").optimising(["score", "robustness", "-energy"])
    assert one.told == ("robustness", "energy", "latency_ms")
    with pytest.raises(
        PluginError, match=r"a declared metric is not reported: 'robustness'.*Known: energy, latency_ms"
    ):
        one.values(SMALL, told(energy=1.0, latency_ms=1.0))
    with pytest.raises(UnknownMetric, match=r"'energy' of 'an evaluation'. Did you mean 'enrgy'"):
        one.keeps(told(enrgy=1.0, latency_ms=1.0, robustness=1.0))
    failed = one.values(SMALL, told(math.nan))
    assert np.isnan(failed).all()
    assert one.keeps(told(math.nan))  # a failure is not called infeasible
    assert not one.keeps(told(math.nan, latency_ms=5.1))


@pytest.mark.parametrize(
    ("limits", "architecture", "latency", "before", "after"),
    [
        (["latency_ms=5"], LARGE, 5.0, True, True),
        (["latency_ms=5"], LARGE, 5.1, True, False),
        (["latency_ms=5"], LARGE, math.nan, True, False),
        (["latency_ms=5", "params=20"], LARGE, 1.0, False, False),
        (["latency_ms=5", "params=20"], SMALL, 6.0, True, False),
        (["params=20"], SMALL, 6.0, True, True),
    ],
)
def test_limits_on_metrics_are_known_after_an_evaluation(
    limits: list[str], architecture: tuple[int, ...], latency: float, before: bool, after: bool
) -> None:
    one = problem(*limits)
    assert one.is_feasible(architecture) is before
    assert one.is_feasible(architecture, told(latency_ms=latency)) is after


def test_draws_and_moves_keep_what_is_known() -> None:
    one, free, rng = problem("latency_ms=5", "params=20"), problem("latency_ms=5"), np.random.default_rng(0)
    drawn = {one.sample(rng) for _ in range(60)}
    assert all(one.cost("params", a) <= 20 for a in drawn)
    assert all(one.cost("params", a) <= 20 for a in one.neighbors(SMALL))
    plain = toy_task().problem
    assert [free.sample(np.random.default_rng(3))] == [plain.sample(np.random.default_rng(3))]
    with pytest.raises(InvalidValue, match=r"latency_ms <= 5 is known only after an evaluation; .* limits on costs"):
        free.feasibility()
    assert [limit.metric for limit, _ in problem("latency_ms=5", "params=99999").idle_limits()] == ["params"]


def test_a_limit_that_nobody_measures() -> None:
    with pytest.raises(UnknownMetric, match="Did you mean 'latency_ms'"):
        problem("latency=5")


def test_a_task_says_what_is_infeasible_and_forgets_the_optimum() -> None:
    one = dataclasses.replace(toy_task(), problem=problem())
    assert one.optimum == max(height(a) for a in one.problem.space.architectures())
    assert one.constrained(Constraint.parse(["latency_ms=5"])).optimum is None
    with pytest.raises(InvalidValue, match=r"has params <= 1; the smallest there is: params=\d+$"):
        one.constrained(Constraint.parse(["params=1", "latency_ms=5"]))


@pytest.mark.parametrize("name", ["tabnas", "reinforce", "tunas", "ppo", "relax", "naswot"])
def test_strategies_that_must_know_beforehand_refuse_limits_on_metrics(name: str) -> None:
    from naslab.optimizers import optimizer_spec

    with pytest.raises(InvalidValue, match=r"latency_ms <= 5 is known only after an evaluation"):
        optimizer_spec(name).build(problem("latency_ms=5"), np.random.default_rng(0))


@pytest.mark.parametrize("one", [problem("latency_ms=5"), problem().optimising(["score", "robustness"])])
def test_gradient_searches_see_no_metrics(one: Problem) -> None:
    from naslab.optimizers import optimizer_spec

    with pytest.raises(InvalidValue, match=r"'?darts'?.*costs: params"):
        optimizer_spec("darts").build(one, np.random.default_rng(0))


def test_every_cost_column_of_a_table_is_a_cost(stored_task: str) -> None:
    one = naslab.task(stored_task).problem
    assert one.costs[-2:] == ("train_seconds", "latency_seconds")
    assert one.cost("train_seconds", (0, 0, 2)) == 90.0 + 9.0 * 2
    assert one.measurable["train_seconds"] == Objective("train_seconds", "min", "s")
