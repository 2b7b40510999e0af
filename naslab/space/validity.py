"""Which architectures are valid: counting and sampling them exactly by variable elimination, and listing them.

Rejection sampling would be hopeless where rules are strict (DARTS' rule of two inputs per node accepts 6e-8 of all
combinations). Instead, the choices are eliminated one by one, which gives the exact number of valid architectures and
exactly uniform samples. The states of a rule that counts are eliminated like choices: they follow from the choices, so
that they neither add nor weigh architectures.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from naslab.space.choice import Architecture
from naslab.space.rules import REFUSED, IndexedRule


@dataclass(frozen=True)
class _Table:
    scope: tuple[int, ...]  # increasing positions, one axis each
    counts: np.ndarray[Any, Any]  # Python integers: counts may pass 2**64


class Elimination:
    """Exact counts over the valid architectures.

    Args:
        sizes: Number of options of each choice.
        rules: Rules on these choices.
    """

    def __init__(self, sizes: Sequence[int], rules: Sequence[IndexedRule]) -> None:
        self.choices = len(sizes)
        self.sizes = list(sizes)  # behind the choices the states between the steps of rules
        tables = [table for rule in rules for table in self._indicators(rule)]
        touching = [[t for t in tables if v in t.scope] for v in range(len(self.sizes))]
        self._steps: list[tuple[int, _Table]] = []
        self.total = 1
        queue = [(len(_tied(v, touching[v])), v) for v in range(len(self.sizes))]
        heapq.heapify(queue)
        remaining = set(range(len(self.sizes)))
        while queue:
            # Greedy: eliminate next the choice that is tied to the fewest others.
            ties, variable = heapq.heappop(queue)
            tied = _tied(variable, touching[variable])
            if variable not in remaining or ties != len(tied):
                continue  # an entry from before its ties changed
            remaining.remove(variable)
            joint = self._product(tuple(sorted({*tied, variable})), touching[variable])
            self._steps.append((variable, joint))
            axis = joint.scope.index(variable)
            summed = _Table(joint.scope[:axis] + joint.scope[axis + 1 :], np.asarray(joint.counts.sum(axis=axis)))
            for v in summed.scope:
                touching[v] = [*(t for t in touching[v] if variable not in t.scope), summed]
                heapq.heappush(queue, (len(_tied(v, touching[v])), v))
            if not summed.scope:
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
        return tuple(values[: self.choices])

    def _indicators(self, rule: IndexedRule) -> Iterator[_Table]:
        """Where each step of a rule leads, as tables of zeros and ones over choices and states."""
        before: tuple[int, ...] = ()  # the variable of the state, where there is more than one
        for step in rule.transitions:
            after = (len(self.sizes),) if step.after > 1 else ()
            self.sizes += [step.after] * len(after)
            scope = (*before, *step.scope, *after)
            leads = (step.table[..., None] == np.arange(step.after)).reshape([self.sizes[v] for v in scope])
            order = sorted(range(len(scope)), key=scope.__getitem__)
            counts = leads.transpose(order).astype(np.int64).astype(object)
            yield _Table(tuple(scope[i] for i in order), counts)
            before = after

    def _product(self, scope: tuple[int, ...], tables: list[_Table]) -> _Table:
        product = np.ones([self.sizes[v] for v in scope], dtype=object)
        for table in tables:
            axes = [self.sizes[v] if v in table.scope else 1 for v in scope]
            product = product * table.counts.reshape(axes)
        return _Table(scope, product)


def enumerate_valid(sizes: Sequence[int], rules: Sequence[IndexedRule]) -> Iterator[Architecture]:
    """All valid architectures; the last choice varies fastest.

    A partial combination is given up as soon as some rule accepts nothing that agrees with it, as far as its steps up
    to the first one tell that can't be read to its end yet.

    Args:
        sizes: Number of options of each choice.
        rules: Rules on these choices.
    """
    progress = [[_Progress(rule, p) for rule in rules] for p in range(len(sizes))]

    def extended(prefix: Architecture, states: tuple[int, ...]) -> Iterator[Architecture]:
        if len(prefix) == len(sizes):
            yield prefix
            return
        for option in range(sizes[len(prefix)]):
            longer = (*prefix, option)
            following = tuple(p(longer, state) for p, state in zip(progress[len(prefix)], states, strict=True))
            if REFUSED not in following:
                yield from extended(longer, following)

    return extended((), (0,) * len(rules))


class _Progress:
    """How far deciding one more choice takes a rule, choices being decided in their order.

    Args:
        rule: The rule.
        position: Of the choice that is decided.
    """

    def __init__(self, rule: IndexedRule, position: int) -> None:
        last = np.maximum.accumulate([max(step.scope, default=-1) for step in rule.transitions])
        self.steps = [step for step, end in zip(rule.transitions, last, strict=True) if end == position]
        rest = [step for step, end in zip(rule.transitions, last, strict=True) if end > position]
        self.known: tuple[int, ...] = ()
        self.open = np.ones(1, np.bool_)
        if rest and position in rest[0].scope:
            self.known = tuple(i for i in rest[0].scope if i <= position)
            undecided = tuple(axis for axis, i in enumerate(rest[0].scope, start=1) if i > position)
            self.open = (rest[0].table != REFUSED).any(axis=undecided)

    def __call__(self, prefix: Architecture, state: int) -> int:
        """The state after what can be read now; REFUSED where nothing that begins so is accepted."""
        for step in self.steps:
            state = int(step.table[(state, *[prefix[i] for i in step.scope])])
            if state == REFUSED:
                return REFUSED
        if self.known and not self.open[(state, *[prefix[i] for i in self.known])]:
            return REFUSED
        return state


def _tied(variable: int, tables: Sequence[_Table]) -> set[int]:
    """The variables that share a table with one."""
    return {v for t in tables for v in t.scope} - {variable}
