"""How many samples a search needs until it finds a good architecture, where it is known which ones are good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from naslab.optimizers import Query, Wait, optimizer_spec
from naslab.optimizers.policy.policy_search import PolicySearch
from naslab.running import seed_sequence
from naslab.studies.policy_search.landscapes import Landscape, landscape_task

TARGETS: Mapping[str, float] = {
    "best 0.1 %": 1e-3,
    "best 0.001 %": 1e-5,
    "best of 10 million": 1e-7,
    "best of a billion": 1e-9,
}
"""Shares of all architectures."""
MODE = "mode in best 0.1 %"
"""The most probable architecture of the policy, evaluated or not."""


@dataclass(frozen=True)
class Kind:
    """A kind of landscape: the share of the variance that pairs of choices have, and the noise of the told quality."""

    pairs: float
    noise: float


KINDS: Mapping[str, Kind] = {
    "additive": Kind(0.0, 0.0),
    "pairs": Kind(0.5, 0.0),
    "pairs, noisy": Kind(0.5, 0.5),
}


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        kind: The kind of landscape, a name of :data:`KINDS`.
        optimizer: As on the command line.
        seed: Of the landscape and of the search. Strategies meet the same landscapes.
        budget: Evaluations.
    """

    kind: str
    optimizer: str
    seed: int
    budget: int


def samples_needed(work: Run) -> dict[str, int | None]:
    """How many evaluations it took until an architecture of each target was evaluated, and until the most probable one
    of the policy was one of the best 0.1 %; None where the budget did not suffice. It ends when all are reached."""
    landscape = _landscape(work.kind, work.seed)
    task = landscape_task(landscape, KINDS[work.kind].noise)
    seeds = seed_sequence(work.kind, work.optimizer, work.seed).spawn(2)
    optimizer = optimizer_spec(work.optimizer).build_black_box(task.problem, np.random.default_rng(seeds[0]))
    reward, rng = task.reward(), np.random.default_rng(seeds[1])
    thresholds = {name: landscape.threshold(share) for name, share in TARGETS.items()}
    found: dict[str, int | None] = dict.fromkeys([*TARGETS, *([MODE] if isinstance(optimizer, PolicySearch) else [])])
    steps = 0
    for told in range(1, work.budget + 1):
        asked = optimizer.ask()
        assert asked is not None
        assert not isinstance(asked, Wait)  # it is told everything at once
        query = asked if isinstance(asked, Query) else Query(asked)
        optimizer.receive(query, reward.evaluate(query.architecture, rng=rng), feasible=True)
        quality = landscape.quality(query.architecture)
        for name, threshold in thresholds.items():
            if found[name] is None and quality >= threshold:
                found[name] = told
        if isinstance(optimizer, PolicySearch) and found[MODE] is None and optimizer.policy.steps > steps:
            steps = optimizer.policy.steps
            if landscape.quality(tuple(optimizer.policy.logits.argmax(axis=1))) >= thresholds["best 0.1 %"]:
                found[MODE] = told
        if None not in found.values():
            break
    return found


@lru_cache(maxsize=128)
def _landscape(kind: str, seed: int) -> Landscape:
    return Landscape(KINDS[kind].pairs, np.random.default_rng(seed_sequence("landscape", kind, seed)))
