"""Policies over choices that are not always active: what is drawn, how probable it is, which are the best."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from toy_spaces import IMAGE, graph_of

from naslab import Choice, Rule, SearchSpace
from naslab.feasibility import Feasibility
from naslab.ops import AvgPool, Conv, Identity


def space_of(*, ruled: bool) -> SearchSpace:
    kernels = [Choice(f"kernel{i}", (1, 3, 5)) for i in range(2)]
    graph = graph_of(
        ("x", "a", Choice("first", (Identity(), Conv(kernel=kernels[0]), AvgPool()))),
        ("a", "y", Choice("second", (Conv(kernel=kernels[1]), Identity()))),
        x=IMAGE,
    )
    allowed = frozenset(c for c in itertools.product(range(3), repeat=2) if c != (1, 1))
    return SearchSpace(graph, rules=[Rule(("kernel0", "kernel1"), allowed)] if ruled else [])


def network_probabilities(space: SearchSpace, p: list[np.ndarray], most: float) -> dict[tuple[int, ...], float]:
    """Of every feasible network, by listing all draws."""
    found: Counter[tuple[int, ...]] = Counter()
    for draw in itertools.product(*map(range, space.sizes)):
        network = space.normal(draw)
        if space.is_valid(network) and space.cost(network).params <= most:
            found[network] += float(np.prod([each[option] for each, option in zip(p, draw, strict=True)]))
    return dict(found)


@pytest.mark.parametrize("backend", ["exact", "enumerate", "bounds"])
@pytest.mark.parametrize("ruled", [False, True])
@pytest.mark.parametrize("most", [10**9, 250])
def test_draws_probabilities_and_the_best(backend: str, ruled: bool, most: float) -> None:
    space, rng = space_of(ruled=ruled), np.random.default_rng(0)
    feasible = Feasibility(space, {"params": most}, backend)  # type: ignore[arg-type]
    for _ in range(4):
        logits = [rng.normal(0, 2, size) for size in space.sizes]
        p = [np.exp(each) / np.exp(each).sum() for each in logits]
        known = network_probabilities(space, p, most)
        assert np.exp(feasible.log_probability(logits)) == pytest.approx(sum(known.values()))
        ranked = sorted(known, key=lambda a: -known[a])
        assert feasible.top(logits, len(known)) == ranked
        drawn = Counter(map(tuple, feasible.sample(logits, rng, 4000).tolist()))
        assert set(drawn) <= set(known)
        for network, probability in known.items():
            expected = 4000 * probability / sum(known.values())
            assert abs(drawn[network] - expected) < 5 * np.sqrt(expected) + 3
