"""Regularized evolution by non-dominated rank."""

from __future__ import annotations

import math

import numpy as np
import pytest
from toy_tasks import ToyReward, height, toy_task

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators import Evaluation
from naslab.optimizers.mo_regularized_evolution import MORegularizedEvolution
from naslab.testing import check_optimizer


def test_it_keeps_the_interface() -> None:
    check_optimizer("mo-regularized-evolution[population=10]")


@pytest.mark.parametrize("seed", range(3))
def test_with_the_score_alone_it_is_regularized_evolution(seed: int) -> None:
    """Also where scores are equal or missing."""

    def score(architecture: tuple[int, ...]) -> float:
        return math.nan if architecture[1] == 1 else math.floor(height(architecture) / 2)

    def asked(kind: type[naslab.AskTell]) -> list[tuple[int, ...]]:
        optimizer = kind(toy_task().problem, np.random.default_rng(seed), population=6, sample=3)  # type: ignore[call-arg]
        found = []
        for _ in range(60):
            found.append(optimizer.ask())
            optimizer.tell(found[-1], Evaluation(score(found[-1]), 1.0))
        return found

    from naslab.optimizers.regularized_evolution import RegularizedEvolution

    assert asked(MORegularizedEvolution) == asked(RegularizedEvolution)


def test_the_rank_wins_and_the_oldest_dies() -> None:
    problem = toy_task().problem.optimising(["score", "params"])
    optimizer = MORegularizedEvolution(problem, np.random.default_rng(0), population=3, sample=3, replacement=False)
    good, dominated, small = (2, 0, 1), (3, 2, 2), (0, 0, 0)
    for architecture in (dominated, good, small):
        optimizer.tell(architecture, Evaluation(height(architecture), 1.0))
    # (3, 2, 2) is worse than (2, 0, 1) in both; the small one is worse in the score alone
    assert [(-rank, a) for rank, a in optimizer._alive] == [(1, dominated), (0, good), (0, small)]
    parents = {min(problem.space.architectures(), key=lambda a: _moves(a, optimizer.ask())) for _ in range(1)}
    assert dominated not in parents
    optimizer.tell((1, 1, 1), Evaluation(math.nan, 1.0))
    assert [(-rank, a) for rank, a in optimizer._alive] == [(0, good), (0, small), (1, (1, 1, 1))]


def _moves(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_it_covers_the_front() -> None:
    one = toy_task(ToyReward())
    found = naslab.search(one, "mo-regularized-evolution[population=10]", budget=300, objectives=["score", "params"])
    every = {a: (height(a), -one.problem.cost("params", a)) for a in one.problem.space.architectures()}
    best = {p for p in every.values() if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in every.values())}
    assert len(best) > 2
    assert {every[m.architecture] for m in found.front()} == best


def test_what_is_refused() -> None:
    with pytest.raises(InvalidValue, match="population=2, sample=3"):
        MORegularizedEvolution(toy_task().problem, np.random.default_rng(0), population=2, sample=3, replacement=False)
