"""DEHB: its brackets, its sub-populations and its children."""

from __future__ import annotations

import math

import numpy as np
import pytest
import toy_spaces
from climbs import built, climbed, nine

from naslab.optimizers.multi_fidelity import dehb
from naslab.optimizers.multi_fidelity.dehb import DEHB, crossed, mutant
from naslab.tasks import Constraint, Problem

FIRST = [(trial, 1) for trial in range(9)] + [(3, 3), (5, 3), (7, 3), (3, 9)]


def height(strategy: DEHB):
    """Scores by how many 3x3 convolutions a trial's cell has; all of rungs agree."""
    return lambda trial, _: float(sum(option == 3 for option in strategy.trials[trial]))


def test_the_first_brackets_promote_and_the_others_begin_trials() -> None:
    found = climbed(built(DEHB), 40)
    assert found[:13] == FIRST
    assert found[13:20] == [(9, 3), (10, 3), (11, 3), (5, 9), (12, 9), (13, 9), (14, 9)]
    assert [epochs for _, epochs in found[20:]] == [epochs for _, epochs in found[:20]]
    assert [trial for trial, _ in found[20:]] == list(range(15, 35))


def test_sub_populations_hold_the_best_of_a_place() -> None:
    strategy = built(DEHB)
    climbed(strategy, 14)
    assert [len(each) for each in strategy.populations] == [9, 3, 3]
    assert [each.trial for each in strategy.populations[0]] == list(range(9))
    assert [each and each.trial for each in strategy.populations[2]] == [3, None, None]
    climbed_scores = [each.score for each in strategy.populations[1]]
    assert climbed_scores == [9, 8, 7]


@pytest.mark.parametrize(("score", "takes"), [(math.nan, False), (6.9, False), (7.0, True)])
def test_a_child_takes_its_parents_place_unless_it_is_worse(score, takes) -> None:
    """The third member of the second rung has 7."""
    strategy = built(DEHB)
    climbed(strategy, 17, lambda trial, epochs: score if trial == 11 else nine(trial, epochs))
    assert (strategy.populations[1][2].trial == 11) is takes


def test_what_fails_leaves_its_place_empty_and_does_not_go_on() -> None:
    strategy = built(DEHB)
    found = climbed(strategy, 13, lambda trial, epochs: math.nan if trial == 3 else nine(trial, epochs))
    assert strategy.populations[0][3] is None
    assert found[9:] == [(5, 3), (7, 3), (8, 3), (5, 9)]


def test_it_finds_better_cells_than_random_draws() -> None:
    """A uniform cell has 1.2 convolutions of 3x3 on average."""
    strategy = built(DEHB)
    climbed(strategy, 300, height(strategy))
    begun = [sum(option == 3 for option in each) for each in strategy.trials]
    assert np.mean(begun[:10]) < 2
    assert np.mean(begun[-30:]) > 3


@pytest.mark.parametrize("workers", [4, 16])
def test_brackets_that_wait_block_nobody(workers) -> None:
    strategy = built(DEHB)
    found = climbed(strategy, 200, height(strategy), workers)
    assert len(set(found)) == 200


def test_the_pool_is_the_best_of_the_rung_below() -> None:
    """In the second turn a child at 3 epochs is of the best three at 1 epoch, whose vectors are 0 here."""
    strategy = built(DEHB)
    climbed(strategy, 29)
    ranked = strategy._ranked(0)
    for each in ranked:
        each.vector[:] = 0.0 if each in ranked[:3] else 1.0
    parent = strategy.populations[1][0]
    parent.vector[:] = 0.0
    strategy.ask()
    place, vector = strategy._under_way[len(strategy.trials) - 1]
    assert (place, vector.tolist()) == (0, [0.0] * 6)


def test_mutants_are_one_of_a_pool_and_half_a_difference() -> None:
    pool = [np.array([0.5, place]) for place in (0.4, 0.5, 0.7)]
    found = {round(float(mutant(pool, np.random.default_rng(seed))[1]), 9) for seed in range(50)}
    assert found == {0.3, 0.35, 0.5, 0.65, 0.75}


def test_mutants_stay_in_the_cube() -> None:
    pool = [np.zeros(4), np.ones(4), np.full(4, 0.9)]
    for seed in range(50):
        assert (
            (mutant(pool, np.random.default_rng(seed)) >= 0) & (mutant(pool, np.random.default_rng(seed)) <= 1)
        ).all()


def test_a_child_has_half_of_a_mutant_and_at_least_a_coordinate() -> None:
    rng = np.random.default_rng(0)
    taken = np.array([crossed(np.zeros(6), np.ones(6), rng).sum() for _ in range(2000)])
    assert taken.min() == 1
    assert taken.mean() == pytest.approx(3.5, abs=0.1)  # 1 and half of the five others


@pytest.mark.parametrize("space", [toy_spaces.nested(), toy_spaces.trained()])
def test_places_of_the_cube_stand_for_architectures(space) -> None:
    strategy = DEHB(Problem(space, fidelities=(1, 3, 9), fidelity=9), np.random.default_rng(0))
    for _ in range(50):
        architecture, vector = strategy._uniform(0)
        assert strategy._decoded(vector) == pytest.approx(architecture)
        assert ((vector >= 0) & (vector <= 1)).all()


def test_children_keep_limits(monkeypatch) -> None:
    space = toy_spaces.widths()
    least, most = (fn(space.cost(a).params for a in space.architectures()) for fn in (min, max))
    problem = Problem(space, Constraint.parse({"params": (least + most) / 2}), (1, 3, 9), 9)
    for tries in (100, 0):
        monkeypatch.setattr(dehb, "TRIES", tries)
        strategy = DEHB(problem, np.random.default_rng(0))
        climbed(strategy, 60)
        assert all(problem.is_feasible(each) for each in strategy.trials)
