"""Building decision diagrams from cost factors: see :mod:`naslab.feasibility.diagram`.

A node stands for the earlier decisions that still matter: the options that later tables depend on, the states of rules
that count, and how much of each limit is left. Two remaining amounts share a node if the same completions fit into
both (the interval construction of Abio et al. 2012, "A new look at BDDs for pseudo-Boolean constraints"), so that five
layers of 20 widths, 3.2 million networks, take some 2,000 nodes. Where there would be too many nodes, nodes of similar
cost are merged: the group takes their smallest cost for a superset of the feasible architectures, their largest for a
subset (relaxed and restricted diagrams; Bergman et al. 2016, "Decision Diagrams for Optimization", chapters 4 and 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, prod
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from naslab.feasibility.diagram import Diagram, Layer
from naslab.space import REFUSED, Transition

Table: TypeAlias = tuple[tuple[int, ...], npt.NDArray[Any]]
"""Positions of the choices that a table depends on, and a value for each combination of their options."""

Steps: TypeAlias = Sequence[Transition]
"""The steps of a rule: see :class:`naslab.space.IndexedRule`."""

_Listed: TypeAlias = list[list[npt.NDArray[Any]]]
"""Sorted costs of completions, by limit and key."""

_LISTED = 1 << 16  # at most so many completions of a layer are listed, to merge its nodes


@dataclass(frozen=True)
class Additive:
    """A limit on a sum.

    Attributes:
        terms: Tables that are added up.
        maximum: The largest sum allowed, inclusive.
    """

    terms: tuple[Table, ...]
    maximum: float


class TooLarge(Exception):
    """A diagram would have more nodes in a layer than allowed."""


def build_diagram(
    sizes: Sequence[int],
    limits: Sequence[Additive],
    rules: Sequence[Steps] = (),
    *,
    max_nodes: int = 1 << 18,
    merge: Literal["never", "superset", "subset"] = "never",
) -> Diagram:
    """The diagram of all architectures that are within the limits and keep the rules.

    Args:
        sizes: Number of options of each choice.
        limits: Limits on sums of tables; costs are integers (exact) or floats.
        rules: The steps of each rule.
        max_nodes: Largest number of nodes of one layer.
        merge: What happens above it: ``"never"`` refuses; ``"superset"`` and ``"subset"`` merge nodes so that the
            diagram holds at least, or at most, the feasible architectures.

    Raises:
        TooLarge: More nodes than allowed, and ``merge`` is ``"never"``.
    """
    steps = _steps(sizes, limits, rules)
    rest = _Rest(steps, limits)
    key, cost = np.zeros(1, np.int64), np.zeros((1, len(limits)), _cost_type(limits))
    far = _far(limits)  # of whole costs what is left is a whole number, too
    most = [floor(min(x.maximum, far)) if cost.dtype == np.int64 else x.maximum for x in limits]
    layers: list[Layer] = []
    for number, step in enumerate(steps):
        next_key = step.next_key[key]  # (nodes, options)
        next_cost = cost[:, None, :] + step.cost[key]
        alive = step.allowed[key].copy()
        labels = []
        for i, maximum in enumerate(most):
            label, fits = rest.label(number, i, next_key, maximum - next_cost[:, :, i])
            labels.append(label)
            alive &= fits
        targets, first = _numbered(next_key, labels, alive)
        key, cost = next_key.ravel()[first], next_cost.reshape(next_key.size, len(limits))[first]
        if len(key) > max_nodes:
            if merge == "never":
                raise TooLarge
            targets, key, cost = _merged(targets, key, cost, max_nodes, merge)
        layers.append(Layer(step.choice, targets, len(key)))
    return Diagram(tuple(layers))


def least_sum(sizes: Sequence[int], limit: Additive, rules: Sequence[Steps] = ()) -> float:
    """The smallest sum of a limit's terms over the architectures that keep the rules; ``limit.maximum`` is ignored."""
    steps = _steps(sizes, [limit], rules)
    after = _Rest(steps, [limit]).least[0][steps[0].next_key]
    return float(np.where(steps[0].allowed[:, :, None], steps[0].cost + after, _far([limit])).min())


@dataclass(frozen=True)
class _Step:
    """What deciding one choice does, by ``key``: the number of a combination of earlier options that still matter."""

    choice: int
    next_key: npt.NDArray[np.int64]  # (keys, options)
    cost: npt.NDArray[Any]  # (keys, options, limits)
    allowed: npt.NDArray[np.bool_]  # (keys, options)


@dataclass(frozen=True)
class _Read:
    """One step of a rule: where the state after it is a variable, that follows from the choices that are read and from
    the state before."""

    scope: tuple[int, ...]
    table: npt.NDArray[np.int32]
    after: int | None


