"""Operations as nodes, for graph networks and transformers: tokens and adjacency of many architectures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from naslab.evaluators.predictors.wiring import IDENTITY, ZERO, Cell, Wiring
from naslab.space import Architecture

Flags = npt.NDArray[np.bool_]

PADDING, INPUT, OUTPUT = 0, 1, 2
"""Tokens that are no operation: for a removed operation, an input, the output."""


class OperationGraphs(NamedTuple):
    """Graphs with operations on nodes: for each cell its inputs, one node for every edge, and its output.

    Attributes:
        tokens: ``(n, L)`` index into ``vocabulary``.
        adjacency: ``(n, L, L)`` how often the column's operation reads the row's result: data flows from row to column,
            in topological order. ``(1, L, L)`` where it is the same for all.
        vocabulary: What the tokens mean; ``"padding"`` first.
    """

    tokens: npt.NDArray[np.int64]
    adjacency: npt.NDArray[np.uint8]
    vocabulary: tuple[str, ...]


def operation_graphs(
    wiring: Wiring, architectures: Sequence[Architecture], *, simplified: bool = False
) -> OperationGraphs:
    """The line graph of every architecture's cells, between inputs and outputs.

    Args:
        wiring: Of the space.
        architectures: ``n`` of them.
        simplified: Keep only what can affect the output, and replace identities by what they pass on. Then two graphs
            are isomorphic exactly if the data flows are (:meth:`naslab.space.SearchSpace.canonical`). A removed
            operation becomes padding without neighbours, where it stood. Otherwise all edges are nodes, zeros and
            identities included; the adjacency is the space's.
    """
    options = wiring.options(architectures)
    vocabulary = ("padding", "input", "output", *wiring.vocabulary)
    tokens, blocks = [], []
    for cell in wiring.cells:
        operations = cell.operations(options)
        if simplified:
            live = np.where(cell.live(operations), operations, ZERO)
            kept = (live != ZERO) & (live != IDENTITY)
            block = _adjacency(cell, kept, live == IDENTITY)
        else:
            kept = np.ones(operations.shape, np.bool_)
            block = _adjacency(cell, kept[:1], ~kept[:1])
        inputs = np.full((len(options), len(cell.sources)), INPUT)
        inputs[~np.broadcast_to(block[:, : len(cell.sources)].any(axis=2), inputs.shape)] = PADDING
        shifted = operations + len(vocabulary) - len(wiring.vocabulary)
        tokens += [inputs, np.where(kept, shifted, PADDING), np.full((len(options), 1), OUTPUT)]
        blocks.append(block)
    return OperationGraphs(np.concatenate(tokens, axis=1), _diagonal(blocks), vocabulary)


def _adjacency(cell: Cell, kept: Flags, passing: Flags) -> npt.NDArray[np.uint8]:
    """``(n, L, L)``, from ``(n, edges)``: which edges are operations, and which pass on their input."""
    width = len(cell.sources) + len(cell.edges) + 1
    adjacency = np.zeros((len(kept), width, width), np.uint8)
    arriving = np.zeros((cell.nodes, len(kept), width), np.uint8)  # how often each result arrives at each node
    for place, source in enumerate(cell.sources):
        arriving[source, :, place] = 1
    for column, edge in enumerate(cell.edges):
        place = len(cell.sources) + column
        adjacency[:, :, place] = arriving[edge.tail] * kept[:, column, None]
        arriving[edge.head] += arriving[edge.tail] * passing[:, column, None]
        arriving[edge.head, :, place] += kept[:, column]
    adjacency[:, :, -1] = arriving[-1]
    return adjacency


def _diagonal(blocks: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    if len(blocks) == 1:
        return blocks[0]
    width = sum(block.shape[1] for block in blocks)
    whole = np.zeros((len(blocks[0]), width, width), np.uint8)
    start = 0
    for block in blocks:
        end = start + block.shape[1]
        whole[:, start:end, start:end] = block
        start = end
    return whole
