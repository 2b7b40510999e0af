"""The cost model: what an architecture costs, as a sum of small tables over its choices.

Each edge contributes a table over the few choices that its operation and its shapes depend on; tables of the same
scope are added up. On NAS-Bench-201 six tables of five numbers remain, on an MLP a chain of matrices. The same
tables later give exact probabilities of feasibility and the expected cost of a relaxed architecture.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace, UnknownMetric
from naslab.ops import Operation, Shape
from naslab.space.choice import Architecture, resolve, scope

BYTES_PER_NUMBER = 4  # float32


@dataclass(frozen=True)
class Cost:
    """What one architecture costs.

    Attributes:
        params: Trainable parameters.
        macs: Multiply-accumulates of linear and convolutional layers, for one example.
        activation_bytes: Bytes of all operation outputs for one float32 example (what training keeps).
        peak_bytes: Largest input plus output of a single operation, for one float32 example: the lower bound on
            inference memory of Lin et al. 2020 (MCUNet), which ignores tensors kept for later.
    """

    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int


METRICS = ("params", "macs", "activation_bytes", "peak_bytes")


@dataclass(frozen=True)
class Factor:
    """A table over a few choices.

    Attributes:
        scope: Positions of the choices, increasing; empty for a constant.
        table: Cost of each combination; one axis per choice in ``scope``.
    """

    scope: tuple[int, ...]
    table: npt.NDArray[Any]


def rounding(factors: Sequence[Factor]) -> float:
    """How far two sums of the same entries may be apart, because they were added up in another order.

    Zero for whole numbers. A limit on a sum of real numbers holds up to this (1e-12 of the largest sum possible), so
    that an architecture whose own cost was given as the limit keeps it, whoever adds up.
    """
    tables = [factor.table for factor in factors]
    if all(np.issubdtype(table.dtype, np.integer) for table in tables):
        return 0.0
    return 1e-12 * float(sum(np.abs(table).max(initial=0) for table in tables))


@dataclass(frozen=True)
class CostModel:
    """Costs of every architecture of a space.

    Attributes:
        factors: The factors of each metric of :data:`METRICS`. A cost is the sum of its factors; only ``peak_bytes`` is
            their maximum.
        shapes: The inferred shape of every node.
        arriving: The inferred output shape of every edge, by source and node.
    """

    factors: Mapping[str, tuple[Factor, ...]]
    shapes: Mapping[Any, Features] = field(default_factory=dict, repr=False, compare=False)
    arriving: Mapping[tuple[Any, Any], Features] = field(default_factory=dict, repr=False, compare=False)
    _lookups: dict[str, list[tuple[tuple[int, ...], Any]]] = field(default_factory=dict, repr=False, compare=False)

    def cost(self, architecture: Architecture) -> Cost:
        """All costs of one architecture."""
        return Cost(*(self.value(metric, architecture) for metric in METRICS))

    def value(self, metric: str, architecture: Architecture) -> int:
        """One cost of one architecture."""
        parts = (table[tuple(architecture[i] for i in scope_)] for scope_, table in self._lookup(metric))
        return int(max(parts, default=0) if metric == "peak_bytes" else sum(parts))

    def values(self, metric: str, architectures: npt.ArrayLike) -> npt.NDArray[Any]:
        """One cost of many architectures: ``(N, choices)`` option indices to ``(N,)``, of the tables' number type."""
        rows = np.asarray(architectures)
        self._check(metric)
        parts = [f.table[tuple(rows[:, i] for i in f.scope)] for f in self.factors[metric]]
        shaped = [np.broadcast_to(part, len(rows)) for part in parts]
        combine = np.maximum if metric == "peak_bytes" else np.add
        return np.asarray(combine.reduce(shaped, axis=0) if shaped else np.zeros(len(rows), np.int64))

    def _lookup(self, metric: str) -> list[tuple[tuple[int, ...], Any]]:
        if metric not in self._lookups:
            self._check(metric)
            self._lookups[metric] = [
                (f.scope, {index: int(cost) for index, cost in np.ndenumerate(f.table)}) for f in self.factors[metric]
            ]
        return self._lookups[metric]

    def _check(self, metric: str) -> None:
        if metric not in self.factors:
            raise UnknownMetric(metric, self.factors)


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

    def at(self, decisions: Mapping[str, int]) -> Shape:
        """The shape after the given decisions (option index by choice name)."""
        return (int(self.widths[tuple(decisions[name] for name in self.scope)]), *self.space)


