"""Portfolios: their order by hand, and strategies that begin with them."""

from __future__ import annotations

import numpy as np
import pytest
from toy_tasks import BEST, ToyReward, height, toy_space

from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers import optimizer_spec
from naslab.optimizers.portfolio import greedy
from naslab.tasks import Constraint, Problem, Source

NAN = float("nan")


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        # By one task: ranked, what is no number last.
        ([[1.0], [NAN], [3.0], [2.0]], [2, 3, 0, 1]),
        # Regrets (0, 1), (1, 0), (.4, .4), (.5, .2): the last has the lowest mean, .35. Then the first lowers it to .1
        # (the second to .25, the third to .3), and the second to 0. The third lowers nothing: a second round.
        ([[10.0, 0.0], [0.0, 5.0], [6.0, 3.0], [5.0, 4.0]], [3, 0, 1, 2]),
        # On a task on which all are equal, nobody has a regret; where all failed, everybody has.
        ([[1.0, 7.0, NAN], [2.0, 7.0, NAN], [3.0, 7.0, NAN]], [2, 1, 0]),
        ([[NAN, NAN], [NAN, NAN]], [0, 1]),
        # Equal means: the one that is better alone; then the earlier one.
        ([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [0, 1, 2]),
    ],
)
def test_the_greedy_order_by_hand(scores, order) -> None:
    assert greedy(np.array(scores)) == order


def problem(**changes) -> Problem:
    space = toy_space()
    sources = (Source("near", space, ToyReward()), Source("lost", space, ToyReward(lambda a: NAN)))
    return Problem(space, sources=sources, **changes)


def begun(name: str, one: Problem, count: int) -> list[tuple]:
    optimizer = optimizer_spec(name).build_black_box(one, np.random.default_rng(0))
    found = []
    for number in range(count):
        asked = optimizer.ask()
        query = asked if hasattr(asked, "architecture") else None
        found.append(query.architecture if query else asked)
        if query:
            optimizer.told(query._replace(trial=number), Evaluation(0.0, 1.0))
        else:
            optimizer.tell(asked, Evaluation(0.0, 1.0))
    return found


def test_evolution_begins_with_the_best_of_the_sources() -> None:
    one = problem()
    found = begun("portfolio-evolution[population=6,candidates=500]", one, 7)
    heights = [height(a) for a in found[:6]]
    assert found[0] == BEST
    assert heights == sorted(heights, reverse=True)
    assert len(set(found[:6])) == 6
    assert [source.evaluations for source in one.sources] == [36, 36]  # each architecture of the space once


def test_bohb_begins_with_the_best_of_the_sources() -> None:
    one = problem(fidelities=(1, 3, 9), fidelity=9)
    found = begun("portfolio-bohb[members=5,candidates=500]", one, 5)
    assert found[0] == BEST
    assert [height(a) for a in found] == sorted(map(height, found), reverse=True)


def test_a_portfolio_keeps_limits() -> None:
    one = problem(constraint=Constraint.parse({"params": 22}))
    assert all(map(one.is_feasible, begun("portfolio-evolution[candidates=300]", one, 10)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("portfolio-evolution[candidates=1]", "candidates=1: at least 2"),
        ("portfolio-bohb[members=0]", "members=0: from 1"),
        ("portfolio-bohb[members=101]", "members=101: from 1 to the number of candidates"),
    ],
)
def test_numbers_that_make_no_sense(name, message) -> None:
    with pytest.raises(InvalidValue, match=message):
        optimizer_spec(name).build(problem(fidelities=(1, 3, 9), fidelity=9), np.random.default_rng(0))
