"""ASHA by each of its rules, and PASHA, trial by trial."""

from __future__ import annotations

import math

import numpy as np
import pytest
from climbs import built, climbed, nine

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers import Query
from naslab.optimizers.multi_fidelity.asha import ASHA, Rung
from naslab.optimizers.multi_fidelity.pasha import PASHA, crossing, same_ranking
from naslab.tasks import Constraint, Problem
from naslab.tasks.objective import Objective
from naslab.testing import check_optimizer


def asked(text: str) -> list[tuple[int, int]]:
    return [(int(each[0]), int(each[2])) for each in text.split()]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("count", "0@1 1@1 2@1 0@3 3@1 3@3 4@1 5@1 5@3 3@9 6@1 7@1 8@1 7@3"),
        ("quantile", "0@1 1@1 0@3 2@1 3@1 3@3 3@9 4@1 4@3 5@1 5@3 5@9 6@1 6@3 7@1 7@3 8@1"),
        ("stopping", "0@1 0@3 0@9 1@1 2@1 3@1 3@3 3@9 4@1 4@3 5@1 5@3 5@9 6@1 6@3 7@1 7@3 8@1"),
    ],
)
def test_nine_trials_by_each_rule(rule, expected) -> None:
    found = climbed(built(ASHA, rule=rule), len(asked(expected)) + 1)
    assert found == [*asked(expected), (9, 1)]


@pytest.mark.parametrize("rule", ["count", "quantile", "stopping"])
def test_what_fails_enters_no_rung(rule) -> None:
    strategy = built(ASHA, rule=rule)
    found = climbed(strategy, 60, lambda trial, epochs: math.nan if trial % 2 else nine(trial, epochs))
    assert all(epochs == 1 for trial, epochs in found if trial % 2)
    assert all(trial % 2 == 0 for rung in strategy.results for _, trial in rung.ranked)
    assert any(epochs == 9 for _, epochs in found)


@pytest.mark.parametrize("rule", ["count", "quantile", "stopping"])
def test_it_never_waits_and_asks_for_no_rung_twice(rule) -> None:
    found = climbed(built(ASHA, rule=rule), 200, lambda trial, epochs: math.sin(trial), workers=16)
    assert len(set(found)) == 200
    assert {epochs for _, epochs in found} == {1, 3, 9}


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_the_quantile_is_numpys(eta) -> None:
    rung, rng = Rung(), np.random.default_rng(0)
    for trial in range(20):
        rung.add(trial, float(rng.normal()))
        losses = [loss for loss, _ in rung.ranked]
        assert rung.quantile(eta) == pytest.approx(np.quantile(losses, 1 / eta))


def test_of_two_results_only_the_quantile_rule_promotes() -> None:
    rung = Rung()
    rung.add(0, 1.0)
    rung.add(1, 2.0)
    assert (rung.by_count(3), rung.by_quantile(3)) == (False, True)
    assert rung.take() == 1


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"rule 'quantil'.*quantile"):
        built(ASHA, rule="quantil")


def test_pasha_opens_no_rung_while_rankings_agree() -> None:
    found = climbed(built(PASHA, (1, 3, 9, 27)), 60)
    assert {epochs for _, epochs in found} == {1, 3}


def test_pasha_opens_a_rung_where_two_trials_change_places() -> None:
    """Trials 0 and 3 are promoted; at 3 epochs the order is reversed, at 9 not again."""
    strategy = built(PASHA, (1, 3, 9, 27))
    found = climbed(strategy, 60, lambda trial, epochs: nine(trial, 1) * (-1 if epochs > 1 else 1))
    assert found[:6] == asked("0@1 1@1 0@3 2@1 3@1 3@3")
    assert found[6] == (0, 9)  # the better of the two at 3 epochs: now it may go on
    assert {epochs for _, epochs in found} == {1, 3, 9}


def told(strategy: PASHA, curve: tuple[float, ...]) -> None:
    query = strategy.ask()
    trial = len(strategy.trials) - 1 if query.trial is None else query.trial
    points = tuple((epoch + 1, score) for epoch, score in enumerate(curve[: query.fidelity]))
    strategy.receive(query._replace(trial=trial), Evaluation(points[-1][1], 1.0, curve=points), True)


@pytest.mark.parametrize(("noisy", "rungs"), [(True, 2), (False, 3)])
def test_pasha_takes_what_swaps_and_swaps_back_for_noise(noisy, rungs) -> None:
    """The last trial falls behind the one before by .05. Another pair of curves crosses twice, and ends .1 apart."""
    strategy = built(PASHA, (1, 3, 9, 27))
    steady, crossing_it, falling = (0.5, 0.5, 0.5), (0.6, 0.4 if noisy else 0.55, 0.6), (0.65, 0.62, 0.55)
    for curve in (steady, (0.1, 0.1, 0.1), steady, crossing_it, crossing_it, falling, falling):  # each but one goes on
        told(strategy, curve)
    assert [trial for _, trial in strategy.results[1].ranked] == [2, 3, 0]
    assert strategy.top + 1 == rungs
    assert strategy.epsilon == pytest.approx(0.1 if noisy else 0.0)


def test_pasha_learns_nothing_from_what_exceeds_a_limit() -> None:
    """Its curve crosses another's twice, but it stands in no rung."""
    problem = Problem(
        naslab.search_space("nasbench201"),
        fidelities=(1, 3, 9),
        fidelity=9,
        metrics={"latency": Objective("latency", "min", "s")},
        constraint=Constraint.parse({"latency": 1}),
    )
    strategy = PASHA(problem, np.random.default_rng(0))
    steady = Evaluation(0.5, 1.0, {"latency": 1.0}, curve=((1, 0.5), (2, 0.5), (3, 0.5)))
    slow = Evaluation(0.6, 1.0, {"latency": 2.0}, curve=((1, 0.6), (2, 0.4), (3, 0.6)))
    for trial, evaluation in enumerate((steady, slow)):
        strategy.begin(problem.space.first, 0)
        strategy.told(Query(problem.space.first, 1, trial), steady)
        strategy.told(Query(problem.space.first, 3, trial), evaluation)
    assert [trial for _, trial in strategy.results[1].ranked] == [0]
    assert strategy.epsilon == 0.0


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ((1, 2, 3), (0, 1, 2), None),
        ((1, 0, 3), (0, 1, 2), 1.0),  # swaps, and back
        ((1, 0, 0), (0, 1, 2), None),  # swaps only
        ((1, 1, 0, 1, 3), (0, 1, 1, 1, 1), 2.0),  # equal in between
        ((1, math.nan, 3), (0, 1, 2), None),
    ],
)
def test_how_far_curves_that_cross_twice_are_apart(one, other, apart) -> None:
    assert crossing(dict(enumerate(one)), dict(enumerate(other))) == apart


@pytest.mark.parametrize(
    ("lower", "epsilon", "same"),
    [((3, 2, 1), 0, True), ((2, 3, 1), 0, False), ((2, 3, 1), 1, True), ((1, 2, 3), 1, False), ((2, 2), 0, True)],
)
def test_rankings_agree_up_to_epsilon(lower, epsilon, same) -> None:
    assert same_ranking(range(len(lower)), lower, epsilon) is same


def test_the_stopping_type_conforms() -> None:
    check_optimizer("asha[rule=stopping]")
