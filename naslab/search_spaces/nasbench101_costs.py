"""Parameters of many of NAS-Bench-101's cells at once.

Its widths follow from the whole cell, so that a space's cost model infers the shapes of one network after the other, at
milliseconds each. Within one matrix of edges, though, parameters are a sum over the inner vertices, and among the cells
of the benchmark there are far fewer matrices than cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.search_spaces.nasbench101_cell import VERTICES, channels, live_edges
from naslab.search_spaces.nasbench101_matrices import edges_between

EDGES = edges_between(VERTICES)
LAST = VERTICES - 1
KERNELS = (9, 1)
"""Weights of the convolutions between two channels, in the order of the operations; the pooling has none."""


def cell_params(rows: npt.NDArray[np.int64], widths: Sequence[int], cells: int) -> npt.NDArray[np.int64]:
    """Parameters of all cells of networks, without the stem and the classifier.

    Args:
        rows: ``(N, 26)`` architectures: an entry for each edge, then for each inner vertex.
        widths: Of the stacks; the stem has that of the first.
        cells: In each stack.

    Returns:
        ``(N,)``.
    """
    found = np.unique(rows[:, : len(EDGES)], axis=0, return_inverse=True)
    matrices, place = found[0], found[1].reshape(-1)
    fixed = np.zeros(len(matrices), np.int64)
    convolutions = np.zeros((len(matrices), LAST - 1, len(KERNELS) + 1), np.int64)
    for i, entries in enumerate(matrices.tolist()):
        edges = live_edges(tuple(edge for edge, entry in zip(EDGES, entries, strict=True) if entry), LAST)
        before = widths[0]
        for width in widths:
            own = channels(edges, LAST, width)
            projected = sum(own[v] for u, v in edges if u == 0)
            # The first cell of a stack reads what the stack before gives; each projection has a normalisation.
            fixed[i] += projected * (before + (cells - 1) * width + 2 * cells)
            for v in range(1, LAST):
                for operation, kernel in enumerate(KERNELS):
                    convolutions[i, v - 1, operation] += cells * own[v] * (kernel * own[v] + 2)
            before = width
    inner = np.arange(LAST - 1)
    of_vertices: npt.NDArray[np.int64] = convolutions[place[:, None], inner, rows[:, len(EDGES) :]].sum(axis=1)
    return fixed[place] + of_vertices
