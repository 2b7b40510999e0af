"""Poolings and up-sampling."""

from __future__ import annotations

from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape


@build.register
def _(op: ops.AvgPool, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.AvgPool2d(op.kernel, op.stride, op.kernel // 2, count_include_pad=False)


@build.register
def _(op: ops.MaxPool, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    even = op.kernel % 2 == 0
    return nn.MaxPool2d(op.kernel, op.stride, (op.kernel - 1) // 2, ceil_mode=even)


class TokenMean(nn.Module):
    """The mean over all positions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2)


@build.register
def _(op: ops.TokenPool, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return TokenMean()


@build.register
def _(op: ops.Upsample, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Upsample(scale_factor=op.factor, mode=op.mode)
