"""All adjacency matrices of NAS-Bench-101's cells at once, as bits of whole numbers: which are valid, which are equal.

The first edge, from vertex 0 to 1, is the highest bit, then come the others row by row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from naslab.search_spaces.nasbench101_cell import MOST_EDGES, OPERATIONS, VERTICES, Cell

Codes = npt.NDArray[np.int64]


@cache
def edges_between(vertices: int) -> tuple[tuple[int, int], ...]:
    """From each vertex to each later one, row by row."""
    return tuple(itertools.combinations(range(vertices), 2))


def valid_matrices() -> npt.NDArray[np.bool_]:
    """Which matrices of seven vertices are cells, one axis of length 2 per edge: 1,538,083 of 2,097,152.

    NAS-Bench-101's rule: the input is connected to the output, and after pruning at most nine edges are left. Only
    573,494 have no more than nine before.
    """
    edges, last = edges_between(VERTICES), VERTICES - 1
    bits = dict(zip(edges, _bits(np.arange(2 ** len(edges)), len(edges)), strict=True))
    always, never = np.ones(2 ** len(edges), np.bool_), np.zeros(2 ** len(edges), np.bool_)
    reached = [always] + [never] * last
    for u, v in edges:
        reached[v] = reached[v] | (reached[u] & bits[u, v])
    reaching = [never] * last + [always]
    for u, v in reversed(edges):
        reaching[u] = reaching[u] | (reaching[v] & bits[u, v])
    count = np.zeros(2 ** len(edges), np.int8)
    for u, v in edges:
        count += reached[u] & bits[u, v] & reaching[v]
    return ((count > 0) & (count <= MOST_EDGES)).reshape((2,) * len(edges))


def unique_cells() -> Iterator[Cell]:
    """One cell of each isomorphism class, pruned: the 423,624 of NAS-Bench-101, the smallest first."""
    for vertices in range(2, VERTICES + 1):
        edges, places = edges_between(vertices), vertices - 2
        codes = full_matrices(vertices)
        orders = list(itertools.permutations(range(1, vertices - 1)))
        forms = np.stack([renumbered(codes, vertices, order) for order in orders])
        labels = np.array(list(itertools.product(range(len(OPERATIONS)), repeat=places)), np.int64)
        weights = len(OPERATIONS) ** np.arange(places - 1, -1, -1)
        numbers = [labels[:, [order.index(v) for v in range(1, vertices - 1)]] @ weights for order in orders]
        for column in np.flatnonzero(forms.min(axis=0) == codes):  # the smallest of all orders stands for them
            same = [number for number, form in zip(numbers, forms[:, column], strict=True) if form == codes[column]]
            kept = tuple(edge for edge, bit in zip(edges, _bits(codes[column], len(edges)), strict=True) if bit)
            for row in labels[np.min(same, axis=0) == labels @ weights]:
                yield Cell(kept, tuple(OPERATIONS[label] for label in row))


def _bits(codes: Any, count: int) -> list[npt.NDArray[np.bool_]]:
    return [(codes >> (count - 1 - i)) & 1 == 1 for i in range(count)]


def full_matrices(vertices: int) -> Codes:
    """The matrices of which nothing is pruned: of all vertices but the ends an edge comes, and to each one goes."""
    edges = edges_between(vertices)
    codes = np.arange(2 ** len(edges))
    for v in range(vertices):
        for end in (0, 1):
            mask = sum(1 << (len(edges) - 1 - i) for i, edge in enumerate(edges) if edge[end] == v)
            if mask:  # the input has no edge into it, the output none out of it
                codes = codes[codes & mask != 0]
    return codes[np.bitwise_count(codes) <= MOST_EDGES]


def renumbered(codes: Codes, vertices: int, order: tuple[int, ...]) -> Codes:
    """The same graphs with inner vertex i called ``order[i - 1]``; a number above all others where an edge would point
    to an earlier vertex."""
    edges, number = edges_between(vertices), (0, *order, vertices - 1)
    place = {edge: len(edges) - 1 - i for i, edge in enumerate(edges)}
    found = np.zeros_like(codes)
    for (u, v), bit in zip(edges, _bits(codes, len(edges)), strict=True):
        there = place.get((number[u], number[v]))
        found |= bit * np.int64(1 << (there if there is not None else len(edges)))
    return np.where(found >> len(edges), np.int64(1 << len(edges)), found)
