"""What NAS-Bench-101 published of its cells, beside what naslab makes of them."""

from __future__ import annotations

import itertools

import networkx as nx

from naslab.search_spaces.nasbench101 import LETTERS
from naslab.search_spaces.nasbench101_cell import OPERATIONS, Cell

CELLS = 423_624
WIDTHS = (128, 256, 512)


def stated(edges: str, letters: str) -> Cell:
    return Cell(
        tuple((int(u), int(v)) for u, v in edges.split()), tuple(OPERATIONS[LETTERS.index(each)] for each in letters)
    )


def written(cell: Cell) -> str:
    letters = "".join(LETTERS[OPERATIONS.index(name)] for name in cell.operations)
    return f"{' '.join(f'{u}{v}' for u, v in cell.edges)}|{letters}"


def numberings(cell: Cell) -> list[Cell]:
    """The same cell with its inner vertices in every order in which edges lead to later ones."""
    found = []
    for order in itertools.permutations(range(1, cell.last)):
        number = (0, *order, cell.last)
        edges = sorted((number[u], number[v]) for u, v in cell.edges)
        if all(u < v for u, v in edges):
            operations = sorted(zip(order, cell.operations, strict=True))
            found.append(Cell(tuple(edges), tuple(name for _, name in operations)))
    return found


def concatenated(cell: Cell) -> int:
    return sum(v == cell.last and u > 0 for u, v in cell.pruned.edges)


def utilised(cell: Cell) -> set[tuple[int, int]]:
    """The edges on paths from the input to the output."""
    graph = nx.DiGraph([*cell.edges])
    graph.add_nodes_from(range(cell.last + 1))
    from_input, to_output = {0} | nx.descendants(graph, 0), {cell.last} | nx.ancestors(graph, cell.last)
    return {(u, v) for u, v in cell.edges if u in from_input and v in to_output}
