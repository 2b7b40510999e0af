"""What one edge and one node are for every combination of options: shapes and costs as tables.

Where a choice is between numbers (widths, kernels), all of its options are computed at once: closed forms are given
arrays that broadcast against each other, one axis per choice. Choices between operations are gone through one by one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace
from naslab.ops import Operation, Shape
from naslab.space.choice import Choice, choices_in, resolve, scope

METRICS = ("params", "macs", "activation_bytes", "peak_bytes")
BYTES_PER_NUMBER = 4  # float32

Whole: TypeAlias = npt.NDArray[np.int64]
Decisions: TypeAlias = Mapping[str, Any]
"""An option index by choice name, or an array of them."""


@dataclass(frozen=True)
class Features:
    """The inferred shape of a node: its number of features may depend on choices, its size in pixels may not.

    Attributes:
        scope: Names of the choices that the number of features depends on.
        widths: The number of features for each combination.
        space: Height and width, or empty for vectors.
    """

    scope: tuple[str, ...]
    widths: npt.NDArray[np.int64]
    space: tuple[int, ...]

    @property
    def largest(self) -> Shape:
        """The shape at the largest width."""
        return (int(self.widths.max()), *self.space)

    def at(self, decisions: Decisions) -> Shape:
        """The shape after the given decisions: option indices by choice name, or arrays of them."""
        widths = self.widths[tuple(decisions[name] for name in self.scope)]
        return (widths if widths.ndim else int(widths), *self.space)


def edge_tables(
    graph: nx.DiGraph[Any],
    source: Any,
    node: Any,
    features: Features,
    sizes: Mapping[str, int],
    position: Mapping[str, int],
) -> tuple[Features, dict[str, tuple[tuple[str, ...], Whole]]]:
    """Output shape of one edge and its cost tables, over the choices they depend on."""
    op, width = graph.edges[source, node]["op"], graph.nodes[node].get("width")
    if graph.nodes[node].get("combine", "sum") == "concat":
        width = None  # what a concatenating node states is its total
    names = _in_order({*scope(op), *scope(width), *features.scope}, position)
    pixels: set[tuple[int, ...]] = set()

    def tabulate(decisions: Decisions) -> dict[str, Any]:
        chosen = _resolved(op, decisions)
        if not isinstance(chosen, Operation):
            raise InvalidSpace(f"edge {source!r} -> {node!r}: {chosen!r} is not an operation{_where(decisions)}")
        shape = features.at(decisions)
        wanted = _resolved(width, decisions)
        if wanted is not None and not is_size(wanted):
            raise InvalidSpace(f"node {node!r}: width {wanted!r} is not a positive number{_where(decisions)}")
        out = chosen.output_shape(shape, wanted)
        if wanted is not None and _any(out[0] != wanted) and not chosen.is_zero:
            raise InvalidSpace(
                f"edge {source!r} -> {node!r}: {chosen} keeps {out[0]} features, but node {node!r} states "
                f"width {wanted}{_where(decisions)}; give the node no width or use an operation that sets it"
            )
        silent = chosen.is_zero or chosen.is_identity
        return {
            "width": out[0] if wanted is None else wanted,
            "params": chosen.params(shape, out),
            "macs": chosen.macs(shape, out),
            "activation_bytes": 0 if silent else BYTES_PER_NUMBER * prod(out),
            "peak_bytes": 0 if silent else BYTES_PER_NUMBER * (prod(shape) + prod(out)),
            "pixels": None if chosen.is_zero else out[1:],  # nothing fits everywhere
        }

    def keep(found: dict[str, Any]) -> None:
        sides = found["pixels"]
        if sides is None or not any(isinstance(side, np.ndarray) for side in sides):
            pixels.update(() if sides is None else (sides,))
        else:
            columns = [np.ravel(side).tolist() for side in np.broadcast_arrays(*sides)]
            pixels.update(zip(*columns, strict=True))

    tables = _tabulated(tabulate, keep, names, _numeric(names, (op, width)), sizes, (*METRICS, "width"))
    if len(pixels) > 1:
        raise InvalidSpace(
            f"edge {source!r} -> {node!r}: the image size depends on {' and '.join(map(repr, names))} "
            f"({sorted(pixels)}); only widths may depend on a choice"
        )
    outgoing = Features(*_reduced(names, tables.pop("width")), pixels.pop() if pixels else features.space)
    return outgoing, {metric: _reduced(names, table) for metric, table in tables.items()}


def combined(
    graph: nx.DiGraph[Any],
    node: Any,
    sources: Sequence[Any],
    arriving: Sequence[Features],
    sizes: Mapping[str, int],
    position: Mapping[str, int],
) -> Features:
    """The shape of a node from the shapes of what arrives."""
    concatenates = graph.nodes[node].get("combine", "sum") == "concat"
    stated = graph.nodes[node].get("width") if concatenates else None
    names = _in_order({*scope(stated), *(name for features in arriving for name in features.scope)}, position)

    def tabulate(decisions: Decisions) -> dict[str, Any]:
        shapes = [features.at(decisions) for features in arriving]
        for source, shape in zip(sources, shapes, strict=True):
            if shape[1:] != shapes[0][1:] or (not concatenates and _any(shape[0] != shapes[0][0])):
                raise InvalidSpace(
                    f"node {node!r}: what arrives does not fit: {shapes[0]} from {sources[0]!r}, {shape} from "
                    f"{source!r}{_where(decisions)}"
                )
        width = sum(s[0] for s in shapes) if concatenates else shapes[0][0]
        if stated is not None and _any((wanted := _resolved(stated, decisions)) != width):
            raise InvalidSpace(
                f"node {node!r} states width {wanted}, but what it concatenates has {width} features{_where(decisions)}"
            )
        return {"width": width}

    tables = _tabulated(tabulate, None, names, _numeric(names, (stated,)), sizes, ("width",))
    return Features(*_reduced(names, tables["width"]), arriving[0].space)


def combinations(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[tuple[tuple[int, ...], dict[str, int]]]:
    """Every combination of options of the named choices: as an index and as decisions by name."""
    for index in itertools.product(*(range(sizes[name]) for name in names)):
        yield index, dict(zip(names, index, strict=True))


def _tabulated(
    tabulate: Callable[[Decisions], dict[str, Any]],
    keep: Callable[[dict[str, Any]], None] | None,
    names: Sequence[str],
    numeric: Sequence[str],
    sizes: Mapping[str, int],
    columns: Sequence[str],
) -> dict[str, Whole]:
    """A table of each column, one axis per choice.

    Args:
        tabulate: What there is for decisions, by column.
        keep: Is shown everything that went into the tables.
        names: The choices.
        numeric: Those of them whose options are computed at once, where that gives what they give one by one.
        sizes: Number of options of each choice.
        columns: What is kept.
    """
    tables = {column: np.zeros([sizes[n] for n in names], dtype=np.int64) for column in columns}
    axes = np.ix_(*(np.arange(sizes[name]) for name in numeric))
    grid = dict(zip(numeric, axes, strict=True))
    for _, decisions in combinations([name for name in names if name not in numeric], sizes):
        found = _at_once(tabulate, decisions, grid) if numeric else None
        rest = combinations(numeric, sizes)
        one_by_one = (({**decisions, **each}, None) for _, each in rest)
        for decided, values in [(decisions, found)] if found else one_by_one:
            place = tuple(decided.get(name, slice(None)) for name in names)
            values = values or tabulate(decided)
            for column, table in tables.items():
                table[place] = values[column]
            if keep is not None:
                keep(values)
    return tables


def _at_once(
    tabulate: Callable[[Decisions], dict[str, Any]], decisions: Decisions, grid: Mapping[str, Whole]
) -> dict[str, Any] | None:
    """What there is for all options of numeric choices; None if an operation can't say, or an option is wrong."""
    try:
        found = tabulate({**decisions, **grid})
        for corner in (0, -1):  # do closed forms give for arrays what they give for numbers?
            one = tabulate({**decisions, **{name: int(axis.ravel()[corner]) for name, axis in grid.items()}})
            for column, value in one.items():
                if column != "pixels" and np.ravel(np.broadcast_to(found[column], _shape(grid)))[corner] != value:
                    return None
    except Exception:  # one by one it succeeds, or says which option is at fault
        return None
    return found


