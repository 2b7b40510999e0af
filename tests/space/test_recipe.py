"""Recipes: rates, and what is no recipe."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import pytest

from naslab.errors import InvalidValue
from naslab.space import Adam, Cosine, Range, Recipe

RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.2)


def test_cosine_rates_start_at_the_learning_rate_and_fall_to_zero() -> None:
    rates = [RECIPE.rate(step, 100) for step in range(101)]
    assert rates[0] == 0.2
    assert rates[50] == pytest.approx(0.1)
    assert rates[25] == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
    assert rates[99] < 0.2 * 0.001
    assert rates[100] == 0.0
    assert rates == sorted(rates, reverse=True)


def test_a_cosine_may_be_longer_or_shorter_than_the_training() -> None:
    """Auto-PyTorch's: 50 epochs down to 1e-8, then flat, however long the training is."""
    steps = 4  # an epoch
    half, full, twice = (
        dataclasses.replace(RECIPE, epochs=epochs, schedule=Cosine(epochs=50, end=1e-8)) for epochs in (25, 50, 100)
    )
    expected = [1e-8 + (0.2 - 1e-8) * (1 + math.cos(math.pi * step / 200)) / 2 for step in range(201)]
    for recipe in (half, full, twice):
        rates = [recipe.rate(step, recipe.epochs * steps) for step in range(recipe.epochs * steps)]
        assert rates[:200] == pytest.approx(expected[: len(rates[:200])])
        assert rates[200:] == pytest.approx([1e-8] * len(rates[200:]), rel=1e-6)
    plain = dataclasses.replace(RECIPE, schedule=Cosine())
    assert [plain.rate(step, 30) for step in range(30)] == [RECIPE.rate(step, 30) for step in range(30)]


def test_constant_rates() -> None:
    recipe = dataclasses.replace(RECIPE, schedule="constant")
    assert {recipe.rate(step, 7) for step in range(8)} == {0.2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "rmsprop"}, "recipe: optimizer='rmsprop'. Allowed: sgd, adamw, adam, or SGD"),
        ({"optimizer": Adam(beta2=1.0)}, "Allowed for beta2: 0 or more, below 1"),
        ({"schedule": "step"}, "recipe: schedule='step'. Allowed: cosine, constant, or Cosine"),
        ({"schedule": Cosine(epochs=0)}, "recipe: epochs of Cosine=0. Allowed: whole numbers of at least 1"),
        ({"schedule": Cosine(end=-1.0)}, "Allowed for end: 0 or more, finite"),
        ({"mixup": -0.1}, "recipe: mixup=-0.1. Allowed: 0 .none. or more, finite"),
        ({"mixup": Range("alpha", -1, 1)}, "recipe: mixup=-1.0"),
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


def test_recipes_without_mixup_are_written_as_before_there_was_any() -> None:
    """Headers of runs, keys of joint spaces and tables hold them so."""
    assert repr(RECIPE) == (
        "Recipe(epochs=3, batch=8, learning_rate=0.2, optimizer='sgd', schedule='cosine', weight_decay=0.0, "
        "augmentation='none')"
    )
    assert "mixup" not in RECIPE.stated()
    mixed = dataclasses.replace(RECIPE, mixup=0.3)
    assert repr(mixed) == repr(RECIPE)[:-1] + ", mixup=0.3)"
    assert Recipe(**mixed.stated()) == mixed


def test_recipes_are_values() -> None:
    same = Recipe(**dataclasses.asdict(RECIPE))
    assert (same, hash(same)) == (RECIPE, hash(RECIPE))
    assert pickle.loads(pickle.dumps(RECIPE)) == RECIPE
    assert dataclasses.replace(RECIPE, batch=9) != RECIPE
