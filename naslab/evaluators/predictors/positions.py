"""What the Transformer reads: one token for each edge of a space's cells, and where in the cells it stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import ZERO, Wiring
from naslab.space import Architecture

Floats32 = npt.NDArray[np.float32]


def edge_tokens(wiring: Wiring, architectures: Sequence[Architecture], *, cut: bool = False) -> npt.NDArray[np.int64]:
    """``(n, E)`` the operation of each edge: 1 + its index in the wiring's vocabulary, 0 for padding.

    Args:
        wiring: Of the space.
        architectures: ``n`` of them.
        cut: Whether operations that are zero, or on no path from an input to the output, become padding; otherwise
            none.
    """
    options = wiring.options(architectures)
    tokens = []
    for cell in wiring.cells:
        operations = cell.operations(options)
        tokens.append(np.where(cell.live(operations), operations + 1, 0) if cut else operations + 1)
    return np.concatenate(tokens, axis=1)


def cell_adjacency(wiring: Wiring, architectures: Sequence[Architecture]) -> Floats32:
    """``(n, V, V)``: 1 where an edge that is not zero joins two nodes of a cell, else 0; cells are blocks."""
    options = wiring.options(architectures)
    nodes = sum(cell.nodes for cell in wiring.cells)
    adjacency = np.zeros((len(options), nodes, nodes), np.float32)
    start = 0
    for cell in wiring.cells:
        there = cell.operations(options) != ZERO
        for column, edge in enumerate(cell.edges):
            adjacency[:, start + edge.tail, start + edge.head] = there[:, column]
        start += cell.nodes
    return adjacency


def laplacians(adjacency: Floats32) -> Floats32:
    """``D - A`` of each graph ``(n, V, V)``, D the number of edges that leave a node."""
    degrees = np.eye(adjacency.shape[1], dtype=np.float32) * adjacency.sum(axis=2)[:, :, None]
    found: Floats32 = degrees - adjacency
    return found


def eigenvectors(adjacency: Floats32) -> Floats32:
    """``(n, V, V)`` the eigenvectors (columns) of the symmetric normalised Laplacian, by ascending eigenvalue.

    The Laplacian is ``I - D^-1/2 (A + A^T) D^-1/2`` (Dwivedi & Bresson 2021, section 2.1), which ignores directions.
    Deviation: the first eigenvector is kept; it holds only degrees if the graph is connected, but cells need not be.
    Signs: the entry of largest absolute value, the first of equals, is positive.
    """
    distinct, where = np.unique(adjacency.reshape(len(adjacency), -1), axis=0, return_inverse=True)
    directed = distinct.astype(np.float64).reshape(-1, *adjacency.shape[1:])
    both = directed + directed.transpose(0, 2, 1)
    degrees = both.sum(axis=2)
    scale = np.where(degrees > 0, np.maximum(degrees, 1) ** -0.5, 0.0)
    _, vectors = np.linalg.eigh(np.eye(both.shape[1]) - scale[:, :, None] * both * scale[:, None, :])
    largest = np.abs(vectors.round(6)).argmax(axis=1)[:, None, :]
    signs = np.where(np.take_along_axis(vectors, largest, axis=1) < 0, -1, 1)
    signed: Floats32 = (vectors * signs).astype(np.float32)
    return signed[where.reshape(-1)]
