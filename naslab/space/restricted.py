"""Spaces of which only listed architectures exist: those that somebody measured.

A benchmark that is a sample of its space knows nothing of the rest. Its rows are then the space: draws are uniform over
rows, and a move leads to another row. Everything else (costs, keys, notation) is that of the whole space.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture
from naslab.space.choice import Architecture
from naslab.space.rules import REFUSED, Transition
from naslab.space.search_space import SearchSpace

_OF_THE_WHOLE = ("size", "_moves", "_elimination", "_networks", "_normal_rules", "_example")
"""What a space has computed of all its architectures, which is not true of some of them."""


def lookup_digest(space: SearchSpace, architecture: Architecture) -> bytes:
    """The first 16 bytes of the SHA-256 of :meth:`~naslab.space.SearchSpace.lookup_key`: what tables store of it."""
    return key_digest(space.lookup_key(architecture))


def key_digest(key: str) -> bytes:
    """The first 16 bytes of a key's SHA-256."""
    return hashlib.sha256(key.encode()).digest()[:16]


def listed(space: SearchSpace, architectures: npt.ArrayLike, digests: npt.ArrayLike | None = None) -> SearchSpace:
    """The same space with these architectures alone.

    - :meth:`~SearchSpace.sample` is uniform over them.
    - :meth:`~SearchSpace.neighbors` are those one move of the whole space away, by key: where a move leads to an
      architecture that is not listed but has the key of one that is (:meth:`~SearchSpace.lookup_key`), to that one.
      Where there is none, they are the nearest: those that differ in the fewest decisions.
    - :meth:`~SearchSpace.architecture` finds by key, too: an isomorphic cell becomes the one that is listed.

    Args:
        space: The whole space, of choices alone.
        architectures: ``(N, choices)`` option indices, all different.
        digests: ``(N, 16)`` bytes, the :func:`lookup_digest` of each where it was computed before. Not used where the
            space has other keys by now.

    Raises:
        InvalidArchitecture: One of them is none of the space.
    """
    rows = np.asarray(architectures, np.int64).reshape(-1, len(space.sizes))
    order = np.lexsort(rows.T[::-1])  # the last choice varies fastest, as in every space
    rows = rows[order]
    for row in rows[~_valid(space, rows)].tolist():
        space.architecture(row)
    whole: Any = type(space)  # mypy takes a class of spaces for something without a hash
    made = object.__new__(_class_of(whole))
    vars(made).update({key: value for key, value in vars(space).items() if key not in _OF_THE_WHOLE})
    made._restrict(space, rows, None if digests is None else np.asarray(digests, np.uint8)[order])
    return cast(SearchSpace, made)


