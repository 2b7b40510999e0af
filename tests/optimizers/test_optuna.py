"""The wrappers of Optuna's samplers."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from toy_tasks import ToyReward, height, toy_task

import naslab
from naslab.evaluators import Evaluation
from naslab.optimizers.optuna_samplers import OptunaGP, OptunaNSGAII, OptunaOptimizer, OptunaTPE
from naslab.tasks import Constraint, Problem

KINDS = [OptunaTPE, OptunaGP, OptunaNSGAII]
LIMITS = ["params=20", "macs=12"]


def limited() -> Problem:
    return toy_task(ToyReward()).constrained(Constraint.parse(LIMITS)).problem


def run(optimizer: OptunaOptimizer, steps: int) -> list[tuple[int, ...]]:
    asked = []
    for _ in range(steps):
        asked.append(optimizer.ask())
        optimizer.tell(asked[-1], Evaluation(height(asked[-1]), 1.0))
    return asked


@pytest.mark.parametrize("kind", KINDS)
def test_the_study_knows_how_far_each_limit_is_exceeded(kind: type[OptunaOptimizer]) -> None:
    problem = limited()
    optimizer = kind(problem, np.random.default_rng(0))
    asked = run(optimizer, 8)
    trials = optimizer._study.trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 8
    for architecture, trial in zip(asked, trials, strict=True):
        expected = {
            "params": problem.cost("params", architecture) / 20 - 1,
            "macs": problem.cost("macs", architecture) / 12 - 1,
        }
        assert trial.constraints == pytest.approx(expected)
    assert any(max(t.constraints.values()) > 0 for t in trials)


def test_tpe_learns_to_keep_a_tight_limit() -> None:
    one = naslab.task("nasbench201/cifar10").constrained(Constraint.parse(["params=102000"]))
    share = np.mean([one.problem.is_feasible(a) for a in one.problem.space.architectures()])
    assert 0.01 < share < 0.15
    late, free = [], []
    for seed in range(4):
        steps = naslab.search(one, "optuna-tpe", budget=120, seed=seed).trace.steps
        late += [s.feasible for s in steps[60:]]
        unlimited = naslab.search("nasbench201/cifar10", "optuna-tpe", budget=120, seed=seed).trace.steps
        free += [one.problem.is_feasible(s.query.architecture) for s in unlimited[60:]]
    assert np.mean(late) > 0.5
    assert np.mean(free) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_asks_the_same(kind: type[OptunaOptimizer]) -> None:
    steps = 14 if kind is OptunaGP else 40
    runs = [run(kind(toy_task().problem, np.random.default_rng(seed)), steps) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_a_failed_trial(kind: type[OptunaOptimizer], bad: float) -> None:
    optimizer = kind(toy_task().problem, np.random.default_rng(0))
    optimizer.tell(optimizer.ask(), Evaluation(bad, 1.0))
    run(optimizer, 12)
    assert [t.state for t in optimizer._study.trials] == [TrialState.FAIL] + [TrialState.COMPLETE] * 12


@pytest.mark.parametrize("kind", KINDS)
def test_combinations_that_the_space_forbids_are_failed_and_never_asked(kind: type[OptunaOptimizer]) -> None:
    rule = naslab.Rule(("width1", "width2", "width3"), frozenset({(0, 0, 0), (2, 0, 1), (3, 2, 2)}))
    problem = toy_task(rules=[rule]).problem
    optimizer = kind(problem, np.random.default_rng(0))
    asked = run(optimizer, 12)
    assert all(problem.space.is_valid(a) for a in asked)
    states = [t.state for t in optimizer._study.trials]
    assert states.count(TrialState.COMPLETE) == 12
    assert states.count(TrialState.FAIL) > 0


def test_where_the_sampler_never_finds_a_valid_one_the_space_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from naslab.optimizers import optuna_samplers

    monkeypatch.setattr(optuna_samplers, "VALID_TRIES", 0)
    rule = naslab.Rule(("width1", "width2", "width3"), frozenset({(0, 0, 0), (2, 0, 1), (3, 2, 2)}))
    optimizer = OptunaTPE(toy_task(rules=[rule]).problem, np.random.default_rng(0))
    asked = run(optimizer, 20)
    trials = optimizer._study.trials
    assert set(asked) == {(0, 0, 0), (2, 0, 1), (3, 2, 2)}
    assert [tuple(t.params.values()) for t in trials] == asked
    assert [t.values for t in trials] == [[height(a)] for a in asked]


def test_widths_are_numbers_and_operations_are_categories() -> None:
    def kinds(problem: Problem) -> set[type]:
        return {type(d) for d in OptunaTPE(problem, np.random.default_rng(0))._distributions.values()}

    assert kinds(toy_task().problem) == {IntDistribution}
    assert kinds(naslab.task("nasbench201/cifar10").problem) == {CategoricalDistribution}


def test_nsgaii_sees_score_and_cost() -> None:
    problem = toy_task().problem
    optimizer = OptunaNSGAII(problem, np.random.default_rng(0), cost="macs")
    asked = run(optimizer, 10)
    assert [t.values for t in optimizer._study.trials] == [[height(a), problem.cost("macs", a)] for a in asked]
    assert [d.name for d in optimizer._study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_nsgaii_covers_the_front() -> None:
    one = toy_task(ToyReward())
    steps = naslab.search(one, "optuna-nsgaii[population=10]", budget=300).trace.steps

    def front(architectures: set[tuple[int, ...]]) -> set[tuple[float, float]]:
        points = {(height(a), one.problem.cost("params", a)) for a in architectures}
        return {p for p in points if not any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points)}

    best = front(set(one.problem.space.architectures()))
    assert len(best) > 2
    assert front({s.query.architecture for s in steps}) == best


def test_optuna_stays_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("optuna-tpe", "optuna-gp", "optuna-nsgaii"):
        naslab.search(toy_task(), name, budget=13)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
