"""Which architectures are valid, as data: counting and sampling them exactly by variable elimination.

A rule is a scope and the combinations allowed in it. Rejection sampling would be hopeless where rules are strict
(DARTS' rule of two inputs per node accepts 6e-8 of all combinations). Instead, the choices are eliminated one by
one, which gives the exact number of valid architectures and exactly uniform samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from naslab.space.choice import Architecture


@dataclass(frozen=True)
class Rule:
    """A constraint on choices: only these combinations of options are allowed in this scope.

    Args:
        scope: Names of choices.
        allowed: Combinations of option indices, one index per name in ``scope``.
    """

    scope: tuple[str, ...]
    allowed: frozenset[tuple[int, ...]]


@dataclass(frozen=True)
class _Table:
    scope: tuple[int, ...]  # increasing choice positions, one axis each
    counts: np.ndarray[Any, Any]  # Python integers: counts may pass 2**64


class Elimination:
    """Exact counts over the valid architectures.

    Args:
        sizes: Number of options of each choice.
        rules: Scopes as positions, with the allowed combinations.
    """

    def __init__(self, sizes: Sequence[int], rules: Sequence[tuple[tuple[int, ...], frozenset[tuple[int, ...]]]]):
        self.sizes = tuple(sizes)
        tables = [self._indicator(scope, allowed) for scope, allowed in rules]
        self._steps: list[tuple[int, _Table]] = []
        remaining = set(range(len(self.sizes)))
        self.total = 1
        while remaining:
            # Greedy: eliminate next the choice that is tied to the fewest others.
            variable = min(remaining, key=lambda v: (len(_neighbourhood(v, tables)), v))
            remaining.remove(variable)
            touching = [t for t in tables if variable in t.scope]
            tables = [t for t in tables if variable not in t.scope]
            joint = self._product(tuple(sorted(_neighbourhood(variable, touching) | {variable})), touching)
            self._steps.append((variable, joint))
            axis = joint.scope.index(variable)
            summed = _Table(joint.scope[:axis] + joint.scope[axis + 1 :], np.asarray(joint.counts.sum(axis=axis)))
            if summed.scope:
                tables.append(summed)
            else:
                self.total *= int(summed.counts[()])

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniformly random valid architecture."""
        values = [0] * len(self.sizes)
        for variable, joint in reversed(self._steps):
            index = tuple(slice(None) if v == variable else values[v] for v in joint.scope)
            weights = joint.counts[index]
            threshold = rng.random() * float(weights.sum())
            cumulative = 0.0
            for option, weight in enumerate(weights):
                cumulative += float(weight)
                if weight:
                    values[variable] = option
                    if cumulative > threshold:
                        break
        return tuple(values)

    def _indicator(self, scope: tuple[int, ...], allowed: frozenset[tuple[int, ...]]) -> _Table:
        order = sorted(range(len(scope)), key=lambda i: scope[i])
        counts = np.zeros([self.sizes[scope[i]] for i in order], dtype=object)
        for combination in allowed:
            counts[tuple(combination[i] for i in order)] = 1
        return _Table(tuple(scope[i] for i in order), counts)

    def _product(self, scope: tuple[int, ...], tables: list[_Table]) -> _Table:
        product = np.ones([self.sizes[v] for v in scope], dtype=object)
        for table in tables:
            axes = [self.sizes[v] if v in table.scope else 1 for v in scope]
            product = product * table.counts.reshape(axes)
        return _Table(scope, product)


def enumerate_valid(
    sizes: Sequence[int], rules: Sequence[tuple[tuple[int, ...], frozenset[tuple[int, ...]]]]
) -> Iterator[Architecture]:
    """All valid architectures; the last choice varies fastest.

    A partial combination is given up as soon as some rule allows no combination that agrees with it.

    Args:
        sizes: Number of options of each choice.
        rules: Scopes as positions, with the allowed combinations.
    """
    checks: list[list[tuple[tuple[int, ...], set[tuple[int, ...]]]]] = [[] for _ in sizes]
    for scope, allowed in rules:
        for position in scope:
            kept = [i for i, other in enumerate(scope) if other <= position]
            begun = {tuple(combination[i] for i in kept) for combination in allowed}
            checks[position].append((tuple(scope[i] for i in kept), begun))

    def extended(prefix: Architecture) -> Iterator[Architecture]:
        if len(prefix) == len(checks):
            yield prefix
            return
        for option in range(sizes[len(prefix)]):
            longer = (*prefix, option)
            if all(tuple(longer[i] for i in scope) in begun for scope, begun in checks[len(prefix)]):
                yield from extended(longer)

    return extended(())


def _neighbourhood(variable: int, tables: list[_Table]) -> set[int]:
    return {v for t in tables if variable in t.scope for v in t.scope} - {variable}
