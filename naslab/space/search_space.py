"""Search spaces: a NetworkX graph with choices in it, and perhaps a recipe with decisions in it.

Edges carry an operation (``op``), nodes a ``width``; any operation, attribute of an operation or width may be a
:class:`~naslab.space.Choice`. The source node carries the input's ``shape``, whose sides may be choices. A node adds up
the outputs of its incoming edges, or combines them by ``"concat"``, ``"product"`` or ``"mean"`` (``combine``, which may
be a choice), in the order given by ``inputs``, by default a topological one. A width may be
:class:`~naslab.space.Derived`. The graph is the whole network: repeated cells share their choices by using the same
choice names.

A decision that stands in an option of a choice is active only where that option is taken. Only *normal forms* are
architectures: their inactive entries hold option 0, or the lower bound of a range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue, UnknownName
from naslab.ops import Shape
from naslab.space import dataflow, notation, showing
from naslab.space.canonical import certificate
from naslab.space.choice import Architecture, Choice, Decision, Range, choices_in, ranges_in, replaced, resolve
from naslab.space.cost import Cost, CostModel, build_cost_model, cost_of_edges
from naslab.space.dataflow import live_edges
from naslab.space.decisions import DecisionSpace
from naslab.space.derived import CostPerArchitecture, has_derived_widths
from naslab.space.encoding import CellEncoder, OperationGraph, one_hot
from naslab.space.found import cell_decisions, found_decisions
from naslab.space.ordering import ordered
from naslab.space.recipe import Recipe
from naslab.space.rules import Automaton, Rule
from naslab.space.template import Template

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SearchSpace(DecisionSpace):
    """A set of architectures: all networks that a graph with choices describes, and all ways to train them.

    Args:
        graph: The whole network. It is copied and frozen.
        name: The name of the space in messages and results.
        order: Names of the decisions in the order in which an architecture lists them, choices before ranges; by
            default the order of first appearance (node by node in topological order: its own, then those of its
            incoming edges; then the recipe's).
        rules: Which combinations of options are valid, listed or counted; by default all are. They are about choices,
            in normal form.
        cells: The graphs that the network repeats, for keys and encodings; by default the whole graph.
        recipe: How the networks are trained, where that is part of the space: any field may hold decisions.

    Attributes:
        graph: The graph, frozen.
        order: Its nodes in topological order, the output last.
        inputs: The predecessors of each node, in the order in which they are combined.
        choices: The choices, in the order in which an architecture lists their options.
        ranges: The ranges, whose numbers an architecture lists after the options.
        sizes: The number of options of each choice.
        conditions: When each decision is active.
        recipe: The recipe, or None.

    Raises:
        InvalidSpace: The graph has a cycle, more than one output, an edge without an operation, tensors that do not
            fit, choices of one name with different numbers of options, a decision where nobody reads it or in an option
            of itself, or a range that shapes or costs depend on.
    """

    has_network = True
    """Whether an architecture is a network that can be counted and trained: see :class:`naslab.space.PlainSpace`."""

    def __init__(
        self,
        graph: nx.DiGraph[Any],
        *,
        name: str = "space",
        order: Sequence[str] | None = None,
        rules: Sequence[Rule | Automaton] = (),
        cells: Sequence[nx.DiGraph[Any]] = (),
        recipe: Recipe | None = None,
    ) -> None:
        self.recipe = recipe
        self.graph: nx.DiGraph[Any] = nx.freeze(graph.copy())
        self.cells: tuple[nx.DiGraph[Any], ...] = tuple(nx.freeze(cell.copy()) for cell in cells) or (self.graph,)
        self.order, self.inputs = ordered(self.graph)
        found = found_decisions(self.graph, self.order, self.inputs, recipe)
        for other, where in cell_decisions(cells):
            if other not in found.decisions:
                raise InvalidSpace(f"{where} of a cell has {UnknownName(other, found.decisions)}: not in the network")
        if order is not None and sorted(order) != sorted(found.decisions):
            raise InvalidSpace(f"the stated order {list(order)} does not list the decisions {list(found.decisions)}")
        listed = [found.decisions[each] for each in (order or found.decisions)]
        super().__init__(name, listed, found.paths, rules)
        self.of_network = tuple(each.name in found.of_network for each in self.decisions_in_order)
        _ = self.ends  # infers every shape, so that a graph that does not fit is refused here

    def __repr__(self) -> str:
        size = "no finite number of" if self.size == math.inf else f"{self.size:,}"
        ranges = f", {len(self.ranges)} ranges" if self.ranges else ""
        return f"<SearchSpace {self.name!r}: {size} architectures, {len(self.choices)} choices{ranges}>"

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of an architecture: its first cell, operations on edges. Benchmarks' spaces draw what is theirs.

        Errors: InvalidValue where the cell is too large to be read.
        """
        return showing.draw(self.cells[0], self.decisions(architecture), ax, title=self.to_string(architecture))

    def _repr_html_(self) -> str:
        """What a notebook shows: the decisions, and the first cell as a graph where it is small enough."""
        from naslab.analysis.notebook import card  # pandas and matplotlib take a second

        facts = {"architectures": "no finite number" if self.size == math.inf else f"{self.size:,}"}
        rows = showing.decision_rows(self.decisions_in_order, self.conditions)
        small = [cell for cell in self.cells[:1] if 0 < len(cell) <= showing.MOST_NODES]
        pictures = [("The cell: choices on its edges", showing.draw(cell)) for cell in small]
        return card(f"Search space {self.name}", facts, [("Decisions", rows)], pictures)

    # ---- keys, strings, encodings --------------------------------------------------------------------------------

    def is_connected(self, architecture: Architecture) -> bool:
        """Whether the input affects the output."""
        decisions = self.decisions(architecture)
        return dataflow.is_connected(self._flow(self.graph, decisions))

    def canonical(self, architecture: Architecture) -> str:
        """A key that two architectures share exactly if their data flows are isomorphic and their recipes are equal.

        See :mod:`naslab.space.dataflow`. Computed cell by cell where the space has cells.
        """
        decisions = self.decisions(architecture)
        keys = [certificate(self._flow(cell, decisions)) for cell in self.cells]
        if not all(self.of_network):
            keys.append(repr(resolve(self.recipe, decisions)))
        return " | ".join(keys)

    def canonical_classes(self, architectures: Sequence[Architecture]) -> list[str]:
        """One text per architecture, equal for two of them exactly if :meth:`canonical` is; quick for stored rows."""
        return [self.canonical(a) for a in architectures]

    def lookup_key(self, architecture: Architecture) -> str:
        """The key by which tables find an architecture: :meth:`canonical`, or a benchmark's own."""
        return self.canonical(architecture)

    def to_string(self, architecture: Architecture) -> str:
        """``choice=option`` pairs of what is active; benchmarks' spaces override this with their official notation."""
        architecture = self.architecture(architecture)
        return notation.written(self.decisions_in_order, architecture, self.conditions.active(architecture))

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`.

        Raises:
            InvalidArchitecture: The string is not in that notation.
        """
        stated = notation.read(string, self.decisions_in_order, self.name, self._example)
        rest = zip(self.decisions_in_order, self.conditions.idle, strict=True)
        architecture = tuple(stated.get(each.name, idle) for each, idle in rest)
        for each, is_active in zip(self.decisions_in_order, self.conditions.active(architecture), strict=True):
            if is_active and each.name not in stated:
                kind = "choice" if isinstance(each, Choice) else "range"
                raise InvalidArchitecture(f"{string!r} lacks {kind} {each.name!r}; example: {self._example!r}")
        return self.architecture(architecture)

    @overload
    def encode(self, architecture: Architecture, kind: Literal["adjacency"]) -> OperationGraph: ...
    @overload
    def encode(self, architecture: Architecture, kind: Literal["one-hot"]) -> npt.NDArray[np.float64]: ...
    @overload
    def encode(self, architecture: Architecture, kind: Literal["path"]) -> npt.NDArray[np.uint8]: ...
    def encode(
        self, architecture: Architecture, kind: str
    ) -> npt.NDArray[np.float64] | npt.NDArray[np.uint8] | OperationGraph:
        """An architecture as numbers.

        Args:
            architecture: An architecture of this space.
            kind: ``"one-hot"``: ``(sum of sizes + ranges + conditional decisions,)``: a block of zeros and a one per
                choice, one column in [0, 1] per range (its place on its scale), and one per decision that is not always
                active, which says whether it is; all else of an inactive decision is 0. ``"path"``: ``(paths,)``, see
                :meth:`naslab.space.encoding.CellEncoder.paths`. ``"adjacency"``: operations on nodes, see
                :class:`naslab.space.encoding.OperationGraph`.
        """
        if kind == "one-hot":
            return one_hot(self.architecture(architecture), self.sizes, self.ranges, self.conditions)
        if kind == "path":
            return self._encoder.paths(self.decisions(architecture))
        if kind == "adjacency":
            return self._encoder.operation_graph(self.decisions(architecture))
        raise InvalidValue(f"encoding {UnknownName(kind, ['one-hot', 'path', 'adjacency'])}")

    # ---- the network ---------------------------------------------------------------------------------------------

    def recipe_of(self, architecture: Architecture) -> Recipe | None:
        """The recipe of one architecture, without decisions; None where the space states none."""
        return resolve(self.recipe, self.decisions(architecture)) if self.recipe is not None else None

    @cached_property
    def cost_model(self) -> CostModel | CostPerArchitecture:
        """Costs of every architecture, as tables over the choices where no width is derived."""
        if has_derived_widths(self.graph):
            return CostPerArchitecture(self.name, self.resolve)
        low, high = (_at_bound(self.graph, bound) for bound in ("low", "high"))
        model = build_cost_model(low, self.order, self.inputs, self._options)
        if high is not low and not model.same(build_cost_model(high, self.order, self.inputs, self._options)):
            names = ", ".join(repr(each.name) for each in self.ranges if self.of_network[self._position[each.name]])
            raise InvalidSpace(f"costs depend on a range ({names}); a width, a kernel and the like take a Choice")
        return model

    def shapes(self, architecture: Architecture) -> tuple[dict[Any, Shape], dict[tuple[Any, Any], Shape]]:
        """The shape of every node of one architecture, and of what every edge delivers, by source and node."""
        model, decisions = self.cost_model, self.decisions(architecture)
        if isinstance(model, CostPerArchitecture):
            model, decisions = model.model(architecture), {}
        return model.all_shapes(decisions)

    def input_shape(self, architecture: Architecture) -> Shape:
        """The shape of one input of an architecture: its size may be a choice."""
        return self.shapes(architecture)[0][self.order[0]]

    @cached_property
    def ends(self) -> tuple[Shape, int]:
        """The shape of one input (of the largest, where its size is a choice), and how many features (classes) the last
        node has."""
        model = self.cost_model
        if isinstance(model, CostPerArchitecture):  # any architecture has them
            model = model.model(self.sample(np.random.default_rng(0)))
        return model.shapes[self.order[0]].largest, model.shapes[self.order[-1]].largest[0]

    def cost(self, architecture: Architecture, convention: str = "published") -> Cost:
        """Parameters, MACs and memory of one architecture.

        Args:
            architecture: An architecture of this space.
            convention: ``"published"``: dead branches included, as published parameter counts do. ``"reachable"``: only
                operations that an input reaches and that reach the output.
        """
        if convention == "reachable":
            graph = self.resolve(architecture)
            return cost_of_edges(graph, *self.shapes(architecture), live_edges(graph))
        if convention != "published":
            raise InvalidValue(f"convention {UnknownName(convention, ['published', 'reachable'])}")
        try:
            return self.cost_model.cost(architecture)
        except LookupError:
            self.architecture(architecture)
            raise

    def decisions(self, architecture: Architecture) -> dict[str, Any]:
        """Option index or number by the name of the decision.

        Raises:
            InvalidArchitecture: See :meth:`architecture`.
        """
        return {each.name: v for each, v in zip(self.decisions_in_order, self.architecture(architecture), strict=True)}

    def resolve(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """The graph of one architecture: the same nodes and edges, no choices.

        Nodes keep their order and carry ``inputs``, their predecessors in the order in which they are combined.
        """
        return self._resolved(self.graph, self.decisions(architecture))

    def require_choices(self, who: str) -> None:
        """Refuse ranges, for what knows choices only.

        Raises:
            InvalidValue: The space has one.
        """
        for each in self.ranges:
            raise InvalidValue(
                f"Range({each.name!r}): {who} knows choices only; give it options, or fix it: "
                f"{each.name}={each.middle:.4g}"
            )

    def require_network(self, who: str) -> None:
        """Refuse decisions that are not about the network, and ranges, for what sees the network alone.

        Raises:
            InvalidValue: The space has one.
        """
        for each, on in zip(self.decisions_in_order, self.of_network, strict=True):
            if not on:
                kind = type(each).__name__
                raise InvalidValue(
                    f"{kind}({each.name!r}): {who} sees networks alone, not how they are trained; fix it"
                )
        self.require_choices(who)

    def require_one_size(self, who: str) -> None:
        """Refuse an input whose size is a choice, for what shows every network the same rows.

        Raises:
            InvalidValue: It is one.
        """
        for choice in choices_in(self.graph.nodes[self.order[0]].get("shape")):
            raise InvalidValue(
                f"Choice({choice.name!r}) is the input's size: {who} shows all networks rows of one size; state it: "
                f"shape={self.ends[0]}"
            )

    # ---- inside --------------------------------------------------------------------------------------------------

    def _resolved(self, graph: nx.DiGraph[Any], decisions: dict[str, Any]) -> nx.DiGraph[Any]:
        if graph not in self._templates:
            self._templates[graph] = Template(graph, self.decisions_in_order)
        return self._templates[graph].resolved(decisions)

    def _flow(self, graph: nx.DiGraph[Any], decisions: dict[str, Any]) -> dataflow.DataFlow:
        resolved = self._resolved(graph, decisions)
        return dataflow.data_flow(resolved, list(resolved), nx.get_node_attributes(resolved, "inputs"))

    @cached_property
    def _templates(self) -> dict[nx.DiGraph[Any], Template]:
        return {}  # of the network and its cells, when first resolved

    @cached_property
    def _options(self) -> dict[str, int]:
        return {choice.name: len(choice.options) for choice in self.choices}

    @cached_property
    def _encoder(self) -> CellEncoder:
        edges = []
        for cell in self.cells:
            order, inputs = ordered(cell)
            edges.append([(source, node) for node in order for source in inputs[node]])
        return CellEncoder([_at_bound(cell, "low") for cell in self.cells], edges, self._options)

    @cached_property
    def _example(self) -> str:
        return self.to_string(self.first)


def _at_bound(graph: nx.DiGraph[Any], bound: Literal["low", "high"]) -> nx.DiGraph[Any]:
    """A graph with its ranges at one of their bounds."""
    if not any(True for *_, attributes in graph.edges(data=True) for _ in ranges_in(attributes["op"])):
        return graph

    def at_bound(each: Decision) -> Any:
        return getattr(each, bound) if isinstance(each, Range) else each

    fixed: nx.DiGraph[Any] = graph.copy()
    for _, _, attributes in fixed.edges(data=True):
        attributes["op"] = replaced(attributes["op"], at_bound)
    return fixed