def build_cost_model(
    graph: nx.DiGraph[Any],
    order: Sequence[Any],
    inputs: Mapping[Any, Sequence[Any]],
    sizes: Mapping[str, int],
) -> CostModel:
    """Infer every shape and add up the closed-form costs of all operations.

    Args:
        graph: Edges carry ``op``; source nodes carry ``shape``; other nodes may carry ``width`` and ``combine``.
        order: The nodes in topological order.
        inputs: The predecessors of each node, in the order in which they are combined.
        sizes: Number of options of each choice, in the space's order.

    Raises:
        InvalidSpace: Shapes that can't be summed, or that depend on choices they may not depend on.
    """
    position = {name: i for i, name in enumerate(sizes)}
    totals: dict[str, dict[tuple[str, ...], npt.NDArray[np.int64]]] = {metric: {} for metric in METRICS}
    shapes: dict[Any, Features] = {}
    delivered: dict[tuple[Any, Any], Features] = {}
    for node in order:
        if not inputs[node]:
            if "shape" not in graph.nodes[node]:
                raise InvalidSpace(f"node {node!r} has no incoming edge and no shape; an input needs shape=(...)")
            shape = tuple(graph.nodes[node]["shape"])
            if not shape or not all(_is_size(side) for side in shape):
                raise InvalidSpace(f"node {node!r}: shape {shape} is not made of positive numbers")
            shapes[node] = Features((), np.asarray(shape[0], dtype=np.int64), shape[1:])
            continue
        arriving: list[Features] = []
        for source in inputs[node]:
            features, costs = _edge(graph, source, node, shapes[source], sizes, position)
            arriving.append(features)
            delivered[source, node] = features
            for metric, (names, table) in costs.items():
                combine = np.maximum if metric == "peak_bytes" else np.add
                old = totals[metric].get(names)
                totals[metric][names] = table if old is None else combine(old, table)
        shapes[node] = _combined(graph, node, inputs[node], arriving, sizes, position)
    factors = {
        metric: tuple(
            Factor(tuple(position[name] for name in names), table)
            for names, table in sorted(tables.items(), key=lambda item: [position[n] for n in item[0]])
            if table.any()
        )
        for metric, tables in totals.items()
    }
    return CostModel(factors, shapes, delivered)


