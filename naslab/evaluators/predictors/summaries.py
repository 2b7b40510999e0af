"""Statistics of the paths through a cell, for any graph, without following paths one by one.

All are properties of the data flow (see :mod:`naslab.space.dataflow`), computed by dynamic programming over the cell's
nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import Cell, Ints, Wiring
from naslab.space import Architecture

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NO_PATH = -1.0
"""Depth of a cell whose input does not reach its output."""


def summaries(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats:
    """``(n, features)``, for each cell: how often every kind of operation (``Conv(kernel=3)``, whatever its width)
    occurs; the logarithm of one more than the number of paths; the longest, the shortest and the mean path. Lengths are
    counted in operations of each kind, in those that mix features, and in all.
    """
    options = wiring.options(architectures)
    columns = []
    for cell in wiring.cells:
        operations = cell.operations(options)
        live = cell.live(operations)
        kind, kinds = _kinds(wiring, cell, operations, live)
        weights = [(kind == k).astype(np.float64) for k in range(kinds)]
        columns += [weight.sum(axis=1) for weight in weights]
        paths = _paths(cell, live)
        columns.append(np.log1p(paths[-1]))
        mixing = live & np.asarray(wiring.mixes)[operations]
        for weight in (*weights, mixing.astype(np.float64), (kind >= 0).astype(np.float64)):
            columns += _depths(cell, live, weight, paths)
    return np.stack(columns, axis=1)


def transitions(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats:
    """``(n, features)``, for each cell and every two kinds of operations: how often, on all paths together, the second
    follows the first (identities between them do not count); likewise how often each comes first and last on a path.

    Features are ``log(1 + count)`` where a cell has so many paths that counts pass a thousand; counts otherwise.
    """
    options = wiring.options(architectures)
    columns = []
    for cell in wiring.cells:
        operations = cell.operations(options)
        live = cell.live(operations)
        kind, kinds = _kinds(wiring, cell, operations, live)
        backward = np.zeros((cell.nodes, len(options)))
        backward[-1] = 1
        for i, edge in reversed(list(enumerate(cell.edges))):
            backward[edge.tail] += live[:, i] * backward[edge.head]
        ending = np.zeros((cell.nodes, kinds + 1, len(options)))  # paths to a node, by their last kind; last: none yet
        ending[list(cell.sources), kinds] = 1
        found = np.zeros((kinds + 1, kinds + 1, len(options)))
        for i, edge in enumerate(cell.edges):
            for k in np.unique(kind[:, i]):
                here = live[:, i] & (kind[:, i] == k)
                if k < 0:  # identities, and what concatenations are made of
                    ending[edge.head] += ending[edge.tail] * here
                else:
                    found[:, k] += ending[edge.tail] * (here * backward[edge.head])
                    ending[edge.head, k] += ending[edge.tail].sum(axis=0) * here
        found[:, kinds] += ending[-1]
        counts = found.reshape(-1, len(options))
        columns.append(np.log1p(counts) if _most_paths(cell) > 1000 else counts)
    return np.concatenate(columns).T


def _kinds(wiring: Wiring, cell: Cell, operations: Ints, live: Flags) -> tuple[Ints, int]:
    """``(n, edges)``, the kinds of live operations as numbers, -1 for none; how many kinds the cell has."""
    used = {wiring.kinds[i] for edge in cell.edges for i in np.unique(edge.table)} - {""}
    order = {kind: i for i, kind in enumerate(sorted(used))}
    numbers = np.asarray([order.get(kind, -1) for kind in wiring.kinds])
    return np.where(live, numbers[operations], -1), len(order)


def _paths(cell: Cell, live: Flags) -> Floats:
    """``(nodes, n)`` the number of paths from the inputs to each node."""
    paths = np.zeros((cell.nodes, len(live)))
    paths[list(cell.sources)] = 1
    for edge, alive in zip(cell.edges, live.T, strict=True):
        paths[edge.head] += alive * paths[edge.tail]
    return paths


def _depths(cell: Cell, live: Flags, weight: Floats, paths: Floats) -> list[Floats]:
    """The longest, the shortest and the mean path to the output, edges weighted ``(n, edges)``."""
    total = np.zeros_like(paths)
    longest, shortest = np.full_like(paths, -np.inf), np.full_like(paths, np.inf)
    longest[list(cell.sources)] = shortest[list(cell.sources)] = 0
    for edge, alive, w in zip(cell.edges, live.T, weight.T, strict=True):
        total[edge.head] += alive * (total[edge.tail] + w * paths[edge.tail])
        longest[edge.head] = np.maximum(longest[edge.head], np.where(alive, longest[edge.tail] + w, -np.inf))
        shortest[edge.head] = np.minimum(shortest[edge.head], np.where(alive, shortest[edge.tail] + w, np.inf))
    connected = paths[-1] > 0
    mean = total[-1] / np.maximum(paths[-1], 1)
    return [np.where(connected, depth, NO_PATH) for depth in (longest[-1], shortest[-1], mean)]


def _most_paths(cell: Cell) -> float:
    return float(_paths(cell, np.ones((1, len(cell.edges)), np.bool_))[-1, 0])
