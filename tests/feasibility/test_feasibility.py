"""Architectures that meet a limit."""

from __future__ import annotations

import numpy as np
import pytest
from toy_spaces import looks_uniform, two_choices, two_inputs

import naslab
from naslab.errors import InvalidValue
from naslab.feasibility import FeasibleSet


def under(space, share: float) -> FeasibleSet:
    """About the given share of a space: those with the fewest parameters."""
    limit = sorted(space.cost(a).params for a in space.architectures())[int(share * space.size) - 1]
    return FeasibleSet(space, lambda a: space.cost(a).params <= limit, f"params<={limit}")


@pytest.mark.parametrize("space", [two_choices(), two_inputs(), naslab.search_space("mlp", widths=(8, 16, 32, 64))])
@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_samples_are_uniform_over_the_feasible(space, share):
    feasible = under(space, share)
    support = [a for a in space.architectures() if feasible.is_feasible(a)]
    rng = np.random.default_rng(9)
    draws = [feasible.sample(rng) for _ in range(max(200, 8 * len(support)))]
    assert looks_uniform(draws, support)


def test_neighbors_and_mutations_are_feasible():
    space = naslab.search_space("mlp", widths=(8, 16, 32, 64))
    feasible = under(space, 0.3)
    rng = np.random.default_rng(10)
    for _ in range(5):
        architecture = feasible.sample(rng)
        neighbors = [a for a in space.neighbors(architecture) if feasible.is_feasible(a)]
        assert feasible.neighbors(architecture) == neighbors
        draws = [feasible.mutate(architecture, rng) for _ in range(40 * len(neighbors))]
        assert looks_uniform(draws, neighbors)


def test_without_feasible_neighbors_a_mutation_is_a_sample():
    space = naslab.search_space("mlp", widths=(8, 16, 32), depth=2)
    islands = {(0, 0), (2, 2)}
    feasible = FeasibleSet(space, islands.__contains__, "islands")
    rng = np.random.default_rng(11)
    assert looks_uniform([feasible.mutate((0, 0), rng) for _ in range(200)], sorted(islands))


def test_large_spaces_are_sampled_by_rejection():
    space = naslab.search_space("mlp", widths=range(1, 101), depth=4)
    assert space.size == 100_000_000
    limit = 2_000
    feasible = FeasibleSet(space, lambda a: space.cost(a).params <= limit, f"params<={limit}")
    rng = np.random.default_rng(12)
    assert all(space.cost(feasible.sample(rng)).params <= limit for _ in range(20))


@pytest.mark.parametrize("depth", [2, 4], ids=["listed", "sampled"])
def test_no_feasible_architecture_is_said_in_one_line(depth):
    space = naslab.search_space("mlp", widths=range(1, 101), depth=depth)
    feasible = FeasibleSet(space, lambda a: False, "params<=1")
    with pytest.raises(InvalidValue) as error:
        feasible.sample(np.random.default_rng(0))
    assert "params<=1" in str(error.value)
    assert "'mlp'" in str(error.value)
    assert "\n" not in str(error.value)
