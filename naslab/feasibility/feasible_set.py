"""The architectures that meet a predicate, without a policy: uniform draws, and moves."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from naslab.errors import InvalidValue
from naslab.feasibility.enumerated import ENUMERABLE
from naslab.space import Architecture, SearchSpace

TRIES = 20_000


class FeasibleSet:
    """The valid architectures of a space that satisfy a predicate: uniform draws, and moves.

    Args:
        space: The search space.
        is_feasible: Whether an architecture meets the limits.
        description: The limits in words, for messages.
    """

    def __init__(self, space: SearchSpace, is_feasible: Callable[[Architecture], bool], description: str) -> None:
        self.space, self.is_feasible, self.description = space, is_feasible, description

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random feasible architecture: uniform over the feasible, or over decisions where some are conditional, as
        :meth:`naslab.space.SearchSpace.sample`.

        Raises:
            InvalidValue: There is none, or none among 20,000 draws from a space too large to enumerate.
        """
        small = self.space.size <= ENUMERABLE and not self.space.conditions and not self.space.ranges
        if small or self.space.listed:
            return self._all[int(rng.random() * len(self._all))]
        for _ in range(TRIES):
            architecture = self.space.sample(rng)
            if self.is_feasible(architecture):
                return architecture
        raise InvalidValue(f"none of {TRIES:,} random architectures of {self.space.name!r} has {self.description}")

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The feasible neighbours of an architecture."""
        return [a for a in self.space.neighbors(architecture) if self.is_feasible(a)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the feasible neighbours; a feasible sample where there are none."""
        neighbors = self.neighbors(architecture)
        return neighbors[int(rng.random() * len(neighbors))] if neighbors else self.sample(rng)

    @cached_property
    def _all(self) -> list[Architecture]:
        found = [a for a in self.space.architectures() if self.is_feasible(a)]
        if not found:
            raise InvalidValue(f"no architecture of {self.space.name!r} has {self.description}")
        return found
