"""Optuna's pruner, asked fidelity by fidelity."""

from __future__ import annotations

import math

import pytest
from climbs import built, climbed

from naslab.errors import InvalidValue
from naslab.optimizers.multi_fidelity.optuna_pruned import OptunaPruned
from naslab.testing import check_optimizer

REACHED = {
    0: (0.5, 0.6, 0.7),
    1: (0.3, 0.4, 0.9),  # the first two go to the end, whatever they reach
    2: (0.3, 1.0, 1.0),  # below 0.4, the median of 0.5 and 0.3
    3: (0.45, 0.2, 1.0),  # its best, 0.45, is below the median of 0.6 and 0.4
    4: (0.42, 0.55, 0.1),  # goes on twice, and joins those that are compared with
    5: (0.41, 0.1, 0.1),  # below 0.42, now the median of three
    6: (math.nan, 1.0, 1.0),  # fails
    7: (0.42, math.nan, 1.0),  # fails later
}


def test_eight_trials_by_hand() -> None:
    def scores(trial: int, epochs: int) -> float:
        return REACHED[trial][(1, 3, 9).index(epochs)] if trial in REACHED else 0.0

    asked = climbed(built(OptunaPruned, unpruned=2), 16, scores)
    assert asked == [
        *((0, 1), (0, 3), (0, 9)),
        *((1, 1), (1, 3), (1, 9)),
        (2, 1),
        *((3, 1), (3, 3)),
        *((4, 1), (4, 3), (4, 9)),
        (5, 1),
        (6, 1),
        *((7, 1), (7, 3)),
    ]


def test_a_larger_share_goes_on() -> None:
    """The worst of two would be stopped by the median; all but the worst quarter are let through."""
    scores = {0: (0.5, 0.5, 0.5), 1: (0.3, 0.3, 0.3), 2: (0.36, 0.36, 0.36)}

    def reached(trial: int, epochs: int) -> float:
        return scores.get(trial, (0.0,) * 3)[0]

    assert climbed(built(OptunaPruned, unpruned=2), 8, reached)[6:] == [(2, 1), (3, 1)]
    assert climbed(built(OptunaPruned, unpruned=2, percentile=75.0), 8, reached)[6:] == [(2, 1), (2, 3)]


@pytest.mark.parametrize("options", [{"percentile": 0.0}, {"percentile": 101.0}, {"unpruned": 0}, {"startup": 0}])
def test_what_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidValue, match=str(*options)):
        built(OptunaPruned, **options)


@pytest.mark.slow
def test_it_conforms() -> None:
    check_optimizer("naslab.optimizers.multi_fidelity.optuna_pruned:OptunaPruned")
