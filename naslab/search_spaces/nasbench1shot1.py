"""NAS-Bench-1Shot1: three sub-spaces of NAS-Bench-101 with a fixed number of parents per node.

Zela et al. 2020, "NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot Neural Architecture Search" (section 3). A
cell has four or five choice blocks. Each adds up its parents, then applies one of three operations. The output
concatenates its parents. Sub-space 1 has 1, 2, 2, 2 parents per block and 2 for the output; sub-space 2 has 1, 1, 2, 2
and 3; sub-space 3 has 1, 1, 1, 2, 2 and 2.

**Sizes.** An architecture here is one set of parents per node and one operation per block: C(v, k) sets for node v with
k parents, three operations. That gives 14,580, 29,160 and 1,312,200. The paper states 6,240, 29,160 and 363,648 (with
loose ends). Enumeration gives the first and the third if the operation counts only in blocks that some node reads: the
sum over all parent patterns of ``3 ** (blocks that are read)``. The same sum is 16,632 in the second sub-space; the
number published there is the plain product instead. The paper's 2,487, 3,609 and 24,066 (without loose ends) count 49,
65 and 234 patterns that its depth-first generator yields; there are 66, 190 and 876 different ones, with 3,702, 12,474
and 135,900 assignments of operations.

**Deviations.** This is the paper's one-shot network: every block has the stage's width, and blocks that are not the
output's parents leave zeros in the concatenation. In NAS-Bench-101 the widths of blocks depend on the number of the
output's parents, so costs here differ from NAS-Bench-101's table. The paper weights parents by a softmax and keeps the
strongest; here the set of parents is one choice, as in the paper's black-box optimizers, so that every
option is an architecture. For a node that keeps one parent the two are the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue, UnknownName
from naslab.ops import Conv, Identity, MaxPool, Operation, PooledLinear, Zero
from naslab.search_spaces.nasbench101_cell import Cell
from naslab.search_spaces.stacked import stacked_cells
from naslab.space import Architecture, Choice, SearchSpace

PARENTS = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
"""Number of parents of each block and, last, of the output, by sub-space. Node 0 is the cell's input."""

OPERATIONS = {
    "maxpool3x3": MaxPool(kernel=3),
    "conv3x3-bn-relu": Conv(kernel=3, order="conv-bn-relu"),
    "conv1x1-bn-relu": Conv(kernel=1, order="conv-bn-relu"),
}
"""NAS-Bench-101's names."""


def nasbench1shot1(
    sub_space: int = 1,
    num_classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    channels: int = 16,
    cells_per_stack: int = 3,
) -> NASBench1Shot1:
    """One of the three sub-spaces, 14,580, 29,160 or 1,312,200 architectures (see the module for published counts).

    A stem, three stacks of cells with a maximum pooling between stacks, a 1x1 convolution and a classifier.

    Args:
        sub_space: 1, 2 or 3.
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Width of the blocks of the first stack; the others have two and four times as many.
        cells_per_stack: Cells in each of the three stacks.

    Raises:
        InvalidValue: There is no such sub-space, or more than 1,000 cells per stack.
    """
    if sub_space not in PARENTS:
        raise InvalidValue(f"sub_space={sub_space!r}; allowed: 1, 2, 3")
    parents = PARENTS[sub_space]
    add_cell = partial(_add_cell, parents=parents)
    graph, last, width = stacked_cells(input_shape, channels, cells_per_stack, add_cell)
    graph.add_node("last", width=width)
    graph.add_edge(last, "last", op=Conv(kernel=1))  # the public one-shot network's last step before its classifier
    graph.add_node("logits", width=num_classes)
    graph.add_edge("last", "logits", op=PooledLinear())
    return NASBench1Shot1(graph, parents)


