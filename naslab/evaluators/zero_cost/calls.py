"""Which ReLUs the output of a graph depends on, without a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import fx, nn

from naslab.evaluators.zero_cost.recorder import RELUS, RELUS_IN_PLACE


class Calls:
    """Counts, during a forward pass, the ReLUs recorded after each module of a graph.

    Args:
        network: What runs; only a graph whose ReLUs are all within its modules gives an answer.
        recorded: The list that a recorder of ReLUs appends to meanwhile.
    """

    def __init__(self, network: nn.Module, recorded: Sequence[Any]) -> None:
        self.network, self.recorded = network, recorded
        self._ends: list[int] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> None:
        if isinstance(self.network, fx.GraphModule):
            modules = {self.network.get_submodule(str(node.target)) for node in _modules(self.network.graph)}
            self._hooks = [each.register_forward_hook(self._count) for each in modules]

    def _count(self, *_: Any) -> None:
        self._ends.append(len(self.recorded))

    def __exit__(self, *_: Any) -> None:
        for hook in self._hooks:
            hook.remove()

    def reached(self) -> list[bool] | None:
        """For each recorded ReLU, whether the output depends on the module that it was recorded in; None if unknown."""
        if not isinstance(self.network, fx.GraphModule):
            return None
        graph = self.network.graph
        if any(node.op != "call_module" and node.target in RELUS | RELUS_IN_PLACE for node in graph.nodes):
            return None
        needed: set[fx.Node] = set()
        for node in reversed(graph.nodes):
            if node.op == "output" or node in needed:
                needed.update(node.all_input_nodes)
        counts = np.diff([0, *self._ends]).tolist()
        return [node in needed for node, count in zip(_modules(graph), counts, strict=True) for _ in range(count)]


def _modules(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "call_module"]
