"""One architecture as a lean ``torch.fx.GraphModule``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import networkx as nx
import torch
from torch import Tensor, fx, nn

from naslab.compiler.devices import resolved
from naslab.compiler.primitives import Norm, build, initialised, is_built_in, twin
from naslab.errors import InvalidSpace
from naslab.ops import Shape
from naslab.space import Architecture, SearchSpace, reaching_output, resolved_cost_model

NODES = "naslab/nodes"
"""The key in an fx node's ``meta`` for the nodes of the search space whose tensor it computes."""


def compile_network(
    space: SearchSpace,
    architecture: Architecture,
    *,
    generator: torch.Generator | None = None,
    affine: bool = True,
    track_running_stats: bool = True,
    cut: bool = True,
    shape: Shape | None = None,
    device: str = "cpu",
) -> fx.GraphModule:
    """The network of one architecture, built at its actual widths.

    Operations that cannot reach the output are cut. Operations that the input cannot reach are cut only if they give
    exactly zero: an affine normalisation turns zeros into its bias, which is learnt, and a disconnected network
    computes a constant. Identities leave no trace in the graph. Modules are named after their edges; ``meta[NODES]`` of
    an fx node lists the nodes of the space that it computes.

    Args:
        space: The search space.
        architecture: An architecture of this space.
        generator: For the initial parameters (PyTorch's default distributions); a fresh one with its default seed
            where None.
        affine: Whether batch normalisations have a weight and a bias.
        track_running_stats: Whether they keep running statistics for evaluation.
        cut: Whether dead branches are cut. Published parameter counts include them.
        shape: Of one input, where it is not the space's: zeros inside the network have their size built in.
        device: Where the network is; its parameters are drawn on the CPU and moved.

    Raises:
        InvalidArchitecture: The architecture is not of this space.
        InvalidSpace: An operation has no builder, or its module does not fit the shapes it states.
        InvalidValue: There is no such device.
    """
    device = resolved(device)
    graph = space.resolve(architecture)
    order = list(graph)
    if shape is None:
        shapes, arriving = space.shapes(architecture)
    else:
        graph.nodes[order[0]]["shape"] = shape
        shapes, arriving = resolved_cost_model(graph).all_shapes({})
    check_names(graph)
    norm = Norm(affine, track_running_stats)
    lowering = Lowering(graph, shapes, arriving, generator or torch.Generator(), norm)
    wanted = reaching_output(graph) if cut else set(order)
    values: dict[Any, fx.Node | None] = {}  # None: exactly zero
    for node in order:
        sources = graph.nodes[node]["inputs"]
        if not sources:
            values[node] = lowering.graph.placeholder(identifier(str(node)))
        elif node in wanted:
            terms = [lowering.edge(source, node, values.get(source), keep=not cut) for source in sources]
            values[node] = lowering.combined(node, terms)
        if (value := values.get(node)) is not None:
            value.meta.setdefault(NODES, []).append(node)
    output = values[order[-1]]
    if output is None:
        output = lowering.zeros(shapes[order[-1]])
    network = lowering.finish(output, identifier(space.name), cut=cut)
    return network if device == "cpu" else network.to(device)


def edge_name(graph: nx.DiGraph[Any], source: Any, node: Any) -> str:
    """The stated name of an edge, or ``source->node``. It names modules, which must not contain dots."""
    return str(graph.edges[source, node].get("name", f"{source}->{node}")).replace(".", "_")


def check_names(graph: nx.DiGraph[Any]) -> None:
    """Check the names of edges, after which modules are named.

    Raises:
        InvalidSpace: Two edges have the same name, or an edge has a name that modules use for something else.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for source, node in graph.edges:
        name = edge_name(graph, source, node)
        if not name or name in _TAKEN:
            raise InvalidSpace(f"edge {source!r} -> {node!r}: the name {name!r} is taken by PyTorch; give it another")
        if name in found:
            other = "{!r} -> {!r}".format(*found[name])
            raise InvalidSpace(f"edges {other} and {source!r} -> {node!r} have the same name, {name!r}; rename one")
        found[name] = (source, node)


_TAKEN = {*dir(fx.GraphModule({}, fx.Graph())), "_derived", "_parts", "drop_path", "fast", "form", "norm", "space"}


def identifier(name: str) -> str:
    """A name as a Python identifier."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    return plain if plain.isidentifier() else f"_{plain}"


@cache
def maps_zero_to_zero(op: Any, shape: Shape, out: Shape, norm: Norm) -> bool:
    """Whether the module of an operation gives exactly zero for zeros, whatever values it learns.

    Only tensors named ``weight`` are assumed to be factors. Running statistics may come from a supernet in which the
    input was not zero.
    """
    with torch.device("meta"):
        module = build(op, shape, out, norm)
    if any(not name.endswith("weight") for name, _ in (*module.named_parameters(), *module.named_buffers())):
        return False
    delivered: Tensor = initialised(module, torch.Generator()).eval()(torch.zeros(2, *shape, device="cpu"))
    return not delivered.any()


