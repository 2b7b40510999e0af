"""One cell of NAS-Bench-101: what is left of it after pruning, its channels, its published hash.

Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search" (sections 2.1 to 2.3); rules that the
paper does not state are those of its public code. Nothing here knows of graphs with choices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from naslab.errors import InvalidArchitecture, UnknownName
from naslab.files import clipped

VERTICES, MOST_EDGES = 7, 9
"""A cell has at most so many vertices (the input is the first, the output the last) and, once pruned, edges."""
OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The published names, in the order in which the hash numbers them."""

Edges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Cell:
    """A directed acyclic graph with an operation on every inner vertex.

    Attributes:
        edges: From a vertex to a later one, sorted.
        operations: Names, of all vertices but the first and the last.
    """

    edges: Edges
    operations: tuple[str, ...]

    @property
    def last(self) -> int:
        """The output's number."""
        return len(self.operations) + 1

    @cached_property
    def pruned(self) -> Cell:
        """The cell without the vertices that are on no path from the input to the output; no edges if there is none."""
        live = live_edges(self.edges, self.last)
        kept = sorted({0, self.last, *(v for edge in live for v in edge)})
        number = {v: i for i, v in enumerate(kept)}
        return Cell(tuple((number[u], number[v]) for u, v in live), tuple(self.operations[v - 1] for v in kept[1:-1]))

    @property
    def matrix(self) -> list[list[int]]:
        """Rows of zeros and ones: from a vertex to another."""
        edges, vertices = set(self.edges), range(self.last + 1)
        return [[int((u, v) in edges) for v in vertices] for u in vertices]

    @property
    def official_hash(self) -> str:
        """The hash under which NAS-Bench-101 lists the cell, 32 hexadecimal digits.

        Colour refinement of the pruned cell by MD5: a vertex begins with the numbers of edges out of it and into it and
        its operation, and takes as many rounds as there are vertices to learn of its neighbours. No two of the 423,624
        cells share one.
        """
        cell = self.pruned
        into: list[list[int]] = [[] for _ in range(cell.last + 1)]
        out: list[list[int]] = [[] for _ in into]
        for u, v in cell.edges:
            out[u].append(v)
            into[v].append(u)
        labels = (-1, *map(OPERATIONS.index, cell.operations), -2)
        colours = [_md5(str((len(o), len(i), label))) for o, i, label in zip(out, into, labels, strict=True)]
        for _ in labels:
            sides = [
                ["".join(sorted(colours[v] for v in side)) for side in sides] for sides in zip(into, out, strict=True)
            ]
            colours = [_md5("|".join((*side, colour))) for side, colour in zip(sides, colours, strict=True)]
        return _md5(str(sorted(colours)))


def cell_of(matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> Cell:
    """A cell from the two arguments of the public code's ``ModelSpec``.

    Args:
        matrix: Square, of zeros and ones (numbers or truth values), ones above the diagonal only.
        operations: One per vertex; the first and the last are not read.

    Raises:
        InvalidArchitecture: They are not that.
    """
    try:
        rows, size = [list(row) for row in matrix], len(operations)
    except TypeError:
        raise InvalidArchitecture(f"{clipped(matrix)} is no matrix; give rows of zeros and ones") from None
    if not 2 <= size <= VERTICES or len(rows) != size or any(len(row) != size for row in rows):
        shape = f"{len(rows)} x {len(rows[0]) if rows else 0}"
        raise InvalidArchitecture(
            f"a matrix of {shape} and {size} operations; allowed: 2 to {VERTICES} vertices, an operation for each"
        )
    for u, row in enumerate(rows):
        for v, entry in enumerate(row):
            if entry not in (0, 1) or (entry and u >= v):
                raise InvalidArchitecture(
                    f"the matrix has {clipped(entry)} from vertex {u} to {v}; allowed: 0, and 1 to later vertices"
                )
    for name in operations[1:-1]:
        if name not in OPERATIONS:
            raise InvalidArchitecture(f"operation {UnknownName(str(name), OPERATIONS)}")
    edges = tuple((u, v) for u in range(size) for v in range(u + 1, size) if rows[u][v])
    return Cell(edges, tuple(operations[1:-1]))


@lru_cache(4096)
def live_edges(edges: Edges, last: int) -> Edges:
    """The edges that are on a path from the input to the output; ``edges`` are sorted."""
    reached, reaching = {0}, {last}
    for u, v in edges:  # an edge into u stands before any out of it
        if u in reached:
            reached.add(v)
    for u, v in reversed(edges):
        if v in reaching:
            reaching.add(u)
    return tuple((u, v) for u, v in edges if u in reached and v in reaching)


@lru_cache(4096)
def channels(edges: Edges, last: int, output: int) -> tuple[int, ...]:
    """How many channels each vertex has; 0 where it is pruned, and for the input, which has what it is given.

    Those that the output concatenates share its channels; where these can't be divided, the first ones get one more.
    The others have as many as the widest vertex that reads them.

    Args:
        edges: Of the cell, sorted.
        last: The output.
        output: Its channels.
    """
    live = live_edges(edges, last)
    joined = [u for u, v in live if v == last and u]
    found = [0] * last + [output]
    if joined:
        share, left = divmod(output, len(joined))
        for i, u in enumerate(joined):
            found[u] = share + (i < left)
    for u, v in reversed(live):
        if u and u not in joined:
            found[u] = max(found[u], found[v])
    return tuple(found)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
