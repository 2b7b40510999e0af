"""Successive halving and Hyperband, trial by trial."""

from __future__ import annotations

import math

import pytest
from climbs import built, climbed, nine

from naslab.errors import InvalidValue
from naslab.optimizers.multi_fidelity.halving import Hyperband, SuccessiveHalving
from naslab.testing import check_optimizer

ROUND = [(trial, 1) for trial in range(9)] + [(3, 3), (5, 3), (7, 3), (3, 9)]


def failing(*trials: int):
    return lambda trial, epochs: math.nan if trial in trials else nine(trial, epochs)


def test_the_best_three_of_nine_go_on_and_then_the_best() -> None:
    assert climbed(built(SuccessiveHalving), 14) == [*ROUND, (9, 1)]


def test_what_is_best_at_a_rung_goes_on_from_it() -> None:
    """The third of the second rung wins there."""
    asked = climbed(
        built(SuccessiveHalving), 13, lambda trial, epochs: nine(trial, 1) + 5 * (trial == 7) * (epochs > 1)
    )
    assert asked[9:] == [(3, 3), (5, 3), (7, 3), (7, 9)]


def test_with_several_workers_the_next_round_begins_while_one_waits() -> None:
    asked = climbed(built(SuccessiveHalving), 14, workers=4)
    assert asked[:12] == [*((trial, 1) for trial in range(12))]
    assert asked[12:] == [(3, 3), (5, 3)]


@pytest.mark.parametrize(
    ("failed", "rest"),
    [
        ((3,), [(5, 3), (7, 3), (8, 3), (5, 9)]),
        ((0, 1, 2, 3, 4, 5, 6), [(7, 3), (8, 3), (7, 9)]),
        (range(9), [(9, 1)]),
    ],
)
def test_what_fails_does_not_go_on(failed, rest) -> None:
    assert climbed(built(SuccessiveHalving), 9 + len(rest), failing(*failed))[9:] == rest


def test_a_failure_at_a_higher_rung_ends_a_trial() -> None:
    asked = climbed(built(SuccessiveHalving), 13, lambda t, e: math.nan if (t, e) == (3, 3) else nine(t, e))
    assert asked[12] == (5, 9)


def test_hpbandster_fills_up_with_new_trials() -> None:
    asked = climbed(built(Hyperband, brackets="hpbandster"), 12, failing(*range(8)))
    assert asked[9:] == [(8, 3), (9, 3), (10, 3)]


def test_hpbandsters_brackets_conform() -> None:
    check_optimizer("hyperband[brackets=hpbandster]")


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [("hyperband", [9, 3, 1, 5, 1, 3]), ("hpbandster", [9, 3, 1, 3, 1, 3])],
)
def test_hyperband_goes_through_its_brackets_again_and_again(kind, sizes) -> None:
    epochs = [epochs for _, epochs in climbed(built(Hyperband, brackets=kind), 2 * sum(sizes))]
    once = [e for e, n in zip((1, 3, 9, 3, 9, 9), sizes, strict=True) for _ in range(n)]
    assert epochs == 2 * once


def test_ends_and_trials_are_options() -> None:
    asked = climbed(built(SuccessiveHalving, tuple(range(1, 21)), trials=6, lowest=2, highest=6), 9)
    assert [epochs for _, epochs in asked] == 6 * [2] + 2 * [6] + [2]


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        (SuccessiveHalving, {"trials": 8}, "trials=8: at least 9"),
        (SuccessiveHalving, {"eta": 1}, "eta=1"),
        (Hyperband, {"brackets": "bohb"}, "bohb"),
    ],
)
def test_bad_options_are_refused(factory, options, message) -> None:
    with pytest.raises(InvalidValue, match=message):
        built(factory, **options)
