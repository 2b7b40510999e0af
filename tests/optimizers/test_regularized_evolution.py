"""Regularized evolution, step by step."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from toy_tasks import toy_task

from naslab.evaluators import Evaluation
from naslab.optimizers.regularized_evolution import RegularizedEvolution
from naslab.space import Architecture


def evolution(seed: int = 0, **options: int | bool) -> RegularizedEvolution:
    return RegularizedEvolution(toy_task().problem, np.random.default_rng(seed), **options)  # type: ignore[arg-type]


def tell(optimizer: RegularizedEvolution, architecture: Architecture, score: float) -> None:
    optimizer.tell(architecture, Evaluation(score, 1.0))


def differences(a: Architecture, b: Architecture) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_the_oldest_dies_however_good_it_is() -> None:
    """With tournaments of the whole population the parent is the best one alive: known from the children."""
    optimizer = evolution(population=3, sample=3, replacement=False)
    old, *others = [(3, 2, 2), (0, 0, 0), (1, 0, 0)]
    for architecture, score in ((old, 9.0), (others[0], 1.0), (others[1], 2.0)):
        optimizer.ask()
        tell(optimizer, architecture, score)
    for _ in range(20):
        assert differences(optimizer.ask(), old) == 1
    tell(optimizer, (0, 1, 0), 0.5)  # the fourth: the oldest, and best, is gone
    assert all(differences(optimizer.ask(), others[1]) == 1 for _ in range(60))
    tell(optimizer, (3, 2, 1), 7.0)
    assert all(differences(optimizer.ask(), (3, 2, 1)) == 1 for _ in range(20))


def test_the_first_generation_is_random_and_only_then_children_come() -> None:
    optimizer = evolution(population=5, sample=5, replacement=False)
    first = []
    for _ in range(5):
        first.append(optimizer.ask())
        tell(optimizer, first[-1], float(sum(first[-1])))
    assert max(differences(a, b) for a in first for b in first) > 1
    best = [a for a in first if sum(a) == max(map(sum, first))]
    for _ in range(20):
        child = optimizer.ask()
        assert 1 in [differences(child, parent) for parent in best]


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [
        # Of 4 members tournaments of 2: with replacement the k-th best wins with ((5-k)^2 - (4-k)^2) / 16,
        # without with (4-k) / 6.
        (True, [7 / 16, 5 / 16, 3 / 16, 1 / 16]),
        (False, [3 / 6, 2 / 6, 1 / 6, 0.0]),
    ],
)
def test_tournaments(replacement: bool, expected: list[float]) -> None:
    # Members so far apart that a child has one parent only.
    members = [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 0, 2)]
    assert min(differences(a, b) for a in members for b in members if a != b) >= 2
    optimizer = evolution(population=4, sample=2, replacement=replacement)
    for rank, member in enumerate(members):
        optimizer.ask()
        tell(optimizer, member, -float(rank))
    moves = {m: set(toy_task().problem.neighbors(m)) for m in members}
    children = Counter(optimizer.ask() for _ in range(20_000))
    # A child of two members counts for each by the share of moves; solve for the parents' probabilities.
    names = sorted(children)
    matrix = np.array([[(name in moves[m]) / len(moves[m]) for m in members] for name in names])
    observed = np.array([children[name] for name in names]) / 20_000
    parents = np.linalg.lstsq(matrix, observed, rcond=None)[0]
    assert parents == pytest.approx(expected, abs=0.03)


def test_a_score_that_is_not_finite_loses_every_tournament() -> None:
    for bad in (float("nan"), float("inf"), -float("inf")):
        optimizer = evolution(population=2, sample=2, replacement=False)
        for member, score in (((0, 0, 0), bad), ((3, 2, 2), -1e9)):
            optimizer.ask()
            tell(optimizer, member, score)
        assert all(differences(optimizer.ask(), (3, 2, 2)) == 1 for _ in range(30))
