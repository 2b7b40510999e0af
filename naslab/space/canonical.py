"""A key that two data flows share exactly if they are isomorphic.

Colour refinement tells tensors apart by their labels, sources and consumers. A tensor whose colour is its own has its
place. The others form connected components: each component is put in order by itself, and components are then sorted by
what they look like, so that identical parallel branches cost no more than different ones. Only in a component in which
every colour is shared, one tensor is individualised, each of one colour in turn, and the smallest result is taken
(McKay & Piperno 2014, "Practical graph isomorphism, II", section 2; components take the place of their automorphisms).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from naslab.space.dataflow import DataFlow, Token

_Colours: TypeAlias = Mapping[Token, int]
_Form: TypeAlias = tuple[Any, ...]
"""Of tensors in order: the colour of each, and which of them are its sources, how often."""


def certificate(flow: DataFlow) -> str:
    """A string that is equal for two data flows exactly if they are isomorphic."""
    order = _Canonical(flow).order
    place = {token: i for i, token in enumerate(order)}
    lines = []
    for token in order:
        made_from = sorted((place[s], n) for s, n in flow.sources[token].items())
        terms = " + ".join(f"{n}*{i}" if n > 1 else str(i) for i, n in made_from)
        lines.append(f"{place[token]}={flow.labels[token]}({terms})")
    return "; ".join(lines)


class _Canonical:
    """Tensors in an order that depends on the isomorphism class alone."""

    def __init__(self, flow: DataFlow) -> None:
        self.sources = flow.sources
        self.consumers: list[dict[Token, int]] = [{} for _ in flow.labels]
        for token, made_from in enumerate(flow.sources):
            for source, times in made_from.items():
                self.consumers[source][token] = times
        everything = range(len(flow.labels))
        colours = self._refined(everything, self._swept(flow.labels))
        self.order = self._sorted(everything, colours)

    def _swept(self, labels: Sequence[str]) -> _Colours:
        """Colours by what a tensor comes from, then by what it goes to: two passes tell most of them apart."""
        names = _ranks(dict(enumerate(labels)))
        down = self._pass(names, self.sources, range(len(labels)))
        return self._pass(down, self.consumers, range(len(labels) - 1, -1, -1))

    def _pass(
        self, colours: _Colours, neighbours: Sequence[Mapping[Token, int]], order: Iterable[Token]
    ) -> dict[Token, int]:
        """Colours by those of all neighbours on one side, level by level, so that each is looked at once."""
        level: dict[Token, int] = {}
        levels: list[list[Token]] = []
        for token in order:
            level[token] = 1 + max((level[n] for n in neighbours[token]), default=-1)
            if level[token] == len(levels):
                levels.append([])
            levels[level[token]].append(token)
        found: dict[Token, int] = {}
        for members in levels:
            keys = {t: (colours[t], _seen(neighbours[t], found)) for t in members}
            first = len(found)
            found |= {t: first + rank for t, rank in _ranks(keys).items()}
        return found

    def _refined(self, members: Iterable[Token], colours: _Colours) -> _Colours:
        """The coarsest stable colouring of these tensors that refines the given one; other tensors do not count."""
        inside = set(members)
        sources = {t: {s: n for s, n in self.sources[t].items() if s in inside} for t in inside}
        consumers = {t: {c: n for c, n in self.consumers[t].items() if c in inside} for t in inside}
        number = len({colours[t] for t in inside})
        while number < len(inside):
            keys = {t: (colours[t], _seen(sources[t], colours), _seen(consumers[t], colours)) for t in inside}
            colours = _ranks(keys)
            if len(set(colours.values())) == number:
                break
            number = len(set(colours.values()))
        return colours

    def _sorted(self, members: Iterable[Token], colours: _Colours) -> list[Token]:
        """These tensors, of a stable colouring, in their order."""
        members = list(members)
        counts = Counter(colours[t] for t in members)
        tied = [t for t in members if counts[colours[t]] > 1]
        components = [self._component(part, colours, whole=len(part) == len(members)) for part in self._parts(tied)]
        components.sort(key=lambda each: each[0])
        place = {t: i for i, t in enumerate(t for _, order in components for t in order)}
        return sorted(members, key=lambda t: (colours[t], place.get(t, 0)))

    def _parts(self, members: Sequence[Token]) -> list[list[Token]]:
        """Connected components."""
        left, parts = set(members), []
        for token in members:
            if token not in left:
                continue
            left.discard(token)
            part = [token]
            for t in part:
                for other in (*self.sources[t], *self.consumers[t]):
                    if other in left:
                        left.discard(other)
                        part.append(other)
            parts.append(part)
        return parts

    def _component(self, members: Sequence[Token], colours: _Colours, *, whole: bool) -> tuple[_Form, list[Token]]:
        """What a component looks like, and its tensors in order."""
        if not whole:
            order = self._sorted(members, colours)
            return self._form(order, colours), order
        counts = Counter(colours[t] for t in members)
        colour = min(counts, key=lambda each: (counts[each], each))
        # Tensors with the same sources and the same consumers can be swapped: one of them stands for all.
        same = {self._surroundings(t): t for t in members if colours[t] == colour}
        found = []
        for chosen in same.values():
            apart = {t: 2 * colours[t] - (t == chosen) for t in members}
            order = self._sorted(members, self._refined(members, apart))
            found.append((self._form(order, colours), order))
        return min(found)

    def _surroundings(self, token: Token) -> tuple[Any, Any]:
        return frozenset(self.sources[token].items()), frozenset(self.consumers[token].items())

    def _form(self, order: Sequence[Token], colours: _Colours) -> _Form:
        place = {token: i for i, token in enumerate(order)}
        return tuple(
            (colours[t], tuple(sorted((place[s], n) for s, n in self.sources[t].items() if s in place))) for t in order
        )


def _seen(neighbours: Mapping[Token, int], colours: _Colours) -> tuple[tuple[int, int], ...]:
    """Colours of neighbours, with how often each is one."""
    return tuple(sorted((colours[t], n) for t, n in neighbours.items()))


def _ranks(keys: Mapping[Token, Any]) -> dict[Token, int]:
    rank = {key: i for i, key in enumerate(sorted(set(keys.values())))}
    return {token: rank[key] for token, key in keys.items()}
