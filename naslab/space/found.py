"""Where the decisions of a search space stand: in its graph, and in its recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from naslab.errors import InvalidSpace
from naslab.space.choice import Choice, Decision, Path, Range, occurrences, ranges_in
from naslab.space.derived import Derived
from naslab.space.recipe import Recipe

NODE, EDGE = ("shape", "width", "combine"), ("op",)
"""The attributes that may hold decisions."""


@dataclass
class Found:
    """The decisions of a space, by name, in the order of first appearance.

    Attributes:
        decisions: The first place of each.
        paths: The options that lead to each of its places.
        of_network: Those that stand in the graph.
    """

    decisions: dict[str, Decision] = field(default_factory=dict)
    paths: dict[str, list[Path]] = field(default_factory=dict)
    of_network: set[str] = field(default_factory=set)

    def add(self, value: Any, where: str) -> None:
        """Note the decisions in a value.

        Raises:
            InvalidSpace: Places of one name differ in kind, number of options or bounds; or a name can't be written.
        """
        for decision, path in occurrences(value):
            name = decision.name
            if "=" in name or ";" in name:
                raise InvalidSpace(f"choice {name!r}: a name may not contain '=' or ';'")
            first = self.decisions.setdefault(name, decision)
            if isinstance(first, Choice) and isinstance(decision, Choice):
                if len(first.options) != len(decision.options):
                    raise InvalidSpace(
                        f"choice {name!r} has {len(first.options)} options in one place and {len(decision.options)} at "
                        f"{where}; places that share a name share the number of options"
                    )
                if decision.labels and not first.labels:
                    self.decisions[name] = decision
                elif decision.labels and decision.labels != first.labels:
                    raise InvalidSpace(f"choice {name!r} has labels {first.labels} and, at {where}, {decision.labels}")
            elif first != decision:
                raise InvalidSpace(f"{name!r} is {first} in one place and {decision} at {where}; share the name or not")
            self.paths.setdefault(name, []).append(path)


def found_decisions(
    graph: nx.DiGraph[Any], order: Sequence[Any], inputs: Mapping[Any, Sequence[Any]], recipe: Recipe | None
) -> Found:
    """All decisions of a graph (node by node in topological order: its own, then those of its edges) and a recipe.

    Raises:
        InvalidSpace: As :meth:`Found.add`; or a decision stands where nobody reads it.
    """
    found = Found()
    for node in order:
        for attribute in NODE:
            value = graph.nodes[node].get(attribute)
            for each in () if isinstance(value, Derived) else ranges_in(value):
                raise InvalidSpace(
                    f"node {node!r}: range {each.name!r} in its {attribute}, which takes a Choice, or a width that is "
                    "Derived"
                )
            found.add(value, f"node {node!r}")
        _refuse_strays(graph.nodes[node], NODE, f"node {node!r}")
        for source in inputs[node]:
            found.add(graph.edges[source, node]["op"], f"node {node!r}")
            _refuse_strays(graph.edges[source, node], EDGE, f"edge {source!r} -> {node!r}")
    found.of_network = set(found.decisions)
    found.add(recipe, "the recipe")
    return found


def cell_decisions(cells: Sequence[nx.DiGraph[Any]]) -> Iterator[tuple[str, str]]:
    """The name of every decision in a cell, and where it stands."""
    for cell in cells:
        for node, attributes in cell.nodes(data=True):
            yield from ((d.name, f"node {node!r}") for a in NODE for d, _ in occurrences(attributes.get(a)))
        for source, node, attributes in cell.edges(data=True):
            yield from ((d.name, f"edge {source!r} -> {node!r}") for d, _ in occurrences(attributes["op"]))


def _refuse_strays(attributes: Mapping[str, Any], read: Sequence[str], where: str) -> None:
    for attribute, value in attributes.items():
        if attribute not in read:
            for decision, _ in occurrences(value):
                kind = "range" if isinstance(decision, Range) else "choice"
                raise InvalidSpace(
                    f"{where}: {kind} {decision.name!r} stands in {attribute!r}, which nobody reads. "
                    f"Allowed: {', '.join(read)}"
                )