class NASBench1Shot1(SearchSpace):
    """Cells of choice blocks, written ``conv3x3-bn-relu:0|maxpool3x3:0,1|...|output:2,4``: operation and parents.

    Args:
        graph: The whole network.
        parents: Number of parents of each block and of the output.
    """

    def __init__(self, graph: nx.DiGraph[Any], parents: Sequence[int]) -> None:
        self.parents = tuple(parents)
        cell: nx.DiGraph[Any] = nx.DiGraph()
        cell.add_node("input")
        _add_cell(cell, "cell", "input", 1, parents)
        order = [f"block{v}/operation" for v in range(1, len(parents))]
        order += [f"{_name(v, parents)}/parents" for v in range(1, len(parents) + 1) if len(_sets(v, parents)) > 1]
        super().__init__(graph, name="nasbench1shot1", order=order, cells=[cell])

    def official_key(self, architecture: Architecture) -> str:
        """The hash under which NAS-Bench-101 lists the cell that an architecture is there: what the authors look up.

        A block is a vertex; one that nobody reads is no part of the cell.
        """
        decisions = self.decisions(architecture)
        edges, operations = [], []
        for v in range(1, len(self.parents) + 1):
            name = _name(v, self.parents)
            edges += [(u, v) for u in _sets(v, self.parents)[decisions.get(f"{name}/parents", 0)]]
            if v < len(self.parents):
                operations.append(list(OPERATIONS)[decisions[f"{name}/operation"]])
        return _published_hash(Cell(tuple(sorted(edges)), tuple(operations)).pruned)

    def to_string(self, architecture: Architecture) -> str:
        decisions = self.decisions(architecture)
        parts = []
        for v in range(1, len(self.parents) + 1):
            name = _name(v, self.parents)
            operation = "output" if name == "output" else list(OPERATIONS)[decisions[f"{name}/operation"]]
            chosen = _sets(v, self.parents)[decisions.get(f"{name}/parents", 0)]
            parts.append(f"{operation}:{','.join(map(str, chosen))}")
        return "|".join(parts)

    def from_string(self, string: str) -> Architecture:
        parts = [part.partition(":")[::2] for part in string.split("|")]
        if len(parts) != len(self.parents) or parts[-1][0] != "output":
            example = self.to_string((0,) * len(self.choices))
            raise InvalidArchitecture(f"{string!r} is not a cell of this sub-space such as {example!r}")
        decisions = {}
        for v, (operation, chosen) in enumerate(parts, start=1):
            name, sets = _name(v, self.parents), [",".join(map(str, s)) for s in _sets(v, self.parents)]
            if chosen not in sets:
                raise InvalidArchitecture(f"{string!r}: {name} can't have the parents {chosen!r}; allowed: {sets}")
            decisions[f"{name}/parents"] = sets.index(chosen)
            if v < len(parts):
                if operation not in OPERATIONS:
                    raise InvalidArchitecture(f"{string!r}: operation {UnknownName(operation, OPERATIONS)}")
                decisions[f"{name}/operation"] = list(OPERATIONS).index(operation)
        return self.architecture([decisions[choice.name] for choice in self.choices])


def _name(node: int, parents: Sequence[int]) -> str:
    return f"block{node}" if node < len(parents) else "output"


@lru_cache(2**16)
def _published_hash(pruned: Cell) -> str:
    return pruned.official_hash


def _sets(node: int, parents: Sequence[int]) -> list[tuple[int, ...]]:
    """The sets of parents that a node can have."""
    return list(itertools.combinations(range(node), parents[node - 1]))


def _kept(op: Operation, source: int, node: int, parents: Sequence[int]) -> Choice | Operation:
    """The edge between two nodes of a cell: ``op`` where the source is a parent."""
    sets = _sets(node, parents)
    if len(sets) == 1:
        return op
    return Choice(f"{_name(node, parents)}/parents", tuple(op if source in chosen else Zero() for chosen in sets))


def _add_cell(graph: nx.DiGraph[Any], name: str, last: str, width: int, parents: Sequence[int]) -> str:
    """Append one cell; returns its output.

    The cell's input is projected to the width of each node that reads it, once for each of them; the output adds its
    projection to the concatenated blocks (Ying et al. 2019, NAS-Bench-101).
    """
    projection = Conv(kernel=1, order="conv-bn-relu")
    blocks = range(1, len(parents))
    for v in blocks:
        graph.add_nodes_from((f"{name}/sum{v}", f"{name}/block{v}"), width=width)
        graph.add_edge(last, f"{name}/sum{v}", op=_kept(projection, 0, v, parents))
        for u in range(1, v):
            graph.add_edge(f"{name}/block{u}", f"{name}/sum{v}", op=_kept(Identity(), u, v, parents))
        operation = Choice(f"block{v}/operation", tuple(OPERATIONS.values()))
        graph.add_edge(f"{name}/sum{v}", f"{name}/block{v}", op=operation)
    graph.add_node(f"{name}/blocks", combine="concat", inputs=tuple(f"{name}/block{v}" for v in blocks))
    graph.add_node(name, width=len(blocks) * width)
    for v in blocks:
        graph.add_edge(f"{name}/block{v}", f"{name}/blocks", op=_kept(Identity(), v, len(parents), parents))
    graph.add_edge(f"{name}/blocks", name, op=Identity())
    graph.add_edge(last, name, op=_kept(projection, 0, len(parents), parents))
    return name
