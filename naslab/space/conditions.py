"""Which decisions are active: those that stand in an option are decisions only where that option is taken.

A decision may stand in several places and is active where one of them is reached. Inactive entries of an architecture
hold a fixed value (option 0, the lower bound), so that equal networks are equal tuples: the *normal form*.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from naslab.errors import InvalidSpace
from naslab.space.choice import Architecture, Path

Taken: TypeAlias = frozenset[tuple[int, int]]
"""Options, as (position of the choice, option), that are all taken."""
IndexedRule: TypeAlias = tuple[tuple[int, ...], frozenset[tuple[int, ...]]]
"""Positions of choices, and the combinations of options allowed there."""


class Conditions:
    """When each decision of a space is active.

    Args:
        paths: By name of a decision, in the space's order, the options that lead to each place where it stands.
        sizes: The number of options of each choice, in the space's order; ranges, which come after them, are left out.
        idle: What an inactive entry holds, by position.

    Attributes:
        when: By position, the combinations of options one of which must be taken; empty where it is always active.

    Raises:
        InvalidSpace: A decision stands in an option of itself, or only where two options of one choice are taken.
    """

    def __init__(self, paths: Mapping[str, Sequence[Path]], sizes: Sequence[int], idle: Sequence[Any]) -> None:
        position = {name: i for i, name in enumerate(paths)}
        self.idle = tuple(idle)
        self.when: tuple[tuple[Taken, ...], ...] = tuple(
            _simplified(_checked(name, places, position), sizes) for name, places in paths.items()
        )
        self._conditional = [i for i, when in enumerate(self.when) if when]

    def __bool__(self) -> bool:
        return bool(self._conditional)

    def active(self, architecture: Architecture) -> tuple[bool, ...]:
        """By position, whether the entry is a decision."""
        return tuple(not when or _reached(when, architecture) for when in self.when)

    def normal(self, architecture: Architecture) -> Architecture:
        """The architecture with its inactive entries at rest."""
        if not self._conditional:
            return architecture
        entries = list(architecture)
        for i in self._conditional:
            if not _reached(self.when[i], architecture):
                entries[i] = self.idle[i]
        return tuple(entries)

    def parents(self, positions: Iterable[int]) -> tuple[int, ...]:
        """The choices on which the activity of these entries depends, increasing."""
        return tuple(sorted({i for p in positions for taken in self.when[p] for i, _ in taken}))

    def normal_forms(self, sizes: Sequence[int]) -> list[IndexedRule]:
        """Which combinations are normal, as rules on choices: an inactive one holds option 0."""
        rules = []
        for i in self._conditional:
            if i >= len(sizes) or sizes[i] == 1:
                continue
            scope = (*self.parents([i]), i)
            allowed = set()
            for options in itertools.product(*(range(sizes[p]) for p in scope)):
                if options[-1] == 0 or _reached(self.when[i], dict(zip(scope, options, strict=True))):
                    allowed.add(options)
            rules.append((scope, frozenset(allowed)))
        return rules

    def before_normalising(self, rule: IndexedRule, sizes: Sequence[int]) -> IndexedRule:
        """A rule on normal forms as a rule on what becomes a normal form: the choices that switch others off join in.

        Draws are made entry by entry and then normalised; this is the rule that they keep.
        """
        scope, allowed = rule
        wider = (*scope, *(p for p in self.parents(scope) if p not in scope))
        if len(wider) == len(scope):
            return rule
        found = set()
        for options in itertools.product(*(range(sizes[p]) for p in wider)):
            taken = dict(zip(wider, options, strict=True))
            if tuple(taken[p] if self._is_active(p, taken) else self.idle[p] for p in scope) in allowed:
                found.add(options)
        return wider, frozenset(found)

    def _is_active(self, position: int, taken: Mapping[int, int]) -> bool:
        return not self.when[position] or _reached(self.when[position], taken)


def _reached(when: Iterable[Taken], architecture: Any) -> bool:
    return any(all(architecture[i] == option for i, option in taken) for taken in when)


def _checked(name: str, places: Sequence[Path], position: Mapping[str, int]) -> list[Taken]:
    found = []
    for path in places:
        if any(other == name for other, _ in path):
            raise InvalidSpace(f"{name!r} stands in an option of itself: what it decides would depend on it")
        taken = dict(path)
        if all(taken[other] == option for other, option in path):  # else it can never be reached
            found.append(frozenset((position[other], option) for other, option in path))
    if not found:
        raise InvalidSpace(
            f"{name!r} stands only where two options of one choice are taken at once: it is never active"
        )
    return found


def _simplified(places: Sequence[Taken], sizes: Sequence[int]) -> tuple[Taken, ...]:
    """The same condition in fewer words; nothing where it always holds."""
    kept = set(places)
    changed = True
    while changed:
        changed = False
        for taken in list(kept):
            for i, _ in taken:
                rest = frozenset(pair for pair in taken if pair[0] != i)
                if rest not in kept and all(rest | {(i, option)} in kept for option in range(sizes[i])):
                    kept.add(rest)  # whatever choice i takes
                    changed = True
    shortest = [taken for taken in kept if not any(other < taken for other in kept)]
    return () if frozenset() in kept else tuple(sorted(shortest, key=lambda taken: (len(taken), sorted(taken))))
