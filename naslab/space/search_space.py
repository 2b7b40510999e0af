"""Search spaces: a NetworkX graph with choices in it.

Edges carry an operation (``op``), nodes a ``width``; any operation, attribute of an operation or width may be a
:class:`~naslab.space.Choice`. The source node carries the input's ``shape``. A node adds up the outputs of its
incoming edges, or concatenates them (``combine="concat"``), in the order given by ``inputs``, by default a topological
one. The graph is the whole network: repeated cells share their choices by using the same choice names.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import Any, Literal, overload

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue, UnknownName
from naslab.ops import Shape
from naslab.space import dataflow
from naslab.space.canonical import certificate
from naslab.space.choice import Architecture, Choice, choices_in, resolve, scope
from naslab.space.combination import check_combination
from naslab.space.cost import Cost, CostModel, build_cost_model, resolved_cost_model
from naslab.space.dataflow import live_edges
from naslab.space.derived import CostPerArchitecture, Derived, has_derived_widths
from naslab.space.encoding import CellEncoder, OperationGraph
from naslab.space.rules import Automaton, IndexedRule, Rule
from naslab.space.validity import Elimination, enumerate_valid


class SearchSpace:
    """A set of architectures: all networks that a graph with choices describes.

    Args:
        graph: The whole network. It is copied and frozen.
        name: The name of the space in messages and results.
        order: Names of the choices in the order in which an architecture lists them; by default the order of first
            appearance (node by node in topological order: its width, then its incoming edges).
        rules: Which combinations of options are valid, listed or counted; by default all are.
        cells: The graphs that the network repeats, for keys and encodings; by default the whole graph.

    Attributes:
        graph: The graph, frozen.
        order: Its nodes in topological order, the output last.
        inputs: The predecessors of each node, in the order in which they are combined.
        choices: The choices, in the order in which an architecture lists their options.
        sizes: The number of options of each choice.
        indexed_rules: The rules, by positions of choices.

    Raises:
        InvalidSpace: The graph has a cycle, more than one output, an edge without an operation, tensors that do not
            fit, or choices of one name with different numbers of options.
    """

    def __init__(
        self,
        graph: nx.DiGraph[Any],
        *,
        name: str = "space",
        order: Sequence[str] | None = None,
        rules: Sequence[Rule | Automaton] = (),
        cells: Sequence[nx.DiGraph[Any]] = (),
    ) -> None:
        self.name = name
        self.graph: nx.DiGraph[Any] = nx.freeze(graph.copy())
        self.rules = tuple(rules)
        self.cells: tuple[nx.DiGraph[Any], ...] = tuple(nx.freeze(cell.copy()) for cell in cells) or (self.graph,)
        self.order, self.inputs = _ordered(self.graph)
        found = self._found_choices()
        if order is not None and sorted(order) != sorted(found):
            raise InvalidSpace(f"the stated order {list(order)} does not list the graph's choices {list(found)}")
        self.choices: tuple[Choice, ...] = tuple(found[name] for name in (order or found))
        self.sizes: tuple[int, ...] = tuple(len(choice.options) for choice in self.choices)
        self._position = {choice.name: i for i, choice in enumerate(self.choices)}
        self.indexed_rules = [IndexedRule(rule, self._position, self.sizes) for rule in self.rules]
        if not self.size:
            raise InvalidSpace(f"the rules of space {name!r} leave no valid architecture")
        _ = self.ends  # infers every shape, so that a graph that does not fit is refused here

    def __repr__(self) -> str:
        return f"<SearchSpace {self.name!r}: {self.size:,} architectures, {len(self.choices)} choices>"

    # ---- architectures -------------------------------------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """The number of valid architectures."""
        return self._elimination.total if self.rules else prod(self.sizes)

    def is_valid(self, architecture: Architecture) -> bool:
        """Whether a tuple is an architecture of this space."""
        if len(architecture) != len(self.sizes):
            return False
        if not all(0 <= option < size for option, size in zip(architecture, self.sizes, strict=True)):
            return False
        return all(rule.holds(architecture) for rule in self.indexed_rules)

    def architecture(self, options: Sequence[int]) -> Architecture:
        """Option indices (a list from JSON, say) as an architecture.

        Raises:
            InvalidArchitecture: Wrong length, an option that does not exist, or a combination that a rule forbids.
        """
        try:
            architecture = tuple(operator.index(option) for option in options)
        except TypeError:
            raise InvalidArchitecture(
                f"{options!r} is not a list of {len(self.sizes)} option numbers, one per choice of space {self.name!r}"
            ) from None
        if self.is_valid(architecture):
            return architecture
        if len(architecture) != len(self.sizes):
            raise InvalidArchitecture(
                f"{architecture} has {len(architecture)} entries; space {self.name!r} has {len(self.sizes)} choices"
            )
        for choice, option in zip(self.choices, architecture, strict=True):
            if not 0 <= option < len(choice.options):
                raise InvalidArchitecture(
                    f"{architecture}: choice {choice.name!r} has options 0 to {len(choice.options) - 1}, not {option}"
                )
        broken = next(rule.words for rule in self.indexed_rules if not rule.holds(architecture))
        raise InvalidArchitecture(f"{architecture} breaks the rule of space {self.name!r} on {broken}")

    def architectures(self) -> Iterator[Architecture]:
        """All valid architectures; the last choice varies fastest."""
        if self.rules:
            return enumerate_valid(self.sizes, self.indexed_rules)
        return itertools.product(*(range(size) for size in self.sizes))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A uniformly random valid architecture."""
        if self.rules:
            return self._elimination.sample(rng)
        uniform = rng.random(len(self.sizes)).tolist()
        return tuple([int(u * size) for u, size in zip(uniform, self.sizes, strict=True)])

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """The valid architectures one move away: one choice changed, or two changed together where the rules
        forbid each change alone (moving an input of a DARTS node, for instance).
        """
        singles = {
            (i, option): (*architecture[:i], option, *architecture[i + 1 :])
            for i, size in enumerate(self.sizes)
            for option in range(size)
            if option != architecture[i]
        }
        if not self.rules:
            return list(singles.values())
        refused = {move for move, a in singles.items() if not self.is_valid(a)}
        valid = [a for move, a in singles.items() if move not in refused]
        return valid + [a for a in self._double_moves(architecture, refused) if self.is_valid(a)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A uniform draw from the neighbours; the architecture itself where it has none."""
        if self.rules:
            neighbors = self.neighbors(architecture)
            return neighbors[int(rng.random() * len(neighbors))] if neighbors else architecture
        if not self._moves:
            return architecture
        position, step = self._moves[int(rng.random() * len(self._moves))]
        option = (architecture[position] + step) % self.sizes[position]
        return (*architecture[:position], option, *architecture[position + 1 :])

    # ---- keys, strings, encodings --------------------------------------------------------------------------------

    def is_connected(self, architecture: Architecture) -> bool:
        """Whether the input affects the output."""
        decisions = self.decisions(architecture)
        return dataflow.is_connected(self._flow(self.graph, decisions))

    def canonical(self, architecture: Architecture) -> str:
        """A key that two architectures share exactly if their data flows are isomorphic.

        See :mod:`naslab.space.dataflow`. Computed cell by cell where the space has cells.
        """
        decisions = self.decisions(architecture)
        return " | ".join(certificate(self._flow(cell, decisions)) for cell in self.cells)

    def to_string(self, architecture: Architecture) -> str:
        """``choice=option`` pairs; the spaces of benchmarks override this with their official notation."""
        options = zip(self.choices, self.architecture(architecture), strict=True)
        return ";".join(f"{choice.name}={_labels(choice)[i]}" for choice, i in options)

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`.

        Raises:
            InvalidArchitecture: The string is not in that notation.
        """
        pairs = [part.partition("=")[::2] for part in string.split(";")] if string else []
        parts = dict(pairs)
        if len(parts) < len(pairs):
            raise InvalidArchitecture(f"{string!r} states a choice twice; example: {self._example!r}")
        options = []
        for choice in self.choices:
            labels = _labels(choice)
            if choice.name not in parts:
                raise InvalidArchitecture(f"{string!r} lacks choice {choice.name!r}; example: {self._example!r}")
            if parts[choice.name] not in labels:
                hint = UnknownName(parts[choice.name], labels)
                raise InvalidArchitecture(f"{string!r}: choice {choice.name!r} has no option {hint}")
            options.append(labels.index(parts[choice.name]))
        if len(parts) > len(options):
            extra = next(name for name in parts if name not in self._position)
            raise InvalidArchitecture(f"{string!r}: space {self.name!r} has no choice {extra!r}")
        return self.architecture(options)

    @overload
    def encode(self, architecture: Architecture, kind: Literal["adjacency"]) -> OperationGraph: ...
    @overload
    def encode(self, architecture: Architecture, kind: Literal["one-hot"]) -> npt.NDArray[np.uint8]: ...
    @overload
    def encode(self, architecture: Architecture, kind: Literal["path"]) -> npt.NDArray[np.uint8]: ...
    def encode(self, architecture: Architecture, kind: str) -> npt.NDArray[np.uint8] | OperationGraph:
        """An architecture as numbers.

        Args:
            architecture: An architecture of this space.
            kind: ``"one-hot"``: ``(sum of sizes,)``. ``"path"``: ``(paths,)``, see
                :meth:`naslab.space.encoding.CellEncoder.paths`. ``"adjacency"``: operations on nodes, see
                :class:`naslab.space.encoding.OperationGraph`.
        """
        if kind == "one-hot":
            code = np.zeros(sum(self.sizes), dtype=np.uint8)
            ends = itertools.accumulate(self.sizes)
            options = zip(ends, self.sizes, self.architecture(architecture), strict=True)
            code[[end - size + option for end, size, option in options]] = 1
            return code
        if kind == "path":
            return self._encoder.paths(self.decisions(architecture))
        if kind == "adjacency":
            return self._encoder.operation_graph(self.decisions(architecture))
        raise InvalidValue(f"encoding {UnknownName(kind, ['one-hot', 'path', 'adjacency'])}")

    # ---- the network ---------------------------------------------------------------------------------------------

    @cached_property
    def cost_model(self) -> CostModel | CostPerArchitecture:
        """Costs of every architecture, as tables over the choices where no width is derived."""
        if has_derived_widths(self.graph):
            return CostPerArchitecture(self.name, self.resolve)
        return build_cost_model(self.graph, self.order, self.inputs, self._options)

    def shapes(self, architecture: Architecture) -> tuple[dict[Any, Shape], dict[tuple[Any, Any], Shape]]:
        """The shape of every node of one architecture, and of what every edge delivers, by source and node."""
        model, decisions = self.cost_model, self.decisions(architecture)
        if isinstance(model, CostPerArchitecture):
            model, decisions = model.model(architecture), {}
        nodes = {node: features.at(decisions) for node, features in model.shapes.items()}
        return nodes, {edge: features.at(decisions) for edge, features in model.arriving.items()}

    def input_shape(self, architecture: Architecture) -> Shape:
        """The shape of one input of an architecture: its size may be a choice."""
        return self.shapes(architecture)[0][self.order[0]]

    @cached_property
    def ends(self) -> tuple[tuple[int, ...], int]:
        """The shape of one input (of the largest, where its size is a choice), and how many features (classes) the last
        node has."""
        if isinstance(self.cost_model, CostPerArchitecture):  # any architecture has them
            nodes, _ = self.shapes(self.sample(np.random.default_rng(0)))
            return nodes[self.order[0]], nodes[self.order[-1]][0]
        return self.cost_model.shapes[self.order[0]].largest, self.cost_model.shapes[self.order[-1]].largest[0]

    def cost(self, architecture: Architecture, convention: str = "published") -> Cost:
        """Parameters, MACs and memory of one architecture.

        Args:
            architecture: An architecture of this space.
            convention: ``"published"``: dead branches included, as published parameter counts do. ``"reachable"``: only
                operations that an input reaches and that reach the output.
        """
        if convention == "reachable":
            graph = self.resolve(architecture)
            return resolved_cost_model(graph, live_edges(graph)).cost(())
        if convention != "published":
            raise InvalidValue(f"convention {UnknownName(convention, ['published', 'reachable'])}")
        try:
            return self.cost_model.cost(architecture)
        except LookupError:
            self.architecture(architecture)
            raise

    def decisions(self, architecture: Architecture) -> dict[str, int]:
        """Option index by choice name.

        Raises:
            InvalidArchitecture: See :meth:`architecture`.
        """
        return {choice.name: i for choice, i in zip(self.choices, self.architecture(architecture), strict=True)}

    def resolve(self, architecture: Architecture) -> nx.DiGraph[Any]:
        """The graph of one architecture: the same nodes and edges, no choices.

        Nodes keep their order and carry ``inputs``, their predecessors in the order in which they are combined.
        """
        return self._resolved(self.graph, self.decisions(architecture))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_elimination"}  # large, and soon made

    # ---- inside --------------------------------------------------------------------------------------------------

    def _resolved(self, graph: nx.DiGraph[Any], decisions: dict[str, int]) -> nx.DiGraph[Any]:
        order, inputs = (self.order, self.inputs) if graph is self.graph else _ordered(graph)
        resolved: nx.DiGraph[Any] = nx.DiGraph()
        for node in order:
            attributes = {key: resolve(value, decisions) for key, value in graph.nodes[node].items()}
            if isinstance(attributes.get("width"), Derived):
                taken = {
                    choice.name: resolve(choice.options[decisions[choice.name]], decisions) for choice in self.choices
                }
                attributes["width"] = attributes["width"].function(taken)
            attributes |= {"sized": True} if scope(graph.nodes[node].get("shape")) else {}
            resolved.add_node(node, **{**attributes, "inputs": tuple(inputs[node])})
        for node in order:
            for source in inputs[node]:
                attributes = graph.edges[source, node]
                resolved.add_edge(source, node, **{**attributes, "op": resolve(attributes["op"], decisions)})
        return resolved

    def _flow(self, graph: nx.DiGraph[Any], decisions: dict[str, int]) -> dataflow.DataFlow:
        resolved = self._resolved(graph, decisions)
        return dataflow.data_flow(resolved, list(resolved), nx.get_node_attributes(resolved, "inputs"))

    @cached_property
    def _options(self) -> dict[str, int]:
        return {choice.name: len(choice.options) for choice in self.choices}

    @cached_property
    def _elimination(self) -> Elimination:
        return Elimination(self.sizes, self.indexed_rules)

    @cached_property
    def _encoder(self) -> CellEncoder:
        edges = []
        for cell in self.cells:
            order, inputs = _ordered(cell)
            edges.append([(source, node) for node in order for source in inputs[node]])
        return CellEncoder(self.cells, edges, self._options)

    @cached_property
    def _moves(self) -> list[tuple[int, int]]:
        return [(i, step) for i, size in enumerate(self.sizes) for step in range(1, size)]

    @cached_property
    def _example(self) -> str:
        return self.to_string(next(self.architectures()))

    def _double_moves(self, architecture: Architecture, refused: set[tuple[int, int]]) -> Iterator[Architecture]:
        moved = {i for i, _ in refused}
        scopes = [sorted(moved.intersection(rule.scope)) for rule in self.indexed_rules]
        pairs = sorted({pair for scope in scopes for pair in itertools.combinations(scope, 2)})
        for i, j in pairs:
            for first, second in itertools.product(range(self.sizes[i]), range(self.sizes[j])):
                if (i, first) in refused and (j, second) in refused:
                    yield (*architecture[:i], first, *architecture[i + 1 : j], second, *architecture[j + 1 :])

    def _found_choices(self) -> dict[str, Choice]:
        found: dict[str, Choice] = {}
        for node in self.order:
            ops = [self.graph.edges[source, node]["op"] for source in self.inputs[node]]
            stated = [self.graph.nodes[node].get(key) for key in ("shape", "width", "combine")]
            for choice in itertools.chain(*map(choices_in, (*stated, *ops))):
                if "=" in choice.name or ";" in choice.name:
                    raise InvalidSpace(f"choice {choice.name!r}: a name may not contain '=' or ';'")
                first = found.setdefault(choice.name, choice)
                if len(first.options) != len(choice.options):
                    raise InvalidSpace(
                        f"choice {choice.name!r} has {len(first.options)} options in one place and "
                        f"{len(choice.options)} at node {node!r}; places that share a name share the number of options"
                    )
        return found


def _ordered(graph: nx.DiGraph[Any]) -> tuple[list[Any], dict[Any, list[Any]]]:
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


def _labels(choice: Choice) -> list[str]:
    """How the options are written: as they print if that tells them apart and can be read back, else by number."""
    labels = [str(option) for option in choice.options]
    plain = len(set(labels)) == len(labels) and not any(";" in label or "Choice(" in label for label in labels)
    return labels if plain else [str(i) for i in range(len(labels))]