def _shape(grid: Mapping[str, Whole]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(axis.shape for axis in grid.values()))


def _numeric(names: Sequence[str], values: Sequence[Any]) -> list[str]:
    """The choices among these that are between whole numbers wherever they stand."""
    others = {
        choice.name
        for value in values
        for choice in choices_in(value)
        if not all(isinstance(option, int | np.integer) for option in choice.options)
    }
    return [name for name in names if name not in others]


def _resolved(value: Any, decisions: Decisions) -> Any:
    """As :func:`naslab.space.resolve`; where a decision is an array, the numbers that it chooses."""
    arrays = {name for name, decision in decisions.items() if isinstance(decision, np.ndarray)}
    return resolve(_filled(value, decisions, arrays) if arrays else value, decisions)


def _filled(value: Any, decisions: Decisions, arrays: set[str]) -> Any:
    if isinstance(value, Choice):
        if value.name in arrays:
            return np.asarray(value.options)[decisions[value.name]]
        return Choice(value.name, tuple(_filled(option, decisions, arrays) for option in value.options))
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and arrays & {*scope(value)}:
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{n: _filled(old, decisions, arrays) for n, old in fields.items()})
    return value


def _in_order(names: set[str], position: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(names, key=position.__getitem__))


def _reduced(names: tuple[str, ...], table: Whole) -> tuple[tuple[str, ...], Whole]:
    """Drop the choices on which a table does not depend."""
    for axis in reversed(range(len(names))):
        first = np.take(table, [0], axis=axis)
        if (table == first).all():
            names, table = names[:axis] + names[axis + 1 :], first.squeeze(axis)
    return names, table


def is_size(value: object) -> bool:
    """Whether it is a positive whole number, or an array of such."""
    if isinstance(value, np.ndarray):
        return np.issubdtype(value.dtype, np.integer) and bool((value > 0).all())
    return isinstance(value, int | np.integer) and int(value) > 0


def _any(truth: Any) -> bool:
    return bool(truth.any()) if isinstance(truth, np.ndarray) else bool(truth)


def _where(decisions: Decisions) -> str:
    return f" (where {', '.join(f'{name!r} is option {i}' for name, i in decisions.items())})" if decisions else ""
