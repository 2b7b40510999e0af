"""Local search: whole neighbourhoods, best move, restarts, nothing twice."""

from __future__ import annotations

import numpy as np
import pytest
from toy_tasks import ToyReward, height, toy_task

import naslab
from naslab.space import Architecture

SPACE = toy_task().problem.space


def rugged(architecture: Architecture) -> float:
    """Several local optima, no two scores alike."""
    order = sorted(SPACE.architectures())
    return float(np.random.default_rng(8).permutation(len(order))[order.index(architecture)])


def asked(score: object, budget: int = 100, seed: int = 0) -> list[Architecture]:
    result = naslab.search(toy_task(ToyReward(score)), "local-search", budget=budget, seed=seed)  # type: ignore[arg-type]
    return [step.query.architecture for step in result.trace.steps]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("score", [height, rugged])
def test_follows_the_algorithm(score: object, seed: int) -> None:
    """Replays what was asked against the definition: neighbourhood by neighbourhood."""
    order = asked(score, seed=seed)
    assert len(order) == len(set(order)) == 36  # nothing twice, and it ends when all is known
    seen: set[Architecture] = set()
    position = restarts = 0
    current: Architecture | None = None
    while position < len(order):
        if current is None:
            current, restarts = order[position], restarts + 1
            seen.add(current)
            position += 1
        around = SPACE.neighbors(current)
        unseen = {a for a in around if a not in seen}
        assert set(order[position : position + len(unseen)]) == unseen
        position += len(unseen)
        seen |= unseen
        best = max(around, key=score)  # type: ignore[call-overload]
        current = best if score(best) > score(current) else None  # type: ignore[operator]
    assert restarts >= (2 if score is rugged else 1)


def test_neighbours_come_in_random_order() -> None:
    firsts = {tuple(asked(height, budget=4, seed=seed)[1:]) for seed in range(12)}
    changed = {next(i for i in range(3) if a[i] != b[i]) for seed in range(12) for a, b in [asked(height, 2, seed)]}
    assert len(firsts) > 6
    assert changed == {0, 1, 2}


def test_ends_before_its_budget_when_everything_is_known() -> None:
    result = naslab.search(toy_task(ToyReward()), "local-search", budget=1000)
    assert result.trace.end is not None
    assert (result.trace.end["reason"], result.trace.end["evaluations"]) == ("finished", 36)
