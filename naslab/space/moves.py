"""What is one move away from an architecture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from naslab.space.choice import Architecture, Range
from naslab.space.conditions import Conditions
from naslab.space.rules import IndexedRule

STEPS = (-0.2, -0.05, 0.05, 0.2)
"""How far a range moves among the neighbours, on its scale from 0 to 1."""
SPREAD = 0.2
"""Standard deviation of its mutation, on the same scale."""


class _Space(Protocol):
    """What moves need to know of a space."""

    @property
    def sizes(self) -> tuple[int, ...]: ...
    @property
    def ranges(self) -> tuple[Range, ...]: ...
    @property
    def conditions(self) -> Conditions: ...
    @property
    def indexed_rules(self) -> Sequence[IndexedRule]: ...
    def is_valid(self, architecture: Architecture) -> bool: ...


class Moves:
    """Moves within a space: one decision changed, or two choices together where rules forbid each change alone.

    Only active decisions move. Choices that become active take option 0, ranges their middle. Ranges move by
    :data:`STEPS`.
    """

    def __init__(self, space: _Space) -> None:
        self.space = space
        self._plain = not (space.indexed_rules or space.ranges or space.conditions)
        self._steps = [(i, step) for i, size in enumerate(space.sizes) for step in range(1, size)]

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """All valid architectures one move away."""
        if self._plain:
            return [
                (*architecture[:i], option, *architecture[i + 1 :])
                for i, size in enumerate(self.space.sizes)
                for option in range(size)
                if option != architecture[i]
            ]
        return [found for _, found in self._moves(architecture)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the moves, in which a range moves by a normal draw; the architecture itself if none."""
        if self._plain:
            if not self._steps:
                return architecture
            position, step = self._steps[int(rng.random() * len(self._steps))]
            option = (architecture[position] + step) % self.space.sizes[position]
            return (*architecture[:position], option, *architecture[position + 1 :])
        moves = self._moves(architecture)
        if not moves:
            return architecture
        position, found = moves[int(rng.random() * len(moves))]
        of_range = position - len(self.space.sizes)
        if of_range < 0:
            return found
        each = self.space.ranges[of_range]
        moved = each.from_unit(each.to_unit(architecture[position]) + SPREAD * rng.standard_normal())
        return (*architecture[:position], moved, *architecture[position + 1 :])

    def _moves(self, architecture: Architecture) -> list[tuple[int, Architecture]]:
        """The position that moves (the first of two), and where it leads."""
        space, active = self.space, self.space.conditions.active(architecture)
        singles = {
            (i, option): self._after(architecture, active, {i: option})
            for i, size in enumerate(space.sizes)
            if active[i]
            for option in range(size)
            if option != architecture[i]
        }
        refused = {move for move, a in singles.items() if not space.is_valid(a)} if space.indexed_rules else set()
        found = [(i, a) for (i, option), a in singles.items() if (i, option) not in refused]
        if refused:
            found += [(i, a) for i, a in self._double_moves(architecture, active, refused) if space.is_valid(a)]
        for i, each in enumerate(space.ranges, start=len(space.sizes)):
            if active[i]:
                place = each.to_unit(architecture[i])
                values = dict.fromkeys(each.from_unit(place + step) for step in STEPS)
                found += [(i, (*architecture[:i], v, *architecture[i + 1 :])) for v in values if v != architecture[i]]
        return found

    def _double_moves(
        self, architecture: Architecture, active: Sequence[bool], refused: set[tuple[int, int]]
    ) -> Iterator[tuple[int, Architecture]]:
        moved = {i for i, _ in refused}
        scopes = [sorted(moved.intersection(rule.scope)) for rule in self.space.indexed_rules]
        pairs = sorted({pair for scope in scopes for pair in itertools.combinations(scope, 2)})
        for i, j in pairs:
            for first, second in itertools.product(range(self.space.sizes[i]), range(self.space.sizes[j])):
                if (i, first) in refused and (j, second) in refused:
                    yield i, self._after(architecture, active, {i: first, j: second})

    def _after(self, architecture: Architecture, active: Sequence[bool], changes: dict[int, int]) -> Architecture:
        """The architecture with some options changed."""
        entries = list(architecture)
        for i, option in changes.items():
            entries[i] = option
        conditions = self.space.conditions
        if not conditions:
            return tuple(entries)
        now = conditions.active(tuple(entries))
        for i, each in enumerate(self.space.ranges, start=len(self.space.sizes)):
            if now[i] and not active[i]:
                entries[i] = each.middle
        return tuple(
            entry if is_active else conditions.idle[i]
            for i, (entry, is_active) in enumerate(zip(entries, now, strict=True))
        )
