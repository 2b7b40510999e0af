"""Decisions without a network: what a benchmark varied, where only its numbers are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NoReturn

import networkx as nx

from naslab.errors import InvalidValue
from naslab.space.choice import Architecture, Choice
from naslab.space.cost import CostModel
from naslab.space.decisions import DecisionSpace
from naslab.space.rules import Rule
from naslab.space.search_space import SearchSpace


class PlainSpace(SearchSpace):
    """Choices, and rules between them. It has no parameters to count and nothing to train; what needs them is refused.

    Two architectures are the same only if they are equal.

    Args:
        choices: In the order in which an architecture lists them.
        name: The name of the space in messages and results.
        rules: Which combinations of options are valid; by default all are.

    Raises:
        InvalidSpace: A rule is about what is no choice, or the rules leave nothing.
    """

    has_network = False

    def __init__(self, choices: Sequence[Choice], *, name: str, rules: Sequence[Rule] = ()) -> None:
        DecisionSpace.__init__(self, name, choices, {choice.name: ((),) for choice in choices}, rules)
        self.recipe = None
        self.graph: nx.DiGraph[Any] = nx.freeze(nx.DiGraph())
        self.cells = ()
        self.order, self.inputs = [], {}
        self.of_network = (False,) * len(self.choices)

    @cached_property
    def cost_model(self) -> CostModel:
        """Costs of none: they are measured, or not known."""
        return CostModel({})

    def cost(self, architecture: Architecture, convention: str = "published") -> NoReturn:
        self._refuse("parameters and MACs")

    def canonical(self, architecture: Architecture) -> str:
        return self.to_string(architecture)

    def is_connected(self, architecture: Architecture) -> bool:
        return self.is_valid(architecture)

    def encode(self, architecture: Architecture, kind: str) -> Any:
        if kind != "one-hot":
            self._refuse(f"encoding {kind!r}")
        return super().encode(architecture, "one-hot")

    def draw(self, architecture: Architecture, ax: Any = None) -> NoReturn:
        self._refuse("a picture")

    def resolve(self, architecture: Architecture) -> NoReturn:
        self._refuse("its graph")

    def require_network(self, who: str) -> None:
        self._refuse(who)

    def require_one_size(self, who: str) -> None:
        self._refuse(who)

    @property
    def ends(self) -> NoReturn:
        self._refuse("the shape of its input")

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidValue(
            f"space {self.name!r} is choices without a network: {what} needs one. Fix: state a space that has it"
        )
