"""A search space as it can be seen: a cell as a picture, its decisions as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab.errors import InvalidValue
from naslab.ops import Zero
from naslab.space.choice import Choice, Decision, Range, resolve, scope
from naslab.space.conditions import Conditions
from naslab.space.notation import labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NODES = 24
"""What has more is not drawn: nobody could read it."""


def draw(
    graph: nx.DiGraph[Any], decisions: Mapping[str, Any] | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """A graph as an arc diagram: operations on its edges, widths in its nodes.

    Args:
        graph: With choices.
        decisions: Option or number by name: what they decide is drawn, and edges without operation are left out. By
            default the names of choices stand in their places.
        ax: Where to draw; new axes by default.
        title: Above it.

    Raises:
        InvalidValue: It has more than :data:`MOST_NODES` nodes.
    """
    from naslab.analysis.cell_plots import draw_cell  # matplotlib takes half a second

    if len(graph) > MOST_NODES:
        raise InvalidValue(f"the graph has {len(graph)} nodes; graphs of up to {MOST_NODES} are drawn")
    shown: nx.DiGraph[Any] = nx.DiGraph()
    names = {node: _node(node, attributes.get("width"), decisions) for node, attributes in graph.nodes(data=True)}
    shown.add_nodes_from(names.values())
    for source, node, attributes in graph.edges(data=True):
        operation = attributes["op"]
        if decisions is None or not isinstance(resolve(operation, decisions), Zero):
            shown.add_edge(names[source], names[node], label=_shortened(_edge(operation, decisions)))
    return draw_cell(shown, ax, title=_shortened(title, 10 * max(4, len(graph))))


def decision_rows(decisions: Sequence[Decision], conditions: Conditions) -> list[Mapping[str, str]]:
    """A row per decision: its name, its options, and whether others may switch it off."""
    return [
        {
            "decision": each.name,
            "options": ", ".join(labels(each)) if isinstance(each, Choice) else _interval(each),
            "active": "sometimes" if when else "always",
        }
        for each, when in zip(decisions, conditions.when, strict=True)
    ]


def _interval(each: Range) -> str:
    return f"{each.low:g} to {each.high:g}{', logarithmic' if each.log else ''}"


def _node(node: Any, width: Any, decisions: Mapping[str, Any] | None) -> str:
    if decisions is None and (names := scope(width)):
        return f"{node}: {', '.join(names)}"
    number = resolve(width, decisions or {})
    return f"{node}: {number}" if isinstance(number, int) else str(node)


def _edge(operation: Any, decisions: Mapping[str, Any] | None) -> str:
    if decisions is None and (names := scope(operation)):
        return ", ".join(names)
    if isinstance(operation, Choice):
        return str(labels(operation)[(decisions or {})[operation.name]])
    operation = resolve(operation, decisions or {})
    fields = dataclasses.fields(operation)
    stated = [f"{getattr(operation, each.name)}" for each in fields if getattr(operation, each.name) != each.default]
    return " ".join([type(operation).__name__.lower(), *stated])


def _shortened(text: str, longest: int = 24) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
