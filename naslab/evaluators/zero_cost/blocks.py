"""Blocks of a network: what lies between the tensors that everything flows through."""

from __future__ import annotations

from typing import Any

import networkx as nx
from torch import Tensor, fx

from naslab.compiler.network import NODES
from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.shared import Pass
from naslab.space import SearchSpace


def cut_nodes(space: SearchSpace) -> tuple[Any, ...]:
    """The nodes between input and output that every path passes: they cut the graph into blocks.

    The same for every architecture. In NAS-Bench-201: the stem, the 15 cells' outputs and the two reductions.
    """
    above = nx.immediate_dominators(space.graph, space.order[0])
    found, node = [], above[space.order[-1]]
    while node != space.order[0]:
        found.append(node)
        node = above[node]
    return tuple(reversed(found))


def block_outputs(known: Pass, x: Tensor, name: str) -> list[Tensor] | None:
    """The tensors at the cut nodes, in order; None where one is a constant, that is, the network is disconnected.

    Raises:
        InvalidValue: The network was not compiled from a space with cut nodes.
    """
    if not isinstance(known.network, fx.GraphModule) or not known.blocks:
        raise InvalidValue(
            f"proxy {name!r} looks at blocks: give a space whose graph has some, and its compiled network"
        )
    seen = _Tap(known.network, set(known.blocks))
    seen.run(x)
    if len(seen.found) < len(known.blocks):
        return None
    return [seen.found[block] for block in known.blocks]


class _Tap(fx.Interpreter):
    """Runs a graph and keeps the tensors of some nodes of the space."""

    def __init__(self, module: fx.GraphModule, wanted: set[Any]) -> None:
        super().__init__(module)
        self.wanted = wanted
        self.found: dict[Any, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.found |= {node: value for node in n.meta.get(NODES, ()) if node in self.wanted}
        return value
