"""NAS-Bench-201: a cell of four nodes with one of five operations on each of its six edges.

Dong & Yang 2020, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search" (section 2); the same
space is NATS-Bench's topology space. A stem, three stages of equal cells with a residual reduction between stages,
and a classifier: one flat graph in which all cells share the six choices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import networkx as nx

from naslab.errors import InvalidArchitecture, UnknownName
from naslab.files import clipped
from naslab.ops import AvgPool, Classifier, Conv, Identity, ResidualReduction, Zero
from naslab.search_spaces.counts import check_count
from naslab.space import Architecture, Choice, SearchSpace

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The cell's edges in the order of the official string."""

OPERATIONS = {
    "none": Zero(),
    "skip_connect": Identity(),
    "nor_conv_1x1": Conv(kernel=1),
    "nor_conv_3x3": Conv(kernel=3),
    "avg_pool_3x3": AvgPool(kernel=3),
}
"""The official names, in the official order."""

NASLIB_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
NASLIB_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""The orders in which NASLib numbers edges and operations; NAS-Bench-Suite-Zero's keys are its tuples."""

EXAMPLE = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"


def nasbench201(
    num_classes: int = 10,
    input_shape: Sequence[int] = (3, 32, 32),
    channels: int = 16,
    cells_per_stage: int = 5,
) -> NASBench201:
    """The NAS-Bench-201 search space, 15,625 architectures.

    Args:
        num_classes: 10 (CIFAR-10), 100 (CIFAR-100), 120 (ImageNet16-120).
        input_shape: ``(3, 32, 32)``, or ``(3, 16, 16)`` for ImageNet16-120.
        channels: Width of the first stage; the others have two and four times as many.
        cells_per_stage: Cells in each of the three stages.

    Raises:
        InvalidValue: More than 1,000 cells per stage.
    """
    check_count(cells_per_stage=cells_per_stage)
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=channels)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn"))
    last = "stem"
    for stage in (1, 2, 3):
        width = channels * 2 ** (stage - 1)
        if stage > 1:
            graph.add_node(f"reduction{stage - 1}", width=width)
            graph.add_edge(last, f"reduction{stage - 1}", op=ResidualReduction())
            last = f"reduction{stage - 1}"
        for number in range(1, cells_per_stage + 1):
            last = add_cell(graph, f"stage{stage}/cell{number}", last, width)
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=Classifier())
    return NASBench201(graph, name="nasbench201")


class NASBench201(SearchSpace):
    """Cells of NAS-Bench-201 in any skeleton, with the official notation.

    Args:
        graph: The whole network, its cells made by :func:`add_cell`.
        name: Name of the space.
    """

    def __init__(self, graph: nx.DiGraph[Any], name: str) -> None:
        cell: nx.DiGraph[Any] = nx.DiGraph()
        cell.add_nodes_from(range(4))
        cell.add_edges_from((u, v, {"op": _choice(u, v)}) for u, v in EDGES)
        super().__init__(graph, name=name, order=[f"{u}->{v}" for u, v in EDGES], cells=[cell])

    def to_string(self, architecture: Architecture) -> str:
        """``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, as in the official tables."""
        names = list(OPERATIONS)
        labels = [
            f"{names[option]}~{u}|" for option, (u, _) in zip(self.architecture(architecture), EDGES, strict=True)
        ]
        return f"|{labels[0]}+|{labels[1]}{labels[2]}+|{''.join(labels[3:])}"

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`; NASLib's tuples, such as ``(0, 2, 3, 2, 3, 1)``, are read, too.

        Raises:
            InvalidArchitecture: The string is neither.
        """
        string = string.strip()
        if re.fullmatch(r"[(\[](\s*[0-4]\s*,){5}\s*[0-4]\s*,?\s*[)\]]", string):
            named = dict(zip(NASLIB_EDGES, map(int, re.findall("[0-4]", string)), strict=True))
            return tuple(list(OPERATIONS).index(NASLIB_OPERATIONS[named[edge]]) for edge in EDGES)
        # A regular expression takes time that grows with the square of a long text without any separator.
        found = re.findall(r"([^|+~]+)~([0-9])\|", string) if len(string) <= 10 * len(EXAMPLE) else []
        for name, _ in found:
            if name not in OPERATIONS:
                raise InvalidArchitecture(f"{string!r}: operation {UnknownName(name, OPERATIONS)}")
        names = list(OPERATIONS)
        options = tuple(names.index(name) for name, _ in found)
        if len(options) != len(EDGES) or self.to_string(options) != string:
            raise InvalidArchitecture(f"{clipped(string)} is not an official NAS-Bench-201 string such as {EXAMPLE!r}")
        return options

    def official_key(self, architecture: Architecture) -> str:
        """The published unique string, 6,466 classes; for comparison with the literature only.

        Each node is written out as the sorted sum of its terms; a skip connection is written as the node it comes from.
        A shared tensor is thus written out at each use, so the key merges cells that compute different functions. Only
        a node whose single input is zero counts as zero, so the key separates some cells that compute the same. For
        all other purposes use :meth:`canonical`.
        """
        names = list(OPERATIONS)
        written = {0: "0"}
        terms: dict[int, list[str]] = {1: [], 2: [], 3: []}
        for option, (u, v) in zip(architecture, EDGES, strict=True):
            if u and u not in written:
                written[u] = "+".join(sorted(terms[u]))
            if option == 0 or written[u] == "#":
                terms[v].append("#")
            else:
                terms[v].append(written[u] if option == 1 else f"({written[u]})@{names[option]}")
        return "+".join(sorted(terms[3]))


def add_cell(graph: nx.DiGraph[Any], name: str, last: str, width: int) -> str:
    """Append one cell whose node 0 is the tensor ``last``; returns its node 3."""
    nodes = [last, *(f"{name}/{i}" for i in (1, 2, 3))]
    graph.add_nodes_from(nodes[1:], width=width)
    graph.add_edges_from((nodes[u], nodes[v], {"op": _choice(u, v), "name": f"{name}/{u}->{v}"}) for u, v in EDGES)
    return nodes[3]


def _choice(u: int, v: int) -> Choice:
    return Choice(f"{u}->{v}", tuple(OPERATIONS.values()))
