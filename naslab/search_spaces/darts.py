"""DARTS: a normal and a reduction cell of four nodes, each node with two inputs and an operation on each.

Liu et al. 2019, "DARTS: Differentiable Architecture Search" (sections 2.1, 3.1 and appendix A). All 14 edges of a cell
carry all eight operations, ``none`` among them, so the mixed supernet is the one that DARTS searches in; rules say
which combinations are architectures: every node has exactly two edges with another operation than ``none``.

Deviations. The auxiliary head of the final training is left out: it is thrown away afterwards, and published parameter
counts do not include it. DARTS normalises the outputs of poolings in its search, but not in its final network; here
they are never normalised, because a path through a supernet is the network that is extracted from it. Only the stem
for small images (CIFAR-10) is built, not that for ImageNet.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.files import clipped
from naslab.ops import (
    AvgPool,
    Conv,
    DilatedConv,
    FactorizedReduction,
    Identity,
    MaxPool,
    Operation,
    PooledLinear,
    SeparableConv,
    Zero,
)
from naslab.search_spaces.counts import check_count
from naslab.search_spaces.genotypes import Pair, are_pairs, fields_of, put
from naslab.space import Architecture, Choice, Rule, SearchSpace

KINDS = ("normal", "reduce")
NODES = (2, 3, 4, 5)
"""The intermediate nodes of a cell; nodes 0 and 1 are the outputs of the last two cells."""
EDGES = tuple((u, v) for v in NODES for u in range(v))
"""The cell's edges in the order of DARTS' architecture parameters."""
OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""DARTS' names, in DARTS' order."""

PUBLISHED = {
    "DARTS_V1": "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], reduce_concat=[2, 3, 4, 5])",
    "DARTS_V2": "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
    "PC_DARTS": "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), "
    "('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], normal_concat=range(2, 6), "
    "reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), "
    "('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))",
}
"""Genotypes found on CIFAR-10, as published: Liu et al. 2019 (first and second order), Xu et al. 2020."""


