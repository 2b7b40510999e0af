"""Embeddings of tokens, patches and positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.primitives import Conv1d, Conv2d, Norm, build
from naslab.ops import Shape


class TokenEmbedding(nn.Module):
    """A vector per token, drawn from the normal distribution (as ``torch.nn.Embedding``)."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, width, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, length)`` to ``(N, width, length)``."""
        return functional.embedding(x[:, 0].long(), self.weight).transpose(1, 2)


class AddedPositions(nn.Module):
    """A vector per position, added; drawn with standard deviation 0.02 (as in BERT and vision transformers)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.weight, std=0.02, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


@build.register
def _(op: ops.Embedding, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return TokenEmbedding(op.vocabulary, out[0])


@build.register
def _(op: ops.PatchEmbedding, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    kind = Conv2d if len(shape) == 3 else Conv1d
    return kind(shape[0], out[0], op.size, op.size)


@build.register
def _(op: ops.PositionalEmbedding, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return AddedPositions(shape)
