"""A graph with decisions, read once, so that the graph of one architecture is made quickly.

Most of what a graph carries holds no decisions. What does is resolved once for each combination of the options it
depends on, and where several nodes and edges carry the very same object, once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from naslab.space.choice import Choice, Decision, occurrences, resolve, scope
from naslab.space.derived import Derived
from naslab.space.ordering import ordered

_REMEMBERED = 20_000
"""How many resolved values a template keeps."""


class Template:
    """The graphs of a space's architectures.

    Args:
        graph: Carries decisions.
        decisions: Those of the space, for widths that are derived from all of them.
    """

    def __init__(self, graph: nx.DiGraph[Any], decisions: Sequence[Decision]) -> None:
        self.graph, self.decisions = graph, decisions
        self._values: list[Any] = []  # each of those that hold decisions, or are derived from them
        self._scopes: list[tuple[str, ...] | None] = []  # None: not kept, because a number hardly ever comes again
        self._known: dict[Any, Any] = {}
        slots: dict[int, int] = {}

        def opened(attributes: Mapping[str, Any]) -> list[tuple[str, int]]:
            return [(key, self._slot(value, slots)) for key, value in attributes.items() if _is_open(value)]

        order, inputs = ordered(graph)
        self._nodes: list[tuple[Any, dict[str, Any], list[tuple[str, int]]]] = []
        self._edges: list[tuple[Any, Any, dict[str, Any], int | None]] = []
        for node in order:
            own = graph.nodes[node]
            sized = {"sized": True} if scope(own.get("shape")) else {}
            self._nodes.append((node, {**own, **sized, "inputs": tuple(inputs[node])}, opened(own)))
            for source in inputs[node]:
                op = graph.edges[source, node]["op"]
                slot = self._slot(op, slots) if _is_open(op) else None
                self._edges.append((source, node, dict(graph.edges[source, node]), slot))
        self._derived = [i for i, value in enumerate(self._values) if isinstance(value, Derived)]
        self._taken = [(each.name, self._slot(each, slots)) for each in decisions] if self._derived else []

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.graph, self.decisions)  # what is remembered is soon known again

    def resolved(self, decisions: Mapping[str, Any]) -> nx.DiGraph[Any]:
        """The graph of one architecture: the same nodes and edges, no decisions.

        Nodes are in topological order and carry ``inputs``, their predecessors in the order in which they are combined.

        Args:
            decisions: Option index or number by the name of the decision.
        """
        values = [self._resolved(i, decisions) for i in range(len(self._values))]
        if self._derived:
            options = {name: values[slot] for name, slot in self._taken}
            for i in self._derived:
                values[i] = values[i].function(options)
        made: nx.DiGraph[Any] = nx.DiGraph()
        made.add_nodes_from(
            (node, {**attributes, **{key: values[slot] for key, slot in opened}})
            for node, attributes, opened in self._nodes
        )
        made.add_edges_from(
            (source, node, attributes if slot is None else {**attributes, "op": values[slot]})
            for source, node, attributes, slot in self._edges
        )
        return made

    def _slot(self, value: Any, slots: dict[int, int]) -> int:
        """Where a value is listed, by identity: equal ones may differ (1 and 1.0)."""
        slot = slots.setdefault(id(value), len(self._values))
        if slot == len(self._values):
            found = [decision for decision, _ in occurrences(value)]
            lists = all(isinstance(each, Choice) for each in found)
            self._values.append(value)
            self._scopes.append(tuple(dict.fromkeys(each.name for each in found)) if lists else None)
        return slot

    def _resolved(self, slot: int, decisions: Mapping[str, Any]) -> Any:
        names = self._scopes[slot]
        if names is None:
            return resolve(self._values[slot], decisions)
        key = (slot, *(decisions[name] for name in names))
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = resolve(self._values[slot], decisions)
        return self._known[key]


def _is_open(value: Any) -> bool:
    return isinstance(value, Derived) or next(occurrences(value), None) is not None