def _edge(
    graph: nx.DiGraph[Any],
    source: Any,
    node: Any,
    features: Features,
    sizes: Mapping[str, int],
    position: Mapping[str, int],
) -> tuple[Features, dict[str, tuple[tuple[str, ...], npt.NDArray[np.int64]]]]:
    """Output shape of one edge and its cost tables, over the choices they depend on."""
    op, width = graph.edges[source, node]["op"], graph.nodes[node].get("width")
    if graph.nodes[node].get("combine", "sum") == "concat":
        width = None  # a concatenating node states the width of the whole concatenation
    names = _in_order({*scope(op), *scope(width), *features.scope}, position)
    tables = {metric: np.zeros([sizes[n] for n in names], dtype=np.int64) for metric in (*METRICS, "width")}
    pixels: set[tuple[int, ...]] = set()
    for index, decisions in combinations(names, sizes):
        chosen = resolve(op, decisions)
        if not isinstance(chosen, Operation):
            raise InvalidSpace(f"edge {source!r} -> {node!r}: {chosen!r} is not an operation{_where(decisions)}")
        shape = features.at(decisions)
        wanted = resolve(width, decisions)
        if wanted is not None and not _is_size(wanted):
            raise InvalidSpace(f"node {node!r}: width {wanted!r} is not a positive number{_where(decisions)}")
        out = chosen.output_shape(shape, wanted)
        if wanted is not None and out[0] != wanted and not chosen.is_zero:
            raise InvalidSpace(
                f"edge {source!r} -> {node!r}: {chosen} keeps {out[0]} features, but node {node!r} states "
                f"width {wanted}{_where(decisions)}; give the node no width or use an operation that sets it"
            )
        if not chosen.is_zero:  # a zero operation fits every image size
            pixels.add(out[1:])
        tables["width"][index] = out[0] if wanted is None else wanted
        tables["params"][index] = chosen.params(shape, out)
        tables["macs"][index] = chosen.macs(shape, out)
        if not (chosen.is_zero or chosen.is_identity):
            tables["activation_bytes"][index] = BYTES_PER_NUMBER * prod(out)
            tables["peak_bytes"][index] = BYTES_PER_NUMBER * (prod(shape) + prod(out))
    if len(pixels) > 1:
        raise InvalidSpace(
            f"edge {source!r} -> {node!r}: the image size depends on {' and '.join(map(repr, names))} "
            f"({sorted(pixels)}); only widths may depend on a choice"
        )
    outgoing = Features(*_reduced(names, tables.pop("width")), pixels.pop() if pixels else features.space)
    return outgoing, {metric: _reduced(names, table) for metric, table in tables.items()}


def _combined(
    graph: nx.DiGraph[Any],
    node: Any,
    sources: Sequence[Any],
    arriving: Sequence[Features],
    sizes: Mapping[str, int],
    position: Mapping[str, int],
) -> Features:
    """The shape of a node from the output shapes of its incoming edges."""
    concatenates = graph.nodes[node].get("combine", "sum") == "concat"
    stated = graph.nodes[node].get("width") if concatenates else None
    names = _in_order({*scope(stated), *(name for features in arriving for name in features.scope)}, position)
    widths = np.zeros([sizes[n] for n in names], dtype=np.int64)
    for index, decisions in combinations(names, sizes):
        shapes = [features.at(decisions) for features in arriving]
        for source, shape in zip(sources, shapes, strict=True):
            if shape[1:] != shapes[0][1:] or (not concatenates and shape[0] != shapes[0][0]):
                raise InvalidSpace(
                    f"node {node!r}: what arrives does not fit: {shapes[0]} from {sources[0]!r}, {shape} from "
                    f"{source!r}{_where(decisions)}"
                )
        widths[index] = sum(s[0] for s in shapes) if concatenates else shapes[0][0]
        if stated is not None and resolve(stated, decisions) != widths[index]:
            raise InvalidSpace(
                f"node {node!r} states width {resolve(stated, decisions)}, but what it concatenates has "
                f"{widths[index]} features{_where(decisions)}"
            )
    return Features(*_reduced(names, widths), arriving[0].space)


def combinations(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[tuple[tuple[int, ...], dict[str, int]]]:
    """Every combination of options of the named choices: as an index and as decisions by name."""
    for index in itertools.product(*(range(sizes[name]) for name in names)):
        yield index, dict(zip(names, index, strict=True))


def _in_order(names: set[str], position: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(names, key=position.__getitem__))


def _reduced(names: tuple[str, ...], table: npt.NDArray[np.int64]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Drop the choices on which a table does not depend."""
    for axis in reversed(range(len(names))):
        first = np.take(table, [0], axis=axis)
        if (table == first).all():
            names, table = names[:axis] + names[axis + 1 :], first.squeeze(axis)
    return names, table


def _is_size(value: object) -> bool:
    return isinstance(value, int | np.integer) and int(value) > 0


def _where(decisions: Mapping[str, int]) -> str:
    return f" (where {', '.join(f'{name!r} is option {i}' for name, i in decisions.items())})" if decisions else ""
