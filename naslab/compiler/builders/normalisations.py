"""Normalisations over the features of each position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import BatchNorm, Norm, build
from naslab.ops import Shape


class AnyBatchNorm(BatchNorm):
    """Batch normalisation of vectors, sequences and images."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class FeatureNorm(nn.Module):
    """What the two normalisations of one position's features have in common: a factor per feature."""

    def __init__(self, features: int, *, bias: bool, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features))
        self.bias = nn.Parameter(torch.empty(features)) if bias else None
        self.eps = eps

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, features, *positions)``; centred only where there is a bias."""
        if self.bias is not None:
            x = x - x.mean(dim=1, keepdim=True)
        y = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self.eps) * _per_feature(self.weight, x)
        return y if self.bias is None else y + _per_feature(self.bias, x)


def _per_feature(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (x.dim() - 2))


@build.register
def _(op: ops.BatchNorm, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return AnyBatchNorm(shape[0], affine=norm.affine, track_running_stats=norm.track_running_stats)


@build.register
def _(op: ops.LayerNorm, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return FeatureNorm(shape[0], bias=True, eps=1e-5)


@build.register
def _(op: ops.RMSNorm, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return FeatureNorm(shape[0], bias=False, eps=1e-6)
