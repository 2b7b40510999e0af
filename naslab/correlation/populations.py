"""The architectures on which scores are compared. Correlations of two populations can't be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from naslab.errors import InvalidValue, UnknownName
from naslab.feasibility import ENUMERABLE
from naslab.running import seed_sequence
from naslab.space import Architecture, SearchSpace, resolve
from naslab.tasks import Task

POPULATIONS: Mapping[str, str] = {
    "all": "all architectures",
    "canonical": "one architecture of each isomorphism class",
    "no-dead-edges": "architectures without dead edges: all operations but zeros lie between input and output",
}
"""``no-dead-edges`` has 9,445 members on NAS-Bench-201, the number in the literature (GRAF; VKDNW): the cell that
consists of zeros is one of them, although it computes a constant."""
_NAMED = {
    "all": "architectures",
    "canonical": "isomorphism classes, one architecture of each",
    "no-dead-edges": "architectures without dead edges",
}


@dataclass(frozen=True)
class Population:
    """Architectures, with a description.

    Attributes:
        architectures: In the order in which they are scored.
        size: How many architectures they were drawn from; None where these were not counted.
        text: The description, for reports.
    """

    architectures: tuple[Architecture, ...]
    size: int | None
    text: str


def draw(task: Task, kind: str, count: int | None, at_most: bool, seed: int) -> Population:
    """Draw uniformly, without repetition; a larger sample with the same seed contains the smaller one.

    Architectures without a finite truth in a table are left out.

    Args:
        task: Whose space is drawn from.
        kind: See :data:`POPULATIONS`.
        count: How many; None for the whole population.
        at_most: Whether to take all where there are fewer.
        seed: Of the sample.

    Raises:
        UnknownName: There is no such population.
        InvalidValue: More than there are, or a space that is too large to be counted.
    """
    space = task.problem.space
    if kind not in POPULATIONS:
        raise UnknownName(kind, POPULATIONS, of="populations")
    if count is not None and count < 3:
        raise InvalidValue(f"{count} architectures. Allowed: from 3, or all")
    rng = np.random.default_rng(seed_sequence("population", space.name, kind, seed))
    if space.size > ENUMERABLE and not space.listed:
        return _sampled(space, kind, count, rng)
    truths = getattr(task.truth, "values", None)
    members = _members(space, kind)
    if isinstance(truths, Mapping):
        members = [a for a in members if np.isfinite(truths.get(a, np.nan))]
    if count is None or count == len(members) or (at_most and count > len(members)):
        return Population(tuple(members), len(members), f"all {len(members):,} {_NAMED[kind]}")
    if count > len(members):
        raise InvalidValue(f"{count:,} of {len(members):,} {_NAMED[kind]}. Fix: give fewer, or all")
    chosen = rng.permutation(len(members))[:count]
    text = f"{count:,} drawn from {len(members):,} {_NAMED[kind]}"
    return Population(tuple(members[i] for i in chosen), len(members), text)


def has_no_dead_edge(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether every operation other than zero lies on a path from the input to the output, in every cell."""
    decisions = space.decisions(architecture)
    for cell in space.cells:
        alive: nx.DiGraph[Any] = nx.DiGraph()
        alive.add_nodes_from(cell)
        edges: Any = cell.edges(data="op")
        alive.add_edges_from((u, v) for u, v, op in edges if not resolve(op, decisions).is_zero)
        first = {node for node in cell if not cell.in_degree(node)}
        last = {node for node in cell if not cell.out_degree(node)}
        reached = first.union(*(nx.descendants(alive, node) for node in first))
        reaching = last.union(*(nx.ancestors(alive, node) for node in last))
        if not all(u in reached and v in reaching for u, v in alive.edges):
            return False
    return True


def _members(space: SearchSpace, kind: str) -> list[Architecture]:
    everything = list(space.architectures())
    if kind == "canonical":
        classes = space.canonical_classes(everything)
        return list(dict(zip(reversed(classes), reversed(everything), strict=True)).values())[::-1]
    return [a for a in everything if kind == "all" or has_no_dead_edge(space, a)]


def _sampled(space: SearchSpace, kind: str, count: int | None, rng: np.random.Generator) -> Population:
    if count is None or kind != "all":
        raise InvalidValue(
            f"space {space.name!r} has {space.size:.3g} architectures: give a number of them, of population 'all'"
        )
    chosen: dict[Architecture, None] = {}
    while len(chosen) < count:
        chosen[space.sample(rng)] = None
    return Population(tuple(chosen), None, f"{count:,} drawn from {space.size:.3g} architectures")
