"""Parameters of many of NAS-Bench-101's cells at once.

Its widths follow from the whole cell, so that a space's cost model infers the shapes of one network after the other, at
milliseconds each. Within one matrix of edges, though, parameters are a sum over the inner vertices, and among the cells
of the benchmark there are far fewer matrices than cells.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from naslab.search_spaces.nasbench101_cell import VERTICES, channels, live_edges
from naslab.search_spaces.nasbench101_matrices import edges_between

EDGES = edges_between(VERTICES)
LAST = VERTICES - 1
KERNELS = (9, 1)
"""Weights of the convolutions between two channels, in the order of the operations; the pooling has none."""


def cell_params(rows: npt.NDArray[np.int64], widths: tuple[int, ...], cells: int) -> npt.NDArray[np.int64]:
    """Parameters of all cells of networks, without the stem and the classifier.

    Args:
        rows: ``(N, 26)`` architectures: an entry for each edge, then for each inner vertex.
        widths: Of the stacks; the stem has that of the first.
        cells: In each stack.

    Returns:
        ``(N,)``.
    """
    found = [_of_matrix(tuple(entries), widths, cells) for entries in rows[:, : len(EDGES)].tolist()]
    fixed, convolutions = np.array([each[0] for each in found]), np.stack([each[1] for each in found])
    chosen = np.take_along_axis(convolutions, rows[:, len(EDGES) :, None], axis=2)
    total: npt.NDArray[np.int64] = fixed + chosen.sum(axis=(1, 2))
    return total


@lru_cache(1 << 14)
def _of_matrix(entries: tuple[int, ...], widths: tuple[int, ...], cells: int) -> tuple[int, npt.NDArray[np.int64]]:
    """Of a matrix of edges: the parameters of projections, and those of each inner vertex by its operation."""
    edges = live_edges(tuple(edge for edge, entry in zip(EDGES, entries, strict=True) if entry), LAST)
    fixed, before = 0, widths[0]
    convolutions = np.zeros((LAST - 1, len(KERNELS) + 1), np.int64)
    for width in widths:
        own = channels(edges, LAST, width)
        # The first cell of a stack reads what the stack before gives; each projection has a normalisation.
        fixed += sum(own[v] for u, v in edges if u == 0) * (before + (cells - 1) * width + 2 * cells)
        for operation, kernel in enumerate(KERNELS):
            convolutions[:, operation] += [cells * c * (kernel * c + 2) for c in own[1:LAST]]
        before = width
    return fixed, convolutions
