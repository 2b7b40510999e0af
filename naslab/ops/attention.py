"""Attention, and the feed-forward block that usually follows it.

Their input is ``(features, *positions)``: a sequence, or an image whose pixels are the tokens. *MACs* are what
``torch.utils.flop_counter`` counts, halved: projections, query times key and attention times value, for all pairs of
tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from naslab.ops.activations import ACTIVATIONS
from naslab.ops.base import Count, Operation, Shape, Value, check_divides, check_known, whole
from naslab.ops.slices import Cut, Slices, linear_slices


@dataclass(frozen=True)
class MultiHeadAttention(Operation):
    """Scaled dot-product self-attention with biases (Vaswani et al. 2017, section 3.2); no mask, no dropout.

    Query, key and value are one fused projection. In a supernet a smaller number of heads keeps the first heads of
    each where ``head_size`` is stated (AutoFormer's sharing; Chen et al. 2021), and the first features of each where
    it is not.

    Args:
        heads: The number of heads.
        head_size: Features of one head; None divides the input's features among the heads.
    """

    sets_width = True
    heads: Value = 4
    head_size: Value = None

    @property
    def masks_width(self) -> bool:  # type: ignore[override]
        """With heads of a stated size nothing inside depends on the width of the input."""
        return self.head_size is not None

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if self.head_size is None:
            check_divides(self, self.heads, shape[0], "heads")
        return super().output_shape(shape, width)

    def inner(self, shape: Shape) -> Count:
        """Features of all heads together."""
        return shape[0] if self.head_size is None else self.heads * self.head_size

    def params(self, shape: Shape, out: Shape) -> Count:
        inner = self.inner(shape)
        return (shape[0] + 1) * 3 * inner + (inner + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        tokens, inner = prod(shape[1:]), self.inner(shape)
        return tokens * inner * (3 * shape[0] + 2 * tokens + out[0])

    def slices(self, shape: Shape, out: Shape) -> Slices:
        by_head: tuple[int, ...] = () if self.head_size is None else (self.heads, self.head_size)
        parts: Cut = (3, *by_head) if by_head else (3, "leading")
        return {**linear_slices("project", parts, "input"), **linear_slices("join", "leading", by_head or "leading")}


@dataclass(frozen=True)
class FeedForward(Operation):
    """Two affine maps at every position with an activation between them (Vaswani et al. 2017, section 3.3).

    Args:
        expansion: Features inside, as a multiple of the input's; rounded to a whole number.
        activation: One of :data:`naslab.ops.activations.ACTIVATIONS`.
    """

    sets_width = True
    expansion: Value = 4
    activation: Value = "gelu"

    def __post_init__(self) -> None:
        check_known(self, "activation", ACTIVATIONS)

    def hidden(self, shape: Shape) -> Count:
        """Features inside."""
        return whole(shape[0] * self.expansion)

    def params(self, shape: Shape, out: Shape) -> Count:
        hidden = self.hidden(shape)
        return (shape[0] + 1) * hidden + (hidden + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return prod(shape[1:]) * self.hidden(shape) * (shape[0] + out[0])

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**linear_slices("expand", "leading", "input"), **linear_slices("project", "leading", "leading")}
