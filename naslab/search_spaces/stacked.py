"""The skeleton of NAS-Bench-101's networks, around cells of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx

from naslab.ops import Conv, MaxPool
from naslab.search_spaces.counts import check_count


def stacked_cells(
    input_shape: Sequence[int],
    channels: int,
    cells_per_stack: int,
    add_cell: Callable[[nx.DiGraph[Any], str, str, int], str],
) -> tuple[nx.DiGraph[Any], str, int]:
    """A stem and three stacks of cells, a maximum pooling between stacks (Ying et al. 2019, section 2.1).

    Args:
        input_shape: Channels, height and width.
        channels: Of the stem and of the first stack; the others have two and four times as many.
        cells_per_stack: Cells in each stack.
        add_cell: Appends a cell to a graph, given the cell's name, the tensor that it reads and its stack's width, and
            returns its output.

    Returns:
        The graph, its last tensor, and the width of the last stack.

    Raises:
        InvalidValue: More than 1,000 cells per stack.
    """
    check_count(cells_per_stack=cells_per_stack)
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=channels)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn-relu"))
    last, width = "stem", channels
    for stack in (1, 2, 3):
        if stack > 1:
            graph.add_edge(last, f"pooled{stack - 1}", op=MaxPool(kernel=2, stride=2))
            last, width = f"pooled{stack - 1}", 2 * width
        for number in range(1, cells_per_stack + 1):
            last = add_cell(graph, f"stack{stack}/cell{number}", last, width)
    return graph, last, width
