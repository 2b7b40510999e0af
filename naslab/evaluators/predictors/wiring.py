"""A space's cells for many architectures at once: which operation stands on which edge, and what is alive.

Everything that depends on an architecture is looked up in small tables over the choices of one edge, or computed node
by node, for all architectures together: 15,625 cells of NAS-Bench-201 take milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.space import Architecture, SearchSpace, combinations, resolve, scope, stated_width

Ints = npt.NDArray[np.int64]

ZERO, IDENTITY = 0, 1
"""Operations that carry nothing, and that pass a tensor on unchanged."""
STRUCTURE = ("zero", "identity", "part", "concatenation")
"""The first entries of every vocabulary; the last two stand for a concatenation, see :class:`Cell`."""


@dataclass(frozen=True)
class Edge:
    """One edge of a cell.

    Attributes:
        tail: Number of the node that it leaves.
        head: Number of the node that it leads to.
        scope: Positions of the choices that it depends on.
        table: For every combination of their options the operation, an index into the vocabulary.
        reads: For every combination, and every choice of the scope, whether the choice was looked at:
            ``(*sizes, len(scope))``. The choices of an option are not, where another option was taken.
        place: The edge in the space's cell; None for those that a concatenation is made of.
    """

    tail: int
    head: int
    scope: tuple[int, ...]
    table: Ints
    reads: npt.NDArray[np.bool_]
    place: tuple[Any, Any] | None


@dataclass(frozen=True)
class Cell:
    """A cell whose nodes all add up what arrives; its edges are sorted by the topological order of their heads.

    A concatenation is written as the operations ``part`` (one for each thing that is concatenated) and
    ``concatenation``, as in :mod:`naslab.space.dataflow`.

    Attributes:
        nodes: Number of nodes; the last is the output.
        sources: The inputs, by number and name.
        edges: All of them.
    """

    nodes: int
    sources: Mapping[int, str]
    edges: tuple[Edge, ...]

    def operations(self, options: Ints) -> Ints:
        """``(n, edges)`` what stands on each edge, for architectures ``(n, choices)``."""
        found = np.empty((len(options), len(self.edges)), np.int64)
        for column, edge in enumerate(self.edges):
            found[:, column] = edge.table[tuple(options[:, i] for i in edge.scope)]
        return found

    def live(self, operations: Ints) -> npt.NDArray[np.bool_]:
        """``(n, edges)`` whether the edge carries something from an input to the output."""
        n = len(operations)
        reached, needed = np.zeros((2, self.nodes, n), np.bool_)
        for source in self.sources:
            reached[source] = True
        needed[-1] = True
        carries = operations.T != ZERO
        for edge, on in zip(self.edges, carries, strict=True):
            reached[edge.head] |= on & reached[edge.tail]
        for edge, on in zip(self.edges[::-1], carries[::-1], strict=True):
            needed[edge.tail] |= on & needed[edge.head]
        alive = [on & reached[e.tail] & needed[e.head] for e, on in zip(self.edges, carries, strict=True)]
        return np.stack(alive, axis=1)


class Wiring:
    """The cells of a space as tables.

    Args:
        space: Any; where it names no cells, its whole graph is the one cell.

    Attributes:
        cells: One for each cell of the space.
        vocabulary: What an operation's number means: :data:`STRUCTURE`, then names of operations, with the width of
            their output where they set one.
        kinds: The same without widths; empty where it is no operation.
        mixes: Whether the operation sets its number of features (convolutions, linear layers), or passes features on
            (poolings, activations).
        repeated: Whether the cells are repeated in a network, so that one place in a cell is several in the network.
    """

    def __init__(self, space: SearchSpace) -> None:
        space.require_network("a learned predictor")
        self.space = space
        self._index = {name: i for i, name in enumerate(STRUCTURE)}
        self._kinds: dict[str, tuple[str, bool]] = {}
        self.repeated = space.cells[0] is not space.graph
        self._position = {choice.name: i for i, choice in enumerate(space.choices)}
        self._sizes = {choice.name: len(choice.options) for choice in space.choices}
        self.cells = tuple(self._cell(cell) for cell in space.cells)
        self.vocabulary = tuple(self._index)
        self.kinds = tuple(self._kinds[name][0] if name in self._kinds else "" for name in self.vocabulary)
        self.mixes = tuple(name in self._kinds and self._kinds[name][1] for name in self.vocabulary)

    def options(self, architectures: Sequence[Architecture]) -> Ints:
        """``(n, choices)`` option indices."""
        return self.space.choice_columns(architectures)

    def _cell(self, cell: nx.DiGraph[Any]) -> Cell:
        order, inputs = _ordered(self.space, cell)
        number: dict[Any, int] = {}
        edges: list[Edge] = []

        def fresh() -> int:
            number[object()] = len(number)
            return len(number) - 1

        def structural(tail: int, head: int, name: str) -> Edge:
            table = np.asarray(STRUCTURE.index(name))
            return Edge(tail, head, (), table, np.zeros(0, np.bool_), None)

        sources = {}
        for node in order:
            if not inputs[node]:
                number[node] = len(number)
                sources[number[node]] = f"input {node}"
                continue
            concatenates = cell.nodes[node].get("combine", "sum") == "concat"
            slots = [fresh() for _ in inputs[node]] if concatenates else []
            joined = fresh() if concatenates else -1
            number[node] = len(number)
            for i, source in enumerate(inputs[node]):
                edges.append(self._edge(cell, source, node, number[source], slots[i] if slots else number[node]))
            edges += [structural(slot, joined, "part") for slot in slots]
            if concatenates:
                edges.append(structural(joined, number[node], "concatenation"))
        return Cell(len(number), sources, tuple(edges))

    def _edge(self, cell: nx.DiGraph[Any], source: Any, node: Any, tail: int, head: int) -> Edge:
        op, width = cell.edges[source, node]["op"], cell.nodes[node].get("width")
        names = tuple(sorted({*scope(op), *scope(width)}, key=self._position.__getitem__))
        shape = [self._sizes[name] for name in names]
        table = np.zeros(shape, np.int64)
        reads = np.zeros((*shape, len(names)), np.bool_)
        for index, decisions in combinations(names, self._sizes):
            seen = _Recorder(decisions)
            chosen = resolve(op, seen)
            if chosen.is_zero or chosen.is_identity:
                table[index] = ZERO if chosen.is_zero else IDENTITY
            else:
                written = chosen.label(stated_width(width, seen) if chosen.sets_width else None)
                table[index] = self._index.setdefault(written, len(self._index))
                self._kinds[written] = (repr(chosen), chosen.sets_width)
            reads[index] = [name in seen.read for name in names]
        return Edge(tail, head, tuple(self._position[name] for name in names), table, reads, (source, node))


class _Recorder(Mapping[str, int]):
    """Decisions that remember which of them were looked at."""

    def __init__(self, decisions: Mapping[str, int]) -> None:
        self.decisions, self.read = decisions, set[str]()

    def __getitem__(self, name: str) -> int:
        self.read.add(name)
        return self.decisions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)


def _ordered(space: SearchSpace, cell: nx.DiGraph[Any]) -> tuple[list[Any], dict[Any, list[Any]]]:
    """Nodes in topological order, the output last, and the predecessors of each."""
    if cell is space.graph:
        return space.order, space.inputs
    inserted = {node: i for i, node in enumerate(cell)}
    order = list(nx.lexicographical_topological_sort(cell, key=inserted.__getitem__))
    place = {node: i for i, node in enumerate(order)}
    output = next(node for node in order if cell.out_degree(node) == 0)
    order = [*(node for node in order if node != output), output]
    return order, {node: sorted(cell.predecessors(node), key=place.__getitem__) for node in order}
