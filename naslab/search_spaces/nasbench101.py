"""NAS-Bench-101: cells of at most seven vertices and nine edges, with one of three operations on each inner vertex.

Ying et al. 2019, "NAS-Bench-101: Towards Reproducible Neural Architecture Search" (sections 2.1 to 2.3). A choice says
for each of the 21 pairs of vertices whether there is an edge, five say which operation the inner vertices have: what
published searches vary. A vertex adds up what it reads, of a wider one its first channels, the cell's input through a
1x1 convolution; the output concatenates what it reads and adds the projected input.

**What counts is the pruned cell.** A vertex that is on no path from the input to the output is no part of a network: it
costs nothing, its edges are not counted, its operation makes no difference. A matrix is valid where input and output
are connected and at most nine edges are left: 1,538,083 matrices, 373,754,169 architectures. They are 423,624 cells up
to isomorphism, each with the published hash: :meth:`NASBench101.official_key`.

**Two keys.** The published hash does not see channels. Where the output concatenates three vertices, its channels can't
be divided evenly and the first ones get one more: which these are depends on how the vertices are numbered. Such a cell
may be several networks with different parameters, of which NAS-Bench-101 trained one. They are 535,558 networks:
:meth:`~naslab.space.SearchSpace.canonical` tells them apart, and merges nothing that the hash separates.

**Deviations.** Weights begin at PyTorch's default values, and batch normalisation has its default momentum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.files import clipped
from naslab.ops import Conv, Identity, MaxPool, Operation, PooledLinear, Truncate, Zero
from naslab.search_spaces.nasbench101_cell import OPERATIONS, VERTICES, Cell, cell_of, channels
from naslab.search_spaces.nasbench101_costs import cell_params
from naslab.search_spaces.nasbench101_matrices import edges_between, unique_cells, valid_matrices
from naslab.search_spaces.stacked import stacked_cells
from naslab.space import (
    Architecture,
    Automaton,
    Choice,
    CostPerArchitecture,
    Derived,
    SearchSpace,
    pruned,
    tabulated,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGES = edges_between(VERTICES)
"""From each vertex to each later one: the first 21 choices, row by row."""
LAST, INNER = VERTICES - 1, range(1, VERTICES - 1)
_WRITTEN = tuple(f"{u}{v}" for u, v in EDGES)
MOST_JOINED = 4
"""The output concatenates at most so many vertices: each takes an edge to reach it, and one to be reached."""
LETTERS = "31m"
"""How the operations are written in strings, in the published order."""
EXAMPLE = "01 02 12 16 23 34 36 45 56|313m1"


def nasbench101(
    num_classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    channels: int = 128,
    cells_per_stack: int = 3,
) -> NASBench101:
    """NAS-Bench-101's search space: 373,754,169 architectures, 423,624 cells.

    A stem, three stacks of equal cells with a maximum pooling between stacks, and a classifier.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Of the stem and of the first stack's cells; the others have two and four times as many.
        cells_per_stack: Cells in each of the three stacks.

    Raises:
        InvalidValue: More than 1,000 cells per stack, or too few channels for the vertices that share them.
    """
    if not isinstance(channels, int) or channels < MOST_JOINED:
        raise InvalidValue(
            f"channels={clipped(channels)}: give a whole number of at least {MOST_JOINED}, a channel for each vertex "
            "that the output may concatenate"
        )

    def add_cell(graph: nx.DiGraph[Any], name: str, last: str, width: int) -> str:
        return _add_cell(graph, name, last, (width,))

    graph, last, _ = stacked_cells(input_shape, channels, cells_per_stack, add_cell)
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=PooledLinear())
    return NASBench101(graph, (channels, 2 * channels, 4 * channels))


class NASBench101(SearchSpace):
    """Cells of NAS-Bench-101, written as edges and operations: ``01 02 12 16 23 34 36 45 56|313m1``.

    Args:
        graph: The whole network.
        widths: Of its stacks.
    """

    def __init__(self, graph: nx.DiGraph[Any], widths: Sequence[int]) -> None:
        self.widths = tuple(widths)
        cell: nx.DiGraph[Any] = nx.DiGraph()
        cell.add_node("input")
        # One cell stands for those of all stacks: as wide as they are together. A vertex's share is never larger than
        # that of the vertex before it, in no stack, so that equal sums are equal shares.
        _add_cell(cell, "cell", "input", widths)
        names = [*(f"{u}->{v}" for u, v in EDGES), *(f"operation{v}" for v in INNER)]
        super().__init__(graph, name="nasbench101", order=names, rules=[_valid()], cells=[cell])

    def cell(self, architecture: Architecture) -> Cell:
        """The cell as it is stated, seven vertices with whatever is pruned: see :attr:`Cell.pruned`."""
        options = self.architecture(architecture)
        edges = tuple(edge for edge, option in zip(EDGES, options, strict=False) if option)
        return Cell(edges, tuple(OPERATIONS[option] for option in options[len(EDGES) :]))

    def spec(self, architecture: Architecture) -> tuple[list[list[int]], list[str]]:
        """The pruned cell as the two arguments of the public code's ``ModelSpec``: matrix and operations."""
        cell = self.cell(architecture).pruned
        return cell.matrix, ["input", *cell.operations, "output"]

    def from_spec(self, matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> Architecture:
        """The architecture of a matrix and operations as ``ModelSpec`` takes them, pruned or not.

        Of fewer than seven vertices the last one becomes the output; those that are added have no edges and the first
        operation, as in NASLib.

        Raises:
            InvalidArchitecture: They are no cell of this space.
        """
        return self._of(cell_of(matrix, operations))

    def official_key(self, architecture: Architecture) -> str:
        """The hash under which NAS-Bench-101 lists the pruned cell: for looking it up in a table."""
        return self.cell(architecture).official_hash

    def lookup_key(self, architecture: Architecture) -> str:
        """:meth:`official_key`: NAS-Bench-101 trained one network for each hash."""
        return self.official_key(architecture)

    def representatives(self) -> Iterator[Architecture]:
        """One architecture of each of the 423,624 cells, those of fewest vertices first."""
        return map(self._of, unique_cells())

    def to_string(self, architecture: Architecture) -> str:
        """Edges as two digits each, then the operations: ``3`` and ``1`` convolutions, ``m`` the maximum pooling."""
        options = self.architecture(architecture)
        letters = "".join([LETTERS[option] for option in options[len(EDGES) :]])
        return f"{' '.join(compress(_WRITTEN, options))}|{letters}"

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`; with fewer operations it is a cell of fewer vertices, as for
        :meth:`from_spec`.

        Raises:
            InvalidArchitecture: The string is no cell of this space.
        """
        edges, _, letters = string.strip().partition("|")
        pairs = edges.split(" ") if re.fullmatch(r"[0-6]{2}( [0-6]{2}){0,20}", edges) else []
        listed = [(int(pair[0]), int(pair[1])) for pair in pairs]
        in_order = listed == sorted(set(listed)) and all(u < v <= len(letters) + 1 for u, v in listed)
        if not listed or not in_order or len(letters) > len(INNER) or set(letters) - set(LETTERS):
            raise InvalidArchitecture(f"{clipped(string)} is not a cell of NAS-Bench-101 such as {EXAMPLE!r}")
        return self._of(Cell(tuple(listed), tuple(OPERATIONS[LETTERS.index(letter)] for letter in letters)))

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of the pruned cell: its vertices with their operations and the channels of the first stack.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

        cell = self.cell(architecture).pruned
        widths = channels(cell.edges, cell.last, self.widths[0])
        inner = (f"{v} {name.partition('-')[0]}\n{widths[v]}" for v, name in enumerate(cell.operations, start=1))
        names = ["input", *inner, f"output\n{widths[-1]}"]
        graph: nx.DiGraph[Any] = nx.DiGraph()
        graph.add_nodes_from(names)
        graph.add_edges_from((names[u], names[v]) for u, v in cell.edges)
        return draw_cell(graph, ax, title=f"{self.name}: {self.cost(architecture).params / 1e6:,.1f} M parameters")

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The valid architectures with one choice changed and with another pruned cell: NASLib's neighbourhood.

        Deviation from the moves of other spaces: what changes nothing but pruned parts is no move. A vertex without any
        edge hence stays without.
        """
        here = self.cell(architecture).pruned
        changed = [
            (*architecture[:i], option, *architecture[i + 1 :])
            for i, size in enumerate(self.sizes)
            for option in range(size)
            if option != architecture[i]
        ]
        return [a for a in changed if self.is_valid(a) and self.cell(a).pruned != here]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the neighbours.

        Deviation: the public notebook flips each edge with probability 1/7 and changes each operation with
        probability 1/5, until the cell is valid.
        """
        found = self.neighbors(architecture)
        return found[int(rng.random() * len(found))]

    @cached_property
    def cost_model(self) -> CostPerArchitecture:
        """Costs of one architecture after the other; parameters of many at once."""
        return CostPerArchitecture(self.name, self.resolve, {"params": self._params})

    def _params(self, architectures: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return cell_params(architectures, self.widths, self._cells) + self._skeleton

    @cached_property
    def _cells(self) -> int:
        """Cells in a stack."""
        combined = nx.get_node_attributes(self.graph, "combine").values()
        return len([how for how in combined if how == "concat"]) // len(self.widths)

    @cached_property
    def _skeleton(self) -> int:
        """Parameters of the stem and the classifier."""
        example = self.from_string(EXAMPLE)
        whole = self.cost_model.value("params", example)
        return whole - int(cell_params(np.array([example]), self.widths, self._cells)[0])

    def _of(self, cell: Cell) -> Architecture:
        """Raises InvalidArchitecture."""
        present = {(u, v if v < cell.last else LAST) for u, v in cell.edges}
        operations = [OPERATIONS.index(name) for name in cell.operations]
        options = [*(int(edge in present) for edge in EDGES), *operations, *[0] * (len(INNER) - len(operations))]
        return self.architecture(options)

    def _resolved(self, graph: nx.DiGraph[Any], decisions: dict[str, Any]) -> nx.DiGraph[Any]:
        return pruned(super()._resolved(graph, decisions))


@dataclass(frozen=True)
class Channels:
    """The channels of a vertex, of cells with outputs of these widths together; 0 where it is pruned."""

    vertex: int
    widths: tuple[int, ...]

    def __call__(self, taken: Mapping[str, Operation]) -> int:
        edges = tuple((u, v) for u, v in EDGES if not taken[f"{u}->{v}"].is_zero)
        return sum(channels(edges, LAST, width)[self.vertex] for width in self.widths)


@cache
def _share(vertex: int, widths: tuple[int, ...]) -> Derived:
    """One object for all nodes of the same width, so that it is worked out once."""
    return Derived(Channels(vertex, widths))


@cache
def _valid() -> Automaton:
    words = "connected, and at most nine edges between input and output"
    return tabulated([f"{u}->{v}" for u, v in EDGES], valid_matrices(), words)


def _add_cell(graph: nx.DiGraph[Any], name: str, last: str, widths: Sequence[int]) -> str:
    """Append one cell with an output as wide as these together; returns it."""
    projection = Conv(kernel=1, order="conv-bn-relu")
    operations = (Conv(kernel=3, order="conv-bn-relu"), projection, MaxPool(kernel=3))

    def connect(u: int, v: int, op: Operation) -> None:
        source = f"{name}/{u}" if u else last
        node = {LAST: f"{name}/joined" if u else name}.get(v, f"{name}/sum{v}")
        graph.add_edge(source, node, op=Choice(f"{u}->{v}", (Zero(), op)))

    for v in INNER:
        graph.add_nodes_from((f"{name}/sum{v}", f"{name}/{v}"), width=_share(v, tuple(widths)))
        for u in range(v):
            connect(u, v, Truncate() if u else projection)
        graph.add_edge(f"{name}/sum{v}", f"{name}/{v}", op=Choice(f"operation{v}", operations))
    graph.add_node(f"{name}/joined", combine="concat", inputs=tuple(f"{name}/{v}" for v in INNER))
    graph.add_node(name, width=sum(widths))
    for v in INNER:
        connect(v, LAST, Identity())
    graph.add_edge(f"{name}/joined", name, op=Identity())
    connect(0, LAST, projection)
    return name
