"""Architectures as numbers, for predictors: one-hot, paths, and adjacency with operations on nodes.

The last two look at the space's cells (for a space without cells, at its whole graph).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidValue
from naslab.space.choice import Architecture, Range, resolve, scope
from naslab.space.conditions import Conditions
from naslab.space.derived import stated_width

MOST_PATHS = 100_000


def one_hot(
    architecture: Architecture, sizes: Sequence[int], ranges: Sequence[Range], conditions: Conditions
) -> npt.NDArray[np.float64]:
    """Blocks of choices, places of ranges, and whether conditional decisions are active; see
    :meth:`naslab.space.SearchSpace.encode`.
    """
    active = conditions.active(architecture)
    blocks = np.zeros(sum(sizes))
    ends = itertools.accumulate(sizes)
    entries = zip(ends, sizes, architecture, active, strict=False)
    blocks[[end - size + option for end, size, option, on in entries if on]] = 1
    numbers = zip(ranges, architecture[len(sizes) :], active[len(sizes) :], strict=True)
    places = [each.to_unit(value) if on else 0.0 for each, value, on in numbers]
    return np.array([*blocks, *places, *(on for on, when in zip(active, conditions.when, strict=True) if when)])


class OperationGraph(NamedTuple):
    """A graph with operations on nodes.

    Attributes:
        adjacency: ``(n, n)`` zeros and ones; row to column is the direction of the data. The same for every
            architecture of a space.
        operations: ``(n,)`` index into ``vocabulary``.
        vocabulary: ``"input"``, ``"output"`` and every operation that can occur.
    """

    adjacency: npt.NDArray[np.uint8]
    operations: npt.NDArray[np.int64]
    vocabulary: tuple[str, ...]


class CellEncoder:
    """Encodes the cells of a space; all that does not depend on the architecture is worked out once.

    Args:
        cells: Acyclic graphs whose edges carry ``op``.
        edges: The edges of each cell, in the order in which operations are listed.
        sizes: Number of options of each choice.
    """

    def __init__(
        self,
        cells: Sequence[nx.DiGraph[Any]],
        edges: Sequence[Sequence[tuple[Any, Any]]],
        sizes: Mapping[str, int],
    ) -> None:
        self.cells, self.edges, self.sizes = cells, edges, sizes

    def paths(self, decisions: Mapping[str, int]) -> npt.NDArray[np.uint8]:
        """Which sequences of operations lead from an input to the output: ``(features,)`` zeros and ones.

        White et al. 2021 (BANANAS), section 3.1, untruncated: 5 + 25 + 125 features on NAS-Bench-201. Deviation: a path
        that contains a zero operation does not count (public code marks it, so that two descriptions of the same
        network differ).
        """
        features = np.zeros(len(self._features), dtype=np.uint8)
        for which, path in self._paths:
            if not any(resolve(self.cells[which].edges[edge]["op"], decisions).is_zero for edge in path):
                labels = (label(self.cells[which], edge, decisions) for edge in path)
                features[self._features[(which, path[0][0], *labels)]] = 1
        return features

    def operation_graph(self, decisions: Mapping[str, int]) -> OperationGraph:
        """Every edge becomes a node. One more node for each input comes first, and one for the output comes last."""
        adjacency, vocabulary = self._adjacency
        index = {label: i for i, label in enumerate(vocabulary)}
        names: list[str] = []
        for cell, edges in zip(self.cells, self.edges, strict=True):
            names += ["input"] * len(_sources(cell))
            names += [label(cell, edge, decisions) for edge in edges]
            names += ["output"]
        return OperationGraph(adjacency, np.asarray([index[name] for name in names]), vocabulary)

    @cached_property
    def _adjacency(self) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
        size = sum(len(_sources(cell)) + len(edges) + 1 for cell, edges in zip(self.cells, self.edges, strict=True))
        adjacency = np.zeros((size, size), dtype=np.uint8)
        vocabulary = dict.fromkeys(["input", "output"])
        start = 0
        for cell, edges in zip(self.cells, self.edges, strict=True):
            sources = _sources(cell)
            ends = [(None, s) for s in sources] + list(edges) + [(_sink(cell), None)]  # (tail, head) of each new node
            for (i, (_, head)), (j, (tail, _)) in itertools.permutations(enumerate(ends), 2):
                adjacency[start + i, start + j] = head is not None and head == tail
            for edge in edges:
                vocabulary.update(dict.fromkeys(labels(cell, edge, self.sizes)))
            start += len(ends)
        adjacency.setflags(write=False)
        return adjacency, tuple(vocabulary)

    @cached_property
    def _paths(self) -> list[tuple[int, tuple[tuple[Any, Any], ...]]]:
        found = []
        for which, cell in enumerate(self.cells):
            for source in _sources(cell):
                for path in nx.all_simple_edge_paths(cell, source, _sink(cell)):
                    found.append((which, tuple(path)))
        return sorted(found, key=lambda item: (item[0], len(item[1])))

    @cached_property
    def _features(self) -> dict[tuple[Any, ...], int]:
        features: dict[tuple[Any, ...], int] = {}
        for which, path in self._paths:
            options = [labels(self.cells[which], edge, self.sizes) for edge in path]
            total = int(np.prod([len(o) for o in options], dtype=float)) + len(features)
            if total > MOST_PATHS:
                raise InvalidValue(
                    f"the path encoding would have {total:,} features or more; at most {MOST_PATHS:,} are allowed: "
                    "use 'one-hot'"
                )
            for written in itertools.product(*options):
                features.setdefault((which, path[0][0], *written), len(features))
        return features


def label(cell: nx.DiGraph[Any], edge: tuple[Any, Any], decisions: Mapping[str, int]) -> str:
    """The operation of an edge in words, with the destination's width if the operation sets the width."""
    op, width = cell.edges[edge]["op"], cell.nodes[edge[1]].get("width")
    written: str = resolve(op, decisions).label(stated_width(width, decisions))
    return written


def labels(cell: nx.DiGraph[Any], edge: tuple[Any, Any], sizes: Mapping[str, int]) -> list[str]:
    """Every label that an edge can carry, each once, in the order of its options."""
    op, width = cell.edges[edge]["op"], cell.nodes[edge[1]].get("width")
    names = dict.fromkeys((*scope(op), *scope(width)))
    every = itertools.product(*(range(sizes[name]) for name in names))
    return list(dict.fromkeys(label(cell, edge, dict(zip(names, index, strict=True))) for index in every))


def _sources(cell: nx.DiGraph[Any]) -> list[Any]:
    return [node for node in cell if cell.in_degree(node) == 0]


def _sink(cell: nx.DiGraph[Any]) -> Any:
    return next(node for node in cell if cell.out_degree(node) == 0)
