"""Whole numbers that depend on choices, and the shapes that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace
from naslab.ops import Shape
from naslab.space.many import Decisions, Many, many

LARGEST = 1 << 22
"""A table has at most so many entries."""


@dataclass(frozen=True, eq=False)
class Table:
    """A whole number for each combination of options.

    Attributes:
        scope: Names of the choices that it depends on, in the space's order.
        values: One axis for each of them.
    """

    scope: tuple[str, ...]
    values: npt.NDArray[np.int64]

    @property
    def largest(self) -> int:
        """The largest of the numbers."""
        return int(self.values.max())

    def at(self, decisions: Decisions) -> Any:
        """The number after the given decisions: option indices by choice name, or arrays of them."""
        values = self.values[tuple(_plain(decisions[name]) for name in self.scope)]
        return many(values) if values.ndim else int(values)

    def equals(self, other: Table) -> bool:
        """Whether it is the same number for each combination."""
        if not self.scope:
            return not other.scope and int(self.values) == int(other.values)
        return self.scope == other.scope and bool((self.values == other.values).all())


@dataclass(frozen=True, eq=False)
class Features:
    """The inferred shape of a node or of what an edge delivers: each side may depend on choices.

    Attributes:
        sides: The number of features, then the size (height and width of an image; nothing for vectors).
        anywhere: Whether it is zero and takes whatever size others have that arrive where it does.
    """

    sides: tuple[Table, ...]
    anywhere: bool = False

    @property
    def scope(self) -> tuple[str, ...]:
        """Names of the choices that the number of features depends on."""
        return self.sides[0].scope

    @property
    def widths(self) -> npt.NDArray[np.int64]:
        """The number of features for each combination of :attr:`scope`."""
        return self.sides[0].values

    @property
    def space(self) -> tuple[int, ...]:
        """Height and width at their largest, or empty for vectors."""
        return self.largest[1:]

    @property
    def resolution(self) -> frozenset[str]:
        """Names of the choices that the size depends on."""
        return frozenset(name for side in self.sides[1:] for name in side.scope)

    @property
    def everything(self) -> frozenset[str]:
        """Names of all choices that the shape depends on."""
        return self.resolution.union(self.scope)

    @cached_property
    def largest(self) -> Shape:
        """The shape with every side at its largest."""
        return tuple(side.largest for side in self.sides)

    def equals(self, other: Features) -> bool:
        """Whether it is the same shape for each combination."""
        return len(self.sides) == len(other.sides) and all(map(Table.equals, self.sides, other.sides))

    def at(self, decisions: Decisions) -> Shape:
        """The shape after the given decisions: option indices by choice name, or arrays of them."""
        return tuple(side.at(decisions) for side in self.sides)


class Axes:
    """The choices of a space, in its order.

    Args:
        sizes: Number of options of each choice, in the space's order.

    Attributes:
        sizes: The same.
        position: Of each choice in an architecture.
        constant: What is known of operations that depend on no choice.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.position = {name: i for i, name in enumerate(sizes)}
        self.constant: dict[Any, Any] = {}


def in_order(names: Iterable[str], axes: Axes) -> tuple[str, ...]:
    """Names in the space's order, each once.

    Raises:
        InvalidSpace: A table over all of them would be too large.
    """
    ordered = tuple(sorted(set(names), key=axes.position.__getitem__))
    if len(ordered) < 2:
        return ordered
    entries = prod(axes.sizes[name] for name in ordered)
    if entries > LARGEST:
        listed = ", ".join(map(repr, ordered[:6])) + (f" and {len(ordered) - 6} more" if len(ordered) > 6 else "")
        raise InvalidSpace(
            f"costs or shapes depend on {listed} at once: {entries:,} combinations, {LARGEST:,} fit a table; state "
            "widths where branches meet, or let fewer choices share an operation"
        )
    return ordered


def reduced(names: tuple[str, ...], table: npt.NDArray[np.int64]) -> Table:
    """A table without the choices on which it does not depend."""
    for axis in reversed(range(len(names))):
        first = np.take(table, [0], axis=axis)
        if (table == first).all():
            names, table = names[:axis] + names[axis + 1 :], first.squeeze(axis)
    return Table(names, table)


def spread(
    names: tuple[str, ...],
    scope: tuple[str, ...],
    values: npt.NDArray[np.int64],
    fixed: Mapping[str, int],
    lead: int = 0,
) -> npt.NDArray[np.int64]:
    """Values over ``scope`` with one axis for each of ``names``.

    An axis has length 1 where they do not depend on it or where the option is ``fixed``; the first ``lead`` axes stay.
    """
    index = [slice(None)] * lead + [
        slice(fixed[name], fixed[name] + 1) if name in fixed else slice(None) for name in scope
    ]
    part = values[tuple(index)]
    lengths = dict(zip(scope, part.shape[lead:], strict=True))
    return np.asarray(part.reshape([*part.shape[:lead], *(lengths.get(name, 1) for name in names)]))


def one_of(name: str, tables: Sequence[Table], axes: Axes) -> Table:
    """The table of the option that a choice takes."""
    if all(table.equals(tables[0]) for table in tables) and name not in tables[0].scope:
        return tables[0]
    names = in_order({name, *(n for table in tables for n in table.scope)}, axes)
    axis = names.index(name)
    values = np.zeros([axes.sizes[n] for n in names], np.int64)
    for option, table in enumerate(tables):
        place = (slice(None),) * axis + (slice(option, option + 1),)
        values[place] = spread(names, table.scope, table.values, {name: option})
    return reduced(names, values)


def _plain(decision: Any) -> Any:
    return decision.view(np.ndarray) if isinstance(decision, Many) else decision
