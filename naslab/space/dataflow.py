"""The data flow of an architecture: the operations that can affect its output, and what they compute from.

Only operations that can affect the output count: the input reaches them, and they reach the output. Identities
are contracted: an operation's input is a sum of other operations' outputs, with multiplicities (``x + x`` is twice
``x``), and a tensor that is used twice stays one tensor. Operations keep their kind and their width; poolings are
never simplified. A node that concatenates or multiplies is an operation of its own whose inputs are unordered; one that
takes the mean is an operation on the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import networkx as nx

Token: TypeAlias = int
"""One tensor: an input, the result of one operation, or the output."""


@dataclass(frozen=True)
class DataFlow:
    """A labelled acyclic multigraph of tensors.

    Attributes:
        labels: What each tensor is: an input, an operation's result, a concatenation, the output (the last one).
        sources: For each tensor the tensors it is computed from, with multiplicities.
    """

    labels: tuple[str, ...]
    sources: tuple[Mapping[Token, int], ...]


def data_flow(graph: nx.DiGraph[Any], order: Sequence[Any], inputs: Mapping[Any, Sequence[Any]]) -> DataFlow:
    """The data flow of a graph without choices (edges carry resolved ``op``).

    Args:
        graph: As returned by :meth:`naslab.space.SearchSpace.resolve`; source nodes are inputs.
        order: Its nodes in topological order, the output last.
        inputs: The predecessors of each node in order.
    """
    labels: list[str] = []
    sources: list[Counter[Token]] = []

    def token(label: str, made_from: Counter[Token]) -> Token:
        labels.append(label)
        sources.append(made_from)
        return len(labels) - 1

    tensors: dict[Any, Counter[Token]] = {}
    for node in order:
        if not inputs[node]:
            size = f" {graph.nodes[node]['shape']}" if graph.nodes[node].get("sized") else ""
            tensors[node] = Counter([token(f"input {node}{size}", Counter())])
            continue
        slots = []
        for source in inputs[node]:
            op = graph.edges[source, node]["op"]
            if op.is_zero or not tensors[source]:
                slots.append(Counter[Token]())
            elif op.is_identity:
                slots.append(tensors[source])
            else:
                label = op.label(graph.nodes[node].get("width"))
                slots.append(Counter([token(label, tensors[source])]))
        how = graph.nodes[node].get("combine", "sum")
        tensors[node] = sum(slots, Counter())
        if how == "product" and not all(slots):
            tensors[node] = Counter()  # zero times anything
        elif (how == "concat" and any(slots)) or (how == "product" and len(slots) > 1):
            parts = Counter(token("part", slot) for slot in slots)
            tensors[node] = Counter([token("concatenation" if how == "concat" else "product", parts)])
        elif how == "mean" and len(slots) > 1 and any(slots):
            tensors[node] = Counter([token(f"sum over {len(slots)}", tensors[node])])
    return _live(labels, sources, tensors[order[-1]])


def reaching_output(graph: nx.DiGraph[Any]) -> set[Any]:
    """Nodes of a graph without choices from which data flows to the output."""
    listed = list(graph.nodes(data=True))
    reached = {listed[-1][0]}
    for node, attributes in reversed(listed):
        if node in reached:
            sources = attributes["inputs"]
            carry = {s for s in sources if not _op(graph, s, node).is_zero}
            if attributes.get("combine", "sum") != "product" or len(carry) == len(sources):
                reached |= carry
    return reached


def live_edges(graph: nx.DiGraph[Any]) -> set[tuple[Any, Any]]:
    """Edges of a graph without choices that can affect the output: an input reaches them, and they reach the output."""
    reaching, reached = reaching_output(graph), set()
    live = set()
    for node, attributes in graph.nodes(data=True):
        sources = attributes["inputs"]
        arriving = {s for s in sources if s in reached and not _op(graph, s, node).is_zero}
        product = attributes.get("combine", "sum") == "product"
        if not sources or (len(arriving) == len(sources) if product else arriving):
            reached.add(node)
            if node in reaching:
                live |= {(s, node) for s in arriving}
    return live


def pruned(graph: nx.DiGraph[Any]) -> nx.DiGraph[Any]:
    """A graph without choices, and without the edges that can't affect the output and the nodes that this leaves bare.

    For spaces whose networks have no dead branches: they cost nothing, and a concatenation is as wide as what is left.
    """
    live = live_edges(graph)
    kept: nx.DiGraph[Any] = nx.DiGraph()
    for node, attributes in graph.nodes(data=True):
        inputs = tuple(source for source in attributes["inputs"] if (source, node) in live)
        if inputs or not attributes["inputs"]:
            kept.add_node(node, **{**attributes, "inputs": inputs})
            kept.add_edges_from((source, node, graph.get_edge_data(source, node)) for source in inputs)
    return kept


def _op(graph: nx.DiGraph[Any], source: Any, node: Any) -> Any:
    return graph.get_edge_data(source, node)["op"]  # a quarter of the time that graph.edges takes


def is_connected(flow: DataFlow) -> bool:
    """Whether any input affects the output."""
    return bool(flow.sources[-1])


def _live(labels: list[str], sources: list[Counter[Token]], output: Counter[Token]) -> DataFlow:
    """Keep what the output depends on, and append the output itself."""
    live: set[Token] = set()
    stack = list(output)
    while stack:
        token = stack.pop()
        if token not in live:
            live.add(token)
            stack.extend(sources[token])
    new = {old: i for i, old in enumerate(sorted(live))}

    def renamed(counts: Mapping[Token, int]) -> dict[Token, int]:
        return {new[t]: n for t, n in counts.items()}

    return DataFlow((*(labels[t] for t in new), "output"), (*(renamed(sources[t]) for t in new), renamed(output)))
