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
from naslab.space.rules import REFUSED, Automaton, Reading, Rule

Taken: TypeAlias = frozenset[tuple[int, int]]
"""Options, as (position of the choice, option), that are all taken."""


class Conditions:
    """When each decision of a space is active.

    Args:
        paths: By name of a decision, in the space's order, the options that lead to each place where it stands.
        values: The number of values of each decision, in the space's order: of a range of real numbers 1.
        idle: What an inactive entry holds, by position.

    Attributes:
        names: Of the decisions.
        values: As given.
        idle: As given.
        when: By position, the combinations of options one of which must be taken; empty where it is always active.

    Raises:
        InvalidSpace: A decision stands in an option of itself, or only where two options of one choice are taken.
    """

    def __init__(self, paths: Mapping[str, Sequence[Path]], values: Sequence[int], idle: Sequence[Any]) -> None:
        position = {name: i for i, name in enumerate(paths)}
        self.names, self.values, self.idle = tuple(paths), tuple(values), tuple(idle)
        self.when: tuple[tuple[Taken, ...], ...] = tuple(
            _simplified(_checked(name, places, position), self.values) for name, places in paths.items()
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

    def normal_forms(self) -> list[Automaton]:
        """Which combinations are normal, as rules: what is not active holds option 0."""
        rules = []
        for i in self._conditional:
            places = [Reading(tuple(self.names[p] for p, _ in taken), (frozenset({tuple(o for _, o in taken)}),))
                      for taken in map(sorted, self.when[i])]  # fmt: skip
            others = frozenset((option,) for option in range(1, self.values[i]))
            entry = Reading((self.names[i],), (frozenset(), others))
            # State 1: a place is reached. Symbol 2: the entry is not at rest.
            rules.append(Automaton((*places, entry), ((0, 1, REFUSED), (1, 1, 1)), frozenset({0, 1}), "normal form"))
        return rules

    def before_normalising(self, rule: Rule | Automaton) -> Rule | Automaton:
        """A rule on normal forms as a rule on what becomes a normal form: it reads also what switches choices off.

        Draws are made entry by entry and then normalised; this is the rule that they keep.
        """
        position = {name: i for i, name in enumerate(self.names)}
        if not any(self.when[position[name]] for name in rule.scope if name in position):
            return rule
        readings = tuple(self._wider(reading, position) for reading in rule.readings)
        return Automaton(readings, rule.moves, rule.accepting, rule.words)

    def _wider(self, reading: Reading, position: Mapping[str, int]) -> Reading:
        read = [position[name] for name in reading.scope]
        parents = sorted({p for i in read for taken in self.when[i] for p, _ in taken} - {*read})
        scope = [*read, *parents]
        symbols: list[set[tuple[int, ...]]] = [set() for _ in reading.symbols]
        for options in itertools.product(*(range(self.values[i]) for i in scope)):
            taken = dict(zip(scope, options, strict=True))
            normal = tuple(taken[i] if not self.when[i] or _reached(self.when[i], taken) else 0 for i in read)
            for found, listed in zip(symbols, reading.symbols, strict=True):
                if normal in listed:
                    found.add(options)
        return Reading(tuple(self.names[i] for i in scope), tuple(map(frozenset, symbols)))


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
