"""Widths that follow from the whole architecture, and the costs of spaces that have them.

In NAS-Bench-101 the number of channels of a node depends on nearly all edges of its cell (Ying et al. 2019, section
2.2): a table of it would have an entry for each architecture. Such a space has no cost tables; shapes and costs are
inferred from the graph of one architecture at a time, by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import networkx as nx
import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidSpace
from naslab.space.choice import Architecture, resolve
from naslab.space.cost import Cost, CostModel, resolved_cost_model
from naslab.space.features import Axes

_REMEMBERED = 10_000
"""How many operations' costs are kept."""


@dataclass(frozen=True)
class Derived:
    """A node's width as a function of the architecture.

    Args:
        function: Takes the option that each choice takes, by name (operations without choices in them; of a range its
            number), and returns the width, a positive whole number. A function of a module or a frozen dataclass with
            ``__call__``, so that the space can be pickled. The fields of a dataclass may hold decisions, which are then
            decisions of the space, and which it finds decided when it is called: so a range may set a width.
    """

    function: Callable[[Mapping[str, Any]], int]


def stated_width(width: Any, decisions: Mapping[str, Any]) -> Any:
    """The width that a node states after the given decisions, None where it states none or a derived one.

    Names of operations in encodings are made with it: a width that follows from all decisions would only tell the same
    operation apart from place to place.
    """
    return None if isinstance(width, Derived) else resolve(width, decisions)


def has_derived_widths(graph: nx.DiGraph[Any]) -> bool:
    """Whether a node's width is derived."""
    return any(isinstance(width, Derived) for width in nx.get_node_attributes(graph, "width").values())


class CostPerArchitecture:
    """The costs of a space with derived widths, with the questions of a :class:`naslab.space.CostModel` that ask about
    architectures. What needs tables is refused.

    Args:
        name: Of the space.
        resolve: Gives the graph of an architecture.
        at_once: Metrics of which the space knows a closed form for many architectures: option indices
            ``(N, choices)`` to ``(N,)``.
    """

    def __init__(
        self,
        name: str,
        resolve: Callable[[Architecture], nx.DiGraph[Any]],
        at_once: Mapping[str, Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]] | None = None,
    ) -> None:
        self.name, self.resolve, self.at_once = name, resolve, at_once or {}
        self._axes = Axes({})  # remembers operations, so that the second architecture is quicker

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.resolve, self.at_once)  # what is remembered is soon known again

    def model(self, architecture: Architecture) -> CostModel:
        """Shapes and costs of one architecture, as constants."""
        if len(self._axes.constant) > _REMEMBERED:  # widths of ranges hardly ever come again
            self._axes = Axes({})
        return resolved_cost_model(self.resolve(architecture), self._axes)

    def cost(self, architecture: Architecture) -> Cost:
        """All costs of one architecture."""
        return self.model(architecture).cost(())

    def value(self, metric: str, architecture: Architecture) -> int:
        """One cost of one architecture."""
        return self.model(architecture).value(metric, ())

    def values(self, metric: str, architectures: npt.ArrayLike) -> npt.NDArray[Any]:
        """One cost of many architectures: ``(N, choices)`` option indices to ``(N,)``."""
        rows = np.asarray(architectures)
        if metric in self.at_once:
            return self.at_once[metric](rows)
        return np.array([self.value(metric, tuple(row)) for row in rows.tolist()], np.int64)

    @property
    def factors(self) -> NoReturn:
        """Refused, as everything that is a table."""
        raise InvalidSpace(
            f"the widths of space {self.name!r} are derived from whole architectures, so it has no tables of costs and "
            "shapes: supernets, stacked networks, expected costs and exact limits need them; costs and networks of "
            "single architectures, enumeration and Monte-Carlo do not"
        )

    shapes = arriving = factors
