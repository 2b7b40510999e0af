"""The order in which the nodes of a graph are computed, and in which each combines what arrives."""

from __future__ import annotations

from typing import Any

import networkx as nx

from naslab.errors import InvalidSpace
from naslab.space.combination import check_combination


def ordered(graph: nx.DiGraph[Any]) -> tuple[list[Any], dict[Any, list[Any]]]:
    """Nodes in topological order (ties by insertion), and the predecessors of each in the order of combination."""
    inserted = {node: i for i, node in enumerate(graph)}
    try:
        order = list(nx.lexicographical_topological_sort(graph, key=inserted.__getitem__))
    except nx.NetworkXUnfeasible:
        cycle = " -> ".join(repr(edge[0]) for edge in nx.find_cycle(graph))
        raise InvalidSpace(f"the graph has a cycle: {cycle}; a network is acyclic") from None
    place = {node: i for i, node in enumerate(order)}
    inputs: dict[Any, list[Any]] = {}
    for node in order:
        sources = sorted(graph.predecessors(node), key=place.__getitem__)
        stated = graph.nodes[node].get("inputs")
        if stated is not None and sorted(map(str, stated)) != sorted(map(str, sources)):
            raise InvalidSpace(f"node {node!r} states inputs {list(stated)}, but its predecessors are {sources}")
        check_combination(node, graph.nodes[node])
        inputs[node] = list(stated) if stated is not None else sources
        for source in sources:
            if "op" not in graph.edges[source, node]:
                raise InvalidSpace(f"edge {source!r} -> {node!r} has no operation; give it op=...")
    outputs = [node for node in order if graph.out_degree(node) == 0]
    if len(outputs) != 1:
        raise InvalidSpace(f"a network has one output; this graph's nodes without successors are {outputs}")
    return order, inputs