def darts(num_classes: int = 10, input_shape: Sequence[int] = (3, 32, 32), channels: int = 16, cells: int = 8) -> DARTS:
    """DARTS' search space for small images: 1.1e18 genotypes.

    The defaults are the network in which DARTS searches; it trains the cells it found with 36 channels and 20 cells.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        channels: Width of the first cells' nodes; both reduction cells double it. The stem has three times as many.
        cells: Number of cells, at least 3. The next one after a third and after two thirds of them is a reduction cell.

    Raises:
        InvalidValue: Too few cells, or more than 1,000.
    """
    check_count(cells=cells)
    if cells < 3:
        raise InvalidValue(f"cells={cells!r}: at least 3, a normal cell and two reduction cells")
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("stem", width=3 * channels)
    graph.add_edge("image", "stem", op=Conv(kernel=3, order="conv-bn"))
    before, last, width, halved = "stem", "stem", channels, False
    for number in range(cells):
        name, reduces = f"cell{number + 1}", number in (cells // 3, 2 * cells // 3)
        width *= 1 + reduces
        graph.add_nodes_from((f"{name}/{i}" for i in range(6)), width=width)
        graph.add_edge(before, f"{name}/0", op=FactorizedReduction() if halved else Conv(kernel=1))
        graph.add_edge(last, f"{name}/1", op=Conv(kernel=1))
        _connect(graph, KINDS[reduces], [f"{name}/{i}" for i in range(6)], name)
        before, last, halved = last, name, reduces
    graph.add_node("logits", width=num_classes)
    graph.add_edge(last, "logits", op=PooledLinear())
    return DARTS(graph)


class DARTS(SearchSpace):
    """Cells of DARTS, written as genotypes.

    Args:
        graph: The whole network.
    """

    def __init__(self, graph: nx.DiGraph[Any]) -> None:
        cells = []
        for kind in KINDS:
            cell: nx.DiGraph[Any] = nx.DiGraph()
            cell.add_nodes_from(range(6))
            _connect(cell, kind, range(6), "output")
            cells.append(cell)
        rules = [Rule(tuple(_edge(kind, u, v) for u in range(v)), _two_inputs(v)) for kind in KINDS for v in NODES]
        super().__init__(
            graph, name="darts", order=[_edge(kind, u, v) for kind in KINDS for u, v in EDGES], rules=rules, cells=cells
        )

    def to_string(self, architecture: Architecture) -> str:
        """``Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], reduce=...)``, as DARTS writes it:
        two pairs of operation and input for each node; here in the order of the inputs.
        """
        decisions = self.decisions(architecture)
        fields = []
        for kind in KINDS:
            options = ((decisions[_edge(kind, u, v)], u) for u, v in EDGES)
            fields.append(f"{kind}={[(OPERATIONS[k], u) for k, u in options if k]}, {kind}_concat={list(NODES)}")
        return f"Genotype({', '.join(fields)})"

    def from_string(self, string: str) -> Architecture:
        """The architecture of a genotype in DARTS' notation; the two pairs of a node may be in any order.

        A pasted line that ends in a genotype is read, too (``DARTS_V2 = Genotype(...)``, a line of a log), and the
        compact form of NAS-Bench-301 and NASLib: for both cells eight pairs of input and operation, without ``none``.

        Raises:
            InvalidArchitecture: The string is none of these, or names what DARTS does not have.
        """
        genotype = _parsed(string)
        decisions = {choice.name: 0 for choice in self.choices}
        for kind, (i, v) in itertools.product(KINDS, enumerate(NODES)):
            edges = {u: _edge(kind, u, v) for u in range(v)}
            put(decisions, f"{kind} cell, node {v}", edges, genotype[kind][2 * i : 2 * i + 2], OPERATIONS)
        return self.architecture(list(decisions.values()))

    def discretise(self, weights: Mapping[str, Sequence[float]]) -> Architecture:
        """The architecture derived from relaxed weights (Liu et al. 2019, section 2.4).

        The largest weight of an edge, ``none`` left out, is the edge's strength. Every node keeps its two strongest
        edges, each with the operation of that weight; of equal ones the first.

        Args:
            weights: Eight numbers per choice, by the choice's name.
        """
        decisions = {choice.name: 0 for choice in self.choices}
        for kind, v in itertools.product(KINDS, NODES):
            options = {_edge(kind, u, v): [float(w) for w in weights[_edge(kind, u, v)]][1:] for u in range(v)}
            for name in sorted(options, key=lambda name: -max(options[name]))[:2]:
                decisions[name] = 1 + options[name].index(max(options[name]))
        return self.architecture(list(decisions.values()))


def _edge(kind: str, u: int, v: int) -> str:
    """The name of an edge's choice."""
    return f"{kind}/{u}->{v}"


def _connect(graph: nx.DiGraph[Any], kind: str, nodes: Sequence[Any], output: Any) -> None:
    """Add a cell's edges between its six nodes, and its output."""
    for u, v in EDGES:
        options = _operations(2 if kind == "reduce" and u < 2 else 1)
        graph.add_edge(nodes[u], nodes[v], op=Choice(_edge(kind, u, v), options))
    graph.add_node(output, combine="concat", inputs=tuple(nodes[v] for v in NODES))
    graph.add_edges_from(((nodes[v], output) for v in NODES), op=Identity())


def _operations(stride: int) -> tuple[Operation, ...]:
    """One operation for each name of :data:`OPERATIONS`."""
    return (
        Zero(),
        MaxPool(stride=stride),
        AvgPool(stride=stride),
        Identity() if stride == 1 else FactorizedReduction(),
        SeparableConv(kernel=3, stride=stride),
        SeparableConv(kernel=5, stride=stride),
        DilatedConv(kernel=3, stride=stride),
        DilatedConv(kernel=5, stride=stride),
    )


def _two_inputs(inputs: int) -> frozenset[tuple[int, ...]]:
    """The combinations of options of a node's edges in which exactly two are not ``none``."""
    allowed = set()
    for kept in itertools.combinations(range(inputs), 2):
        for options in itertools.product(range(1, len(OPERATIONS)), repeat=2):
            chosen = dict(zip(kept, options, strict=True))
            allowed.add(tuple(chosen.get(u, 0) for u in range(inputs)))
    return frozenset(allowed)


def _parsed(string: str) -> dict[str, list[Pair]]:
    """The two lists of a genotype: parsed, never evaluated."""
    fault = f"{clipped(string)} is not a genotype such as {PUBLISHED['DARTS_V2']}"
    if "Genotype(" not in string:
        return _compact(string, fault)
    fields = fields_of(string, fault)
    if fields.keys() != {*KINDS, *(f"{kind}_concat" for kind in KINDS)}:
        raise InvalidArchitecture(fault)
    for kind in KINDS:
        if fields[f"{kind}_concat"] != list(NODES):
            raise InvalidArchitecture(f"{string!r}: {kind}_concat is not [2, 3, 4, 5]; other outputs are not in DARTS")
        if not are_pairs(fields[kind], 2 * len(NODES)):
            raise InvalidArchitecture(f"{string!r}: {kind} is not a list of eight pairs such as ('sep_conv_3x3', 0)")
    return {kind: fields[kind] for kind in KINDS}


def _compact(string: str, fault: str) -> dict[str, list[Pair]]:
    """The same from two lists of pairs of an input and the number of an operation."""
    try:
        cells = ast.literal_eval(string.strip())
        pairs = [[(operator.index(u), OPERATIONS[1:][operator.index(k)]) for u, k in cell if k >= 0] for cell in cells]
    except (SyntaxError, ValueError, TypeError, IndexError, RecursionError, MemoryError):
        raise InvalidArchitecture(fault) from None
    if [len(cell) for cell in pairs] != [2 * len(NODES)] * len(KINDS):
        raise InvalidArchitecture(fault)
    return {kind: [(name, u) for u, name in cell] for kind, cell in zip(KINDS, pairs, strict=True)}