def _reads(sizes: Sequence[int], rules: Sequence[Steps]) -> tuple[list[int], list[_Read]]:
    """The sizes of choices and, behind them, of the states of rules; and the steps of all rules over both."""
    sizes, reads = list(sizes), []
    for rule in rules:
        before: tuple[int, ...] = ()
        for step in rule:
            after = len(sizes) if step.after > 1 else None
            sizes += [step.after] * (after is not None)
            reads.append(_Read((*before, *step.scope), step.table if before else step.table[0], after))
            before = () if after is None else (after,)
    return sizes, reads


def _steps(sizes: Sequence[int], limits: Sequence[Additive], rules: Sequence[Steps]) -> list[_Step]:
    choices = len(sizes)
    sizes, reads = _reads(sizes, rules)
    scopes = [set(scope) for limit in limits for scope, _ in limit.terms]
    scopes += [{*read.scope, *(() if read.after is None else (read.after,))} for read in reads]
    order = _order(sizes, choices, scopes, reads)
    steps = []
    known: list[int] = []  # decided choices, and states, that later tables depend on
    later = set(range(len(sizes)))
    for number, choice in enumerate(order):
        here = [*known, choice]
        decided = dict(zip(here, np.indices([sizes[c] for c in here]).reshape(len(here), -1), strict=True))
        rows = len(decided[choice])
        cost = np.zeros((rows, len(limits)), _cost_type(limits))
        for i, limit in enumerate(limits):
            for scope, values in limit.terms:
                if _is_due(scope, choice, here, number):
                    cost[:, i] += values[tuple(decided[c] for c in scope)]
        allowed = np.ones(rows, np.bool_)
        waiting = []
        for read in reads:
            if not decided.keys() >= set(read.scope):
                waiting.append(read)
                continue
            state = read.table[tuple(decided[c] for c in read.scope)]
            allowed &= state != REFUSED
            if read.after is not None:
                decided[read.after] = np.where(state == REFUSED, 0, state)
        reads = waiting
        later -= decided.keys()
        known = [c for c in decided if any(c in scope and scope & later for scope in scopes)]
        key = np.zeros(rows, np.int64)
        for c in known:
            key = key * sizes[c] + decided[c]
        shape = (rows // sizes[choice], sizes[choice])
        steps.append(_Step(choice, key.reshape(shape), cost.reshape(*shape, len(limits)), allowed.reshape(shape)))
    return steps


def _is_due(scope: tuple[int, ...], choice: int, here: Sequence[int], number: int) -> bool:
    """Whether a table can be looked up at this step and not before; constants are looked up at the first step."""
    return (choice in scope and set(scope) <= set(here)) if scope else number == 0


def _order(sizes: Sequence[int], choices: int, scopes: Sequence[set[int]], reads: Sequence[_Read]) -> list[int]:
    """An order in which later tables depend on few decided choices: greedy from every first choice, the best kept.

    Sets of choices and states are written as bits of a number.
    """
    tables = [sum(1 << v for v in scope) for scope in scopes]
    states = [(sum(1 << v for v in read.scope), 1 << read.after) for read in reads if read.after is not None]

    def open_options(decided: int) -> int:
        for read, state in states:  # they follow from what is decided
            if read & ~decided == 0:
                decided |= state
        needed = 0
        for table in tables:
            if table & decided and table & ~decided:
                needed |= table
        needed &= decided
        return prod(size for v, size in enumerate(sizes) if needed >> v & 1)

    def greedy(first: int) -> tuple[int, list[int]]:
        order, decided = [first], 1 << first
        widest = open_options(decided)
        while len(order) < choices:
            left = [c for c in range(choices) if not decided >> c & 1]
            width, best = min((open_options(decided | 1 << c), c) for c in left)
            order.append(best)
            decided |= 1 << best
            widest = max(widest, width)
        return widest, order

    return min(greedy(first) for first in range(choices))[1]


class _Rest:
    """What the decisions after each step can still cost."""

    def __init__(self, steps: Sequence[_Step], limits: Sequence[Additive]) -> None:
        count = len(limits)
        self.least: list[npt.NDArray[Any]] = [np.zeros((1, count), _cost_type(limits))]
        self.most: list[npt.NDArray[Any]] = [np.zeros((1, count), _cost_type(limits))]
        self.listed: list[_Listed | None] = [[[np.zeros(1, _cost_type(limits))]] * count]
        for step in reversed(steps[1:]):
            ways = np.where(step.allowed[:, :, None], 0, 1)
            far = _far(limits)
            least = step.cost + self.least[0][step.next_key]
            most = step.cost + self.most[0][step.next_key]
            self.least.insert(0, np.where(ways, far, least).min(axis=1))
            self.most.insert(0, np.where(ways, -far, most).max(axis=1))
            self.listed.insert(0, _listed(step, self.listed[0], count))

    def label(self, step: int, limit: int, key: npt.NDArray[Any], left: npt.NDArray[Any]) -> tuple[Any, Any]:
        """A number that nodes share exactly if the same completions fit into what is left of a limit, and whether any
        fits. Where completions are too many to list, the number is what is left, as far as completions can use it."""
        listed = self.listed[step]
        if listed is None:
            return np.minimum(left, self.most[step][key, limit]), left >= self.least[step][key, limit]
        label = np.empty(key.shape, np.int64)
        for number, costs in enumerate(listed[limit]):
            inside = key == number
            label[inside] = np.searchsorted(costs, left[inside], side="right")
        return label, label > 0


def _listed(step: _Step, after: _Listed | None, limits: int) -> _Listed | None:
    """For every limit and key the sorted costs of all completions; None where they are too many."""
    if after is None:
        return None
    found: _Listed = []
    for limit in range(limits):
        per_key = []
        for key, nexts in enumerate(step.next_key):
            sums = [
                after[limit][following] + step.cost[key, option, limit]
                for option, following in enumerate(nexts)
                if step.allowed[key, option]
            ]
            if sum(map(len, sums)) * len(step.next_key) > 4 * _LISTED:
                return None
            per_key.append(np.unique(np.concatenate(sums)) if sums else np.zeros(0))
        if sum(map(len, per_key)) > _LISTED:
            return None
        found.append(per_key)
    return found


def _numbered(
    key: npt.NDArray[Any], labels: Sequence[npt.NDArray[Any]], alive: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Number the different nodes; returns targets, and where each node occurs first."""
    where = np.flatnonzero(alive)
    first, number = _dense(key.ravel()[where])
    for label in labels:  # one number per key and labels, limit by limit
        here = label.ravel()[where]
        if not np.issubdtype(here.dtype, np.integer):
            here = _dense(here)[1]
        low = int(here.min(initial=0))
        first, number = _dense(number * (int(here.max(initial=0)) - low + 1) + (here - low))
    targets = np.full(key.size, len(first), np.int32)
    targets[where] = number
    return targets.reshape(key.shape), where[first]


def _dense(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each different value occurs first, in the order of values; and their numbers in this order, ``(N,)``."""
    low = values.min(initial=0)
    span = values.max(initial=0) - low + 1
    if not np.issubdtype(values.dtype, np.integer) or span > 8 * len(values) + (1 << 16):
        _, first, number = np.unique(values, return_index=True, return_inverse=True)
        return first, number
    shifted = values - low  # counted instead of sorted, where that takes little memory
    places = np.full(int(span), len(values), np.int64)
    places[shifted[::-1]] = np.arange(len(values) - 1, -1, -1)  # of equal places the last assignment stays
    occurs = places < len(values)
    return places[occurs], (np.cumsum(occurs) - 1)[shifted]


def _merged(
    targets: npt.NDArray[np.int32],
    key: npt.NDArray[np.int64],
    cost: npt.NDArray[Any],
    most: int,
    merge: Literal["never", "superset", "subset"],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Merge nodes whose costs are close: ranges of equal width, the same number for every key and limit.

    Without a limit nodes differ in what remaining rules look at, and none can be merged.
    """
    if not cost.shape[1]:
        return targets, key, cost
    per_key = max(1, int((most / len(np.unique(key))) ** (1 / cost.shape[1])))
    low, high = cost.min(axis=0), cost.max(axis=0)
    span = np.where(high > low, high - low, 1)
    bins = np.minimum(((cost - low) * (per_key / span)).astype(np.int64), per_key - 1)
    number = key.copy()
    for column in bins.T:
        number = number * per_key + column
    first, group = _dense(number)
    reduced = cost[first]
    (np.minimum if merge == "superset" else np.maximum).at(reduced, group, cost)
    renamed = np.append(group, len(first)).astype(np.int32)  # infeasible options stay infeasible
    return renamed[targets], key[first], reduced


def _cost_type(limits: Sequence[Additive]) -> type[np.generic]:
    whole = all(np.issubdtype(table.dtype, np.integer) for limit in limits for _, table in limit.terms)
    return np.int64 if whole else np.float64


def _far(limits: Sequence[Additive]) -> Any:
    """A number larger than any sum."""
    return 1 + 2 * sum(abs(table).max(initial=0) for limit in limits for _, table in limit.terms)
