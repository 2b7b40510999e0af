"""Defaults: they grow with the table, and a recipe fits the smallest one."""

from __future__ import annotations

import numpy as np
import pytest

from naslab.tabular import defaults
from naslab.tabular.defaults import LADDER, balanced_weights, default_widths, shared_recipe, training_recipe


@pytest.mark.parametrize(("rows", "largest"), [(12, 32), (256, 32), (257, 48), (1024, 64), (10_000, 256), (10**7, 512)])
def test_the_largest_width_is_twice_the_square_root_of_the_rows(rows, largest):
    assert default_widths(rows)[-1] == largest
    assert default_widths(rows) == LADDER[: LADDER.index(largest) + 1]


@pytest.mark.parametrize("rows", [6, 12, 60, 500, 5000, 100_000])
def test_recipes_fit_the_table(rows):
    recipe = training_recipe(rows)
    steps = recipe.epochs * recipe.batches(rows)  # a batch larger than the table would be refused here
    assert steps < defaults.STEPS + recipe.batches(rows)
    assert recipe.epochs <= 200
    assert recipe.weight_decay > 0
    sharing = shared_recipe(rows, 700)
    assert 700 <= sharing.epochs * sharing.batches(rows) < 700 + sharing.batches(rows)
    assert sharing.weight_decay == 0


def test_balanced_weights_give_every_class_the_same_sum():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weights = np.array(balanced_weights(labels, 3))
    assert np.bincount(labels) * weights == pytest.approx([10 / 3] * 3)
    assert weights[labels].mean() == pytest.approx(1)
