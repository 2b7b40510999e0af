"""Embeddings of categories, and a truncated singular value decomposition."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Linear, Norm, build
from naslab.ops import Shape


class EmbeddedColumns(nn.Module):
    """Some columns through a linear layer each, the others as they are; all in the order in which they arrive."""

    def __init__(self, embedded: list[tuple[int, int, int]]) -> None:
        super().__init__()
        self.places = [(start, start + size) for start, size, _ in embedded]
        self.layers = nn.ModuleList(Linear(size, length) for _, size, length in embedded)

    def forward(self, x: Tensor) -> Tensor:
        parts, last = [], 0
        for (start, stop), layer in zip(self.places, self.layers, strict=True):
            parts += [x[:, last:start], layer(x[:, start:stop])]
            last = stop
        return torch.cat([*parts, x[:, last:]], 1)


class SingularVectors(nn.Module):
    """Coordinates along singular vectors, the largest singular value first."""

    components: Tensor

    def __init__(self, features: int, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("components", torch.empty(features, dimensions, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        random = torch.randn(self.components.shape, generator=generator, device="cpu")
        self.components.copy_(torch.linalg.qr(random)[0])

    def fit_rows(self, x: Tensor) -> None:
        """Take the first right singular vectors of rows, ``(N, features)``; their largest entries are positive.

        From the eigenvectors of ``x.T @ x`` in double precision: a few hundred features at most, of any number of rows.
        """
        rows = x.detach().double()
        vectors = torch.linalg.eigh(rows.T @ rows)[1].flip(1)[:, : self.components.shape[1]]
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        with torch.no_grad():
            self.components.copy_(vectors * largest.sign())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.components


@build.register
def _(op: ops.EntityEmbedding, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return EmbeddedColumns(list(op.embedded()))


@build.register
def _(op: ops.TruncatedSVD, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return SingularVectors(shape[0], out[0])
