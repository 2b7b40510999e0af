"""Encoders whose depth, width, heads and feed-forward ratios are choices: AutoFormer's space (Chen et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx

from naslab import ops
from naslab.errors import InvalidValue
from naslab.search_spaces.counts import check_count
from naslab.space import Architecture, Choice, SearchSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def transformer(
    input_shape: Sequence[int] = (1, 8, 8),
    classes: int = 10,
    patch: int = 2,
    vocabulary: int = 0,
    depths: Sequence[int] = (1, 2, 3),
    widths: Sequence[int] = (16, 24, 32),
    heads: Sequence[int] = (1, 2, 4),
    ratios: Sequence[float] = (1, 2, 4),
    head_size: int = 8,
) -> EncoderSpace:
    """A pre-norm Transformer encoder for images, sequences of features, or token numbers.

    Patches (or tokens) and learnt positions, layers of attention and feed-forward blocks, each added to its input
    behind a layer normalisation; then a last one, the mean over all positions and a linear layer. The *width* of all
    layers and their number are decided once, *heads* and the feed-forward *ratio* in each layer that there is.

    With ``W`` widths, ``H`` numbers of heads, ``R`` ratios and depths D there are ``W * sum((H R)^d for d in D)``
    networks. In the categorical supernet a small width, ratio or number of heads is the first part of a large one, as
    in AutoFormer.

    AutoFormer-Ti is ``input_shape=(3, 224, 224), classes=1000, patch=16, depths=(12, 13, 14), widths=(192, 216, 240),
    heads=(3, 4), ratios=(3.5, 4), head_size=64``. Deviations: the mean over positions in place of a class token, and
    no relative positions.

    Args:
        input_shape: Of one input: ``(channels, height, width)``, or ``(features, length)``; token numbers are
            ``(1, length)``.
        classes: Numbers that the network gives.
        patch: The side of a patch; 1 for each pixel or position. Not for token numbers.
        vocabulary: Token numbers are 0 to ``vocabulary - 1``; 0: the input is features.
        depths: Numbers of layers to choose from, increasing.
        widths: Numbers of features to choose from.
        heads: Numbers of heads to choose from, in each layer.
        ratios: Features inside the feed-forward block, as multiples of the width, to choose from in each layer.
        head_size: Features of a head.

    Raises:
        InvalidValue: Nothing to choose from, numbers that are no positive ones, or depths that do not increase.
        InvalidSpace: Patches do not divide the input.
    """
    for name, numbers in {"depths": depths, "widths": widths, "heads": heads, "ratios": ratios}.items():
        kind = (int, float) if name == "ratios" else (int,)
        if not numbers or not all(isinstance(n, kind) and not isinstance(n, bool) and n > 0 for n in numbers):
            whole = "" if name == "ratios" else "whole "
            raise InvalidValue(f"{name}={numbers!r}. Allowed: {whole}numbers above 0, at least one")
    check_count(depths=max(depths))
    if list(depths) != sorted(set(depths)):
        raise InvalidValue(f"depths={depths!r}: give each once, in increasing order")
    width = Choice("width", tuple(widths)) if len(widths) > 1 else widths[0]  # a mixed form takes one width alone
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("x", shape=tuple(input_shape))
    graph.add_node("patches", width=width)
    graph.add_edge("x", "patches", op=ops.Embedding(vocabulary) if vocabulary else ops.PatchEmbedding(patch))
    graph.add_node("layer0", width=width)
    graph.add_edge("patches", "layer0", op=ops.PositionalEmbedding())
    for i in range(1, depths[-1] + 1):
        layer = _layer(i, tuple(heads), tuple(ratios), head_size)
        options = tuple(layer if depth >= i else ops.Identity() for depth in depths)
        op = layer if i <= depths[0] else Choice("depth", options, labels=tuple(depths))
        graph.add_node(f"layer{i}", width=width)
        graph.add_edge(f"layer{i - 1}", f"layer{i}", op=op)
    graph.add_edge(f"layer{depths[-1]}", "features", op=ops.Sequence((ops.LayerNorm(), ops.TokenPool())))
    graph.add_node("logits", width=classes)
    graph.add_edge("features", "logits", op=ops.Linear())
    of_layers = [f"{kind}{i}" for i in range(1, depths[-1] + 1) for kind in ("heads", "ratio")]
    order = [*(["width"] if len(widths) > 1 else []), *(["depth"] if len(depths) > 1 else []), *of_layers]
    return EncoderSpace(graph, name="transformer", order=order)


class EncoderSpace(SearchSpace):
    """A space of encoders, with their picture."""

    def draw(self, architecture: Architecture, ax: Axes | None = None) -> Axes:
        """A picture of one network: a box per layer, as high as its feed-forward ratio, its heads above it.

        Args:
            architecture: An architecture of this space.
            ax: Where to draw; new axes by default.
        """
        from naslab.analysis.chain_plots import Layer, draw_chain  # matplotlib takes half a second

        graph, shapes = self.resolve(architecture), self.shapes(architecture)[0]
        layers = []
        for _, node, attributes in graph.edges(data=True):
            op = attributes["op"]
            if isinstance(op, ops.PatchEmbedding | ops.Embedding):
                layers.append(
                    Layer("", 1, ("patches" if isinstance(op, ops.PatchEmbedding) else "tokens",), shapes[node])
                )
            elif isinstance(op, ops.Sequence) and isinstance(op.parts[0], ops.Residual):
                attention, forward = (part.body.parts[1] for part in op.parts)
                words = (f"{attention.heads} head{'s' if attention.heads > 1 else ''}", f"x {forward.expansion:g}")
                layers.append(Layer("encoder layer", round(2 * forward.expansion), words, shapes[node]))
            elif isinstance(op, ops.Linear):
                layers.append(Layer("", 1, ("linear",), shapes[node]))
        size = "x".join(map(str, shapes["x"]))
        return draw_chain(layers, ax, title=f"{self.name}, {size}: {self.cost(architecture).macs / 1e6:,.3g} M MACs")


def _layer(i: int, heads: tuple[int, ...], ratios: tuple[float, ...], head_size: int) -> ops.Operation:
    """Attention and the feed-forward block, each added to what arrives."""
    attention = ops.MultiHeadAttention(heads=Choice(f"heads{i}", heads), head_size=head_size)
    forward = ops.FeedForward(expansion=Choice(f"ratio{i}", ratios))
    return ops.Sequence(tuple(ops.Residual(ops.Sequence((ops.LayerNorm(), each))) for each in (attention, forward)))
