"""The cost model: what an architecture costs, as a sum of small tables over its choices.

Each edge contributes a table over the few choices that its operation and its shapes depend on; tables of the same
scope are added up. On NAS-Bench-201 six tables of five numbers remain, on an MLP a chain of matrices. The same
tables later give exact probabilities of feasibility and the expected cost of a relaxed architecture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace, UnknownMetric
from naslab.ops import Shape
from naslab.space.choice import Architecture
from naslab.space.combination import combined, given
from naslab.space.features import Axes, Features, reduced
from naslab.space.tabulation import METRICS, Costs, add, counted, edge_tables


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

    def all_shapes(self, decisions: Mapping[str, int]) -> tuple[dict[Any, Shape], dict[tuple[Any, Any], Shape]]:
        """The shape of every node and of what every edge delivers, after the given decisions."""
        nodes = {node: features.at(decisions) for node, features in self.shapes.items()}
        return nodes, {edge: features.at(decisions) for edge, features in self.arriving.items()}

    def same(self, other: CostModel) -> bool:
        """Whether all costs and shapes are equal."""
        return all(
            [f.scope for f in mine] == [f.scope for f in other.factors[metric]]
            and all(np.array_equal(f.table, g.table) for f, g in zip(mine, other.factors[metric], strict=True))
            for metric, mine in self.factors.items()
        ) and all(one.equals(two) for one, two in zip(self.arriving.values(), other.arriving.values(), strict=True))

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


def build_cost_model(
    graph: nx.DiGraph[Any],
    order: Sequence[Any],
    inputs: Mapping[Any, Sequence[Any]],
    sizes: Mapping[str, int],
    axes: Axes | None = None,
) -> CostModel:
    """Infer every shape and add up the closed-form costs of all operations.

    Args:
        graph: Edges carry ``op``; source nodes carry ``shape``; other nodes may carry ``width`` and ``combine``.
        order: The nodes in topological order.
        inputs: The predecessors of each node, in the order in which they are combined.
        sizes: Number of options of each choice, in the space's order.
        axes: The same choices, with what is known of operations already.

    Raises:
        InvalidSpace: Shapes that can't be summed, or that depend on choices they may not depend on.
    """
    axes = axes or Axes(sizes)
    totals: dict[str, dict[tuple[str, ...], npt.NDArray[np.int64]]] = {metric: {} for metric in METRICS}
    shapes: dict[Any, Features] = {}
    delivered: dict[tuple[Any, Any], Features] = {}
    constant: Costs = {}
    for node in order:
        if not inputs[node]:
            if "shape" not in graph.nodes[node]:
                raise InvalidSpace(f"node {node!r} has no incoming edge and no shape; an input needs shape=(...)")
            shapes[node] = given(node, graph.nodes[node]["shape"])
            continue
        arriving: list[Features] = []
        for source in inputs[node]:
            features, costs = edge_tables(graph, source, node, shapes[source], axes)
            arriving.append(features)
            if axes.sizes:
                _add_up(totals, costs)
            else:  # an architecture's own graph: all metrics at once
                add(constant, costs)
        shapes[node] = combined(node, graph.nodes[node], inputs[node], arriving, axes)
        for source, features in zip(inputs[node], arriving, strict=True):
            sides = (features.sides[0], *shapes[node].sides[1:]) if features.anywhere else features.sides
            delivered[source, node] = Features(sides)
    _add_up(totals, constant)
    factors = {
        metric: tuple(
            Factor(tuple(axes.position[name] for name in names), table)
            for names, table in sorted(tables.items(), key=lambda item: [axes.position[n] for n in item[0]])
            if table.any()
        )
        for metric, tables in totals.items()
    }
    return CostModel(factors, shapes, delivered)


def resolved_cost_model(graph: nx.DiGraph[Any], axes: Axes | None = None) -> CostModel:
    """Shapes and costs of a graph without choices, as :meth:`naslab.space.SearchSpace.resolve` gives it.

    Args:
        graph: The graph.
        axes: No choices, with what is known of operations already.
    """
    return build_cost_model(graph, list(graph), nx.get_node_attributes(graph, "inputs"), {}, axes)


def cost_of_edges(
    graph: nx.DiGraph[Any],
    shapes: Mapping[Any, Shape],
    arriving: Mapping[tuple[Any, Any], Shape],
    edges: Iterable[tuple[Any, Any]],
) -> Cost:
    """What some edges of a graph without choices cost.

    Args:
        graph: The graph.
        shapes: The shape of every node.
        arriving: The shape of what every edge delivers.
        edges: Those that are counted.
    """
    counts = [counted(graph.edges[edge]["op"], shapes[edge[0]], arriving[edge]) for edge in edges]
    params, macs, kept, peaks = zip(*counts, strict=True) if counts else ((), (), (), ())
    return Cost(sum(params), sum(macs), sum(kept), max(peaks, default=0))


def _add_up(totals: dict[str, dict[tuple[str, ...], npt.NDArray[np.int64]]], costs: Costs) -> None:
    """Add the costs of an edge, each metric without the choices that make no difference to it."""
    for names, tables in costs.items():
        for metric, values in zip(METRICS, tables, strict=True):
            table = reduced(names, values)
            combine = np.maximum if metric == "peak_bytes" else np.add
            old = totals[metric].get(table.scope)
            totals[metric][table.scope] = table.values if old is None else combine(old, table.values)
