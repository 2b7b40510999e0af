"""Operations that consist of several convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.builders.activations import activation
from naslab.compiler.builders.excitation import Gates
from naslab.compiler.primitives import Norm, build, conv, sequence
from naslab.ops import Shape


class ResidualBlock(nn.Module):
    """Two convolutions beside a pooled 1x1 convolution."""

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = first, second, shortcut

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        body: Tensor = self.second(self.first(x))
        return shortcut + body


class ShiftedReduction(nn.Module):
    """Halves an image by two strided 1x1 convolutions, one of them shifted by a pixel."""

    def __init__(self, shape: Shape, out: Shape, norm: Norm) -> None:
        super().__init__()
        half = (out[0] // 2, *out[1:])
        self.even = conv(shape, half, 1, 2)
        self.odd = conv(shape, (out[0] - half[0], *out[1:]), 1, 2)
        self.norm = norm(out[0])

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)
        # The last row and column have no neighbour: the shifted image is padded, which matters for odd sizes only.
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        normalised: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return normalised


class InvertedBottleneck(nn.Module):
    """MobileNetV2's block, with a residual connection where input and output have the same shape."""

    def __init__(self, body: nn.Module, residual: bool) -> None:
        super().__init__()
        self.body, self.residual = body, residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class ChannelShuffle(nn.Module):
    """Puts the channels of each group next to those of the others, so that the next groups see all of them."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(len(x), self.groups, -1, *x.shape[2:])
        return grouped.transpose(1, 2).reshape(x.shape)


class FirstFeatures(nn.Module):
    """The first features of a tensor."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.features]


@build.register
def _(op: ops.Truncate, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return FirstFeatures(out[0])


@build.register
def _(op: ops.Projection, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Identity() if shape == out else sequence(conv=conv(shape, out, 1), bn=norm(out[0]))


@build.register
def _(op: ops.FactorizedReduction, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ShiftedReduction(shape, out, norm)


@build.register
def _(op: ops.ResidualReduction, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ResidualBlock(
        sequence(relu=nn.ReLU(), conv=conv(shape, out, op.kernel, op.stride), bn=norm(out[0])),
        sequence(relu=nn.ReLU(), conv=conv(out, out, op.kernel), bn=norm(out[0])),
        sequence(pool=nn.AvgPool2d(2, op.stride, ceil_mode=True), conv=conv(shape, out, 1)),
    )


@build.register
def _(op: ops.MBConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    features, squeezed = op.hidden(shape)
    hidden, inner = (features, *shape[1:]), (features, *out[1:])
    parts: dict[str, nn.Module] = {}
    if op.expansion != 1:
        parts |= {
            "expand": conv(shape, hidden, 1, groups=op.groups),
            "bn1": norm(features),
            "activation1": activation(op.activation),
        }
    if op.groups > 1:
        parts["shuffle"] = ChannelShuffle(op.groups)
    parts |= {
        "depthwise": conv(hidden, inner, op.kernel, op.stride, groups=features),
        "bn2": norm(features),
        "activation2": activation(op.activation),
    }
    if squeezed:
        parts["excitation"] = Gates(features, squeezed, op.convention)
    parts |= {"project": conv(inner, out, 1, groups=op.groups), "bn3": norm(out[0])}
    return InvertedBottleneck(sequence(**parts), residual=op.residual and op.stride == 1 and shape == out)