class Lowering:
    """Writes an fx graph edge by edge."""

    def __init__(
        self,
        source: nx.DiGraph[Any],
        shapes: Mapping[Any, Shape],
        arriving: Mapping[tuple[Any, Any], Shape],
        generator: torch.Generator,
        norm: Norm,
    ) -> None:
        self.source, self.shapes, self.arriving = source, shapes, arriving
        self.generator, self.norm = generator, norm
        self.graph = fx.Graph()
        self.modules: dict[str, nn.Module] = {}

    def edge(self, source: Any, node: Any, value: fx.Node | None, *, keep: bool) -> fx.Node | None:
        """What an edge delivers; None where it is exactly zero and need not be kept."""
        op = self.source.edges[source, node]["op"]
        if op.is_zero:
            return None
        if op.is_identity:
            return value
        shape, out = self.shapes[source], self.arriving[source, node]
        name = edge_name(self.source, source, node)
        module = made(op, shape, out, self.norm, self.generator, name)
        if value is None:
            if not keep and maps_zero_to_zero(op, shape, out, self.norm):
                return None
            value = self.zeros(self.shapes[source])
        self.modules[name] = module
        return self.named(self.graph.call_module(name, (value,)), name)

    def combined(self, node: Any, terms: Sequence[fx.Node | None]) -> fx.Node | None:
        """What a node makes of what arrives."""
        how = self.source.nodes[node].get("combine", "sum")
        if how == "concat":
            if not any(term is not None for term in terms):
                return None
            sources = self.source.nodes[node]["inputs"]
            parts = [
                self.zeros(self.arriving[s, node]) if term is None else term
                for s, term in zip(sources, terms, strict=True)
            ]
            return self.named(self.graph.call_function(torch.cat, (parts, 1)), str(node))
        present = [term for term in terms if term is not None]
        if not present or (how == "product" and len(present) < len(terms)):
            return None
        function = torch.mul if how == "product" else torch.add
        total = present[0]
        for term in present[1:]:
            total = self.named(self.graph.call_function(function, (total, term)), str(node))
        if how == "mean" and len(terms) > 1:
            total = self.named(self.graph.call_function(torch.div, (total, len(terms))), str(node))
        return total

    def zeros(self, shape: Shape) -> fx.Node:
        """Zeros for as many examples as the input has."""
        x = next(iter(self.graph.nodes))
        batch = self.graph.call_method("size", (x, 0))
        return self.graph.call_method("new_zeros", (x, (batch, *shape)))

    def named(self, node: fx.Node, name: str) -> fx.Node:
        node._rename(identifier(name))
        return node

    def finish(self, output: fx.Node, name: str, *, cut: bool) -> fx.GraphModule:
        self.graph.output(output)
        if cut and "product" in nx.get_node_attributes(self.source, "combine").values():
            # A product with a zero is zero, whatever its other terms are.
            self.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
            called = {node.target for node in self.graph.nodes if node.op == "call_module"}
            self.modules = {name: module for name, module in self.modules.items() if name in called}
        self.graph.lint()
        return fx.GraphModule(self.modules, self.graph, name)


def made(op: Any, shape: Shape, out: Shape, norm: Norm, generator: torch.Generator, name: str) -> nn.Module:
    """Build and initialise the module of an edge.

    Raises:
        InvalidSpace: The operation has no builder, or its module does not deliver the shape that it states.
    """
    try:
        prototype, delivered = _prototype(op, shape, out, norm)
        if is_built_in(op):
            module = twin(prototype)
        else:  # a third party's module may hold anything
            with torch.device("meta"):
                module = build(op, shape, out, norm)
    except InvalidSpace as error:
        raise InvalidSpace(f"edge {name!r}: {error}") from None
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise InvalidSpace(f"edge {name!r}: the module of {op!r} refuses an input of shape {shape}: {error}") from None
    if delivered != out:
        raise InvalidSpace(f"edge {name!r}: the module of {op!r} delivers {delivered}, the operation states {out}")
    return initialised(module, generator)


@lru_cache(2048)  # attributes and widths of ranges hardly ever come again
def _prototype(op: Any, shape: Shape, out: Shape, norm: Norm) -> tuple[nn.Module, Shape]:
    """The module of an operation and the shape that it delivers, worked out on the meta device once per kind."""
    with torch.device("meta"):
        module = build(op, shape, out, norm)
        delivered = tuple(module.eval()(torch.empty(2, *shape, device="meta")).shape[1:])
    return module.train(), delivered
