"""Attention and feed-forward blocks over the positions of a sequence or an image."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.builders.activations import activation
from naslab.compiler.primitives import Linear, Norm, build
from naslab.ops import Shape


class SelfAttention(nn.Module):
    """Multi-head self-attention with a fused projection to queries, keys and values."""

    def __init__(self, features: int, out: int, heads: int, size: int) -> None:
        super().__init__()
        self.project, self.join = Linear(features, 3 * heads * size), Linear(heads * size, out)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """``(N, features, *positions)`` to ``(N, out, *positions)``."""
        tokens = x.flatten(2).transpose(1, 2)
        parts = self.project(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*parts.unbind(0))
        joined = self.join(attended.transpose(1, 2).flatten(2))
        y: Tensor = joined.transpose(1, 2).unflatten(2, x.shape[2:])
        return y


class PositionWise(nn.Module):
    """Two affine maps at every position with an activation between them."""

    def __init__(self, features: int, hidden: int, out: int, between: nn.Module) -> None:
        super().__init__()
        self.expand, self.activation, self.project = Linear(features, hidden), between, Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, features, *positions)`` to ``(N, out, *positions)``."""
        y: Tensor = self.project(self.activation(self.expand(x.movedim(1, -1)))).movedim(-1, 1)
        return y


@build.register
def _(op: ops.MultiHeadAttention, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return SelfAttention(shape[0], out[0], op.heads, op.inner(shape) // op.heads)


@build.register
def _(op: ops.FeedForward, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return PositionWise(shape[0], op.hidden(shape), out[0], activation(op.activation))
