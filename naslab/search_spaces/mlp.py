"""Multi-layer perceptrons whose hidden widths are choices: the search space of TabNAS (Yang et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np

from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.files import clipped, read_whole
from naslab.ops import Linear, ReLU
from naslab.search_spaces.counts import check_count
from naslab.space import Architecture, Choice, SearchSpace

WIDTHS = (8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 384, 512)
"""The 20 widths that public code derived from TabNAS uses for every layer."""


def mlp(
    in_features: int = 32,
    out_features: int = 10,
    depth: int = 3,
    widths: Sequence[int] | Sequence[Sequence[int]] = WIDTHS,
) -> MLP:
    """A perceptron of ``depth`` hidden layers with ReLU, each with its own choice of width.

    Args:
        in_features: Number of inputs.
        out_features: Number of outputs.
        depth: Number of hidden layers; ignored where ``widths`` lists the widths of each layer.
        widths: Widths to choose from, the same for every layer; or one sequence per layer.

    Raises:
        InvalidValue: No layer, more than 1,000, or widths that are not distinct positive integers.
    """
    given: list[Any] = list(widths)
    check_count(depth=depth)
    layers = [tuple(w) if isinstance(w, Sequence) and not isinstance(w, str) else w for w in given]
    nested = [isinstance(w, tuple) for w in layers]
    if not layers or any(nested) != all(nested):
        raise InvalidValue(f"widths={widths!r}: give numbers, or one sequence of numbers per layer")
    per_layer: list[tuple[Any, ...]] = [tuple(w) for w in layers] if all(nested) else [tuple(layers)] * depth
    if not per_layer:
        raise InvalidValue(f"depth={depth}: a perceptron has at least one hidden layer")
    for options in per_layer:
        if not options or not all(isinstance(w, int | np.integer) and int(w) > 0 for w in options):
            raise InvalidValue(f"widths={widths!r}: every layer needs widths, integers of at least 1")
        if len(set(options)) < len(options):
            raise InvalidValue(f"widths={widths!r}: a layer lists a width twice")
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=(in_features,))
    last = "x"
    for i, options in enumerate(per_layer, start=1):
        graph.add_node(f"hidden{i}", width=Choice(f"width{i}", tuple(int(w) for w in options)))
        graph.add_edge(last, f"hidden{i}", op=Linear())
        last = f"hidden{i}/relu"
        graph.add_edge(f"hidden{i}", last, op=ReLU())
    graph.add_node("y", width=out_features)
    graph.add_edge(last, "y", op=Linear())
    return MLP(graph, name="mlp")


class MLP(SearchSpace):
    """Perceptrons with a choice of widths, written ``32-144-24``."""

    def to_string(self, architecture: Architecture) -> str:
        """The hidden widths from input to output."""
        options = zip(self.choices, self.architecture(architecture), strict=True)
        return "-".join(str(choice.options[i]) for choice, i in options)

    def from_string(self, string: str) -> Architecture:
        parts = string.split("-")
        widths = [read_whole(part) for part in parts]
        if len(parts) != len(self.choices) or parts != [str(width) for width in widths]:
            example = "-".join(str(choice.options[0]) for choice in self.choices)
            raise InvalidArchitecture(
                f"{clipped(string)} is not a list of {len(self.choices)} widths such as {example!r}"
            )
        options = []
        for choice, width in zip(self.choices, widths, strict=True):
            if width not in choice.options:
                raise InvalidArchitecture(f"{string!r}: {choice.name} is one of {choice.options}, not {width}")
            options.append(choice.options.index(width))
        return tuple(options)