def _valid(space: SearchSpace, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which rows are architectures of a space; those of which this can't be told at once count as none."""
    if space.conditions:
        return np.zeros(len(rows), np.bool_)
    inside = np.all((rows >= 0) & (rows < np.asarray(space.sizes)), axis=1).reshape(-1)
    for rule in space.indexed_rules:
        inside[inside] = rule.hold(rows[inside])
    return np.asarray(inside, np.bool_)


class ListedRule:
    """These rows and no others, as a rule by positions of choices; see :class:`~naslab.space.rules.IndexedRule`.

    Args:
        rows: ``(N, choices)``, in order.
    """

    def __init__(self, rows: npt.NDArray[np.int64], sizes: Sequence[int]) -> None:
        self.rows, self.sizes = rows, sizes
        self.listing = [tuple(row) for row in rows.tolist()]
        self.scope = tuple(range(len(sizes)))
        self.words = f"{len(rows):,} listed architectures"
        self._known = set(self.listing)

    def holds(self, architecture: Sequence[Any]) -> bool:
        """Whether an architecture is listed."""
        return tuple(architecture) in self._known

    def hold(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which rows of ``(N, choices)`` are listed."""
        return np.array([tuple(row) in self._known for row in rows.tolist()], np.bool_)

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """The rows as a tree: a state for every beginning."""
        steps = []
        state = np.zeros(len(self.rows), np.int64)
        for i, size in enumerate(self.sizes):
            longer, after = np.unique(state * size + self.rows[:, i], return_inverse=True)
            if i == len(self.sizes) - 1:
                after = np.zeros_like(after)
            table = np.full((int(state.max()) + 1, size), REFUSED, np.int32)
            table[state, self.rows[:, i]] = after
            steps.append(Transition((i,), table, 1 if i == len(self.sizes) - 1 else len(longer)))
            state = after
        return tuple(steps)


class _Listed:
    """The part of a listed space that differs; the class of the whole space follows in the order of resolution."""

    listed = True
    whole: SearchSpace
    rows: npt.NDArray[np.int64]
    rules: tuple[Any, ...]
    name: str
    sizes: tuple[int, ...]

    def _restrict(self, space: SearchSpace, rows: npt.NDArray[np.int64], digests: npt.NDArray[np.uint8] | None) -> None:
        self.whole, self.rows, self._digests = space, rows, digests
        rule = ListedRule(rows, space.sizes)
        self._rule, self._listing = rule, rule.listing
        self.rules, self._rules, self.indexed_rules = (*space.rules, rule), [rule], [rule]
        self._keys: dict[Architecture, bytes] = {}
        self._near: dict[Architecture, list[Architecture]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return listed, (self.whole, self.rows, self._digests)

    @property
    def size(self) -> int:
        return len(self.rows)

    def is_valid(self, architecture: Architecture) -> bool:
        return self._rule.holds(architecture)

    def architecture(self, values: Sequence[Any]) -> Architecture:
        if type(values) is tuple and self._rule.holds(values) and all(type(option) is int for option in values):
            return values  # nearly always
        given = self.whole.architecture(values)
        if self._rule.holds(given):
            return given
        found = self._equal(given)
        if found is None:
            raise InvalidArchitecture(
                f"{given} is not among the {len(self.rows):,} architectures of {self.name!r} that are listed, nor is "
                "one that is isomorphic to it"
            )
        return found

    def from_string(self, string: str) -> Architecture:
        return self.architecture(self.whole.from_string(string))

    def combinations(self) -> Iterator[tuple[int, ...]]:
        return iter(self._listing)

    def sample(self, rng: np.random.Generator, *, over: Literal["decisions", "networks"] = "decisions") -> Architecture:
        return self._listing[int(rng.random() * len(self._listing))]

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        if architecture not in self._near:
            self._near[architecture] = self._moved(architecture) or self._nearest(architecture)
        return list(self._near[architecture])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        near = self.neighbors(architecture)
        return near[int(rng.random() * len(near))] if near else architecture

    def canonical_classes(self, architectures: Sequence[Architecture]) -> list[str]:
        stored = self._stored
        if stored is None:
            return [self.whole.canonical(a) for a in architectures]
        # Isomorphic architectures are looked up by one key, so that a key of its own is a class of its own.
        key = dict(zip(self._listing, stored, strict=True))
        found = [key[a] for a in architectures]
        times = Counter(found)
        return [self.whole.canonical(a) if times[k] > 1 else k.hex() for a, k in zip(architectures, found, strict=True)]

    def _listed(self) -> Iterator[tuple[int, ...]]:
        return iter(self._listing)

    def _moved(self, architecture: Architecture) -> list[Architecture]:
        """The rows one move away, each once."""
        moves = self.whole.neighbors(architecture)
        found = (a if self._rule.holds(a) else self._equal(a) for a in moves)
        return [a for a in dict.fromkeys(found) if a is not None and a != architecture]

    def _nearest(self, architecture: Architecture) -> list[Architecture]:
        """The other rows that differ in the fewest decisions."""
        differences = (self.rows != np.asarray(architecture)).sum(axis=1)
        differences[differences == 0] = len(self.sizes) + 1
        least = differences.min()
        return [self._listing[i] for i in np.flatnonzero(differences == least).tolist()] if len(self.rows) > 1 else []

    def _equal(self, architecture: Architecture) -> Architecture | None:
        """The first row that has the key of an architecture; without a network that is its own."""
        if not self.whole.has_network:
            return None
        if architecture not in self._keys:
            self._keys[architecture] = lookup_digest(self.whole, architecture)
        return self._by_key.get(self._keys[architecture])

    @cached_property
    def _by_key(self) -> dict[bytes, Architecture]:
        """The first row of every key."""
        found = self._stored or [lookup_digest(self.whole, a) for a in self._listing]
        return dict(zip(reversed(found), reversed(self._listing), strict=True))

    @cached_property
    def _stored(self) -> list[bytes] | None:
        """The rows' digests; None where none were given, or those of other keys."""
        known, ends = self._digests, (0, len(self._listing) - 1)
        if known is None or any(known[i].tobytes() != lookup_digest(self.whole, self._listing[i]) for i in ends):
            return None
        joined = known.tobytes()
        return [joined[i : i + 16] for i in range(0, len(joined), 16)]


@cache
def _class_of(whole: Any) -> type[Any]:
    return type(f"Listed{whole.__name__}", (_Listed, whole), {})
