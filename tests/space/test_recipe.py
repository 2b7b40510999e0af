"""Recipes: rates, and what is no recipe."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import pytest

from naslab.errors import InvalidValue
from naslab.space import Recipe

RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.2)


def test_cosine_rates_start_at_the_learning_rate_and_fall_to_zero() -> None:
    rates = [RECIPE.rate(step, 100) for step in range(101)]
    assert rates[0] == 0.2
    assert rates[50] == pytest.approx(0.1)
    assert rates[25] == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
    assert rates[99] < 0.2 * 0.001
    assert rates[100] == 0.0
    assert rates == sorted(rates, reverse=True)


def test_constant_rates() -> None:
    recipe = dataclasses.replace(RECIPE, schedule="constant")
    assert {recipe.rate(step, 7) for step in range(8)} == {0.2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam"}, "recipe: optimizer='adam'. Allowed: sgd, adamw"),
        ({"schedule": "step"}, "recipe: schedule='step'. Allowed: cosine, constant"),
        ({"augmentation": "flip"}, "recipe: augmentation='flip'. Allowed: none, shift"),
        ({"epochs": 0}, "recipe: epochs=0. Allowed: whole numbers of at least 1"),
        ({"epochs": 2.0}, "recipe: epochs=2.0. Allowed: whole numbers of at least 1"),
        ({"batch": -8}, "recipe: batch=-8. Allowed: whole numbers of at least 1"),
        ({"learning_rate": 0.0}, "recipe: the learning rate must be above 0"),
        ({"learning_rate": math.nan}, "recipe: the learning rate must be above 0"),
        ({"learning_rate": math.inf}, "recipe: the learning rate must be above 0 .* both finite"),
        ({"weight_decay": -1e-9}, "the weight decay at least 0"),
        ({"weight_decay": math.nan}, "the weight decay at least 0"),
        ({"weight_decay": math.inf}, "the weight decay at least 0, both finite"),
    ],
)
def test_what_is_no_recipe_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        dataclasses.replace(RECIPE, **change)


def test_recipes_are_values() -> None:
    same = Recipe(**dataclasses.asdict(RECIPE))
    assert (same, hash(same)) == (RECIPE, hash(RECIPE))
    assert pickle.loads(pickle.dumps(RECIPE)) == RECIPE
    assert dataclasses.replace(RECIPE, batch=9) != RECIPE
