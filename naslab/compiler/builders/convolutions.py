"""Convolutions of images and sequences."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from naslab import ops
from naslab.compiler.primitives import Conv1d, Conv2d, ConvTranspose2d, Norm, build, conv, sequence
from naslab.errors import InvalidSpace
from naslab.ops import Shape


@build.register
def _(op: ops.Conv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    made: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "conv": lambda: conv(shape, out, op.kernel, op.stride),
        "bn": lambda: norm(out[0]),
    }
    parts = op.order.split("-")
    if op.order not in ("relu-conv-bn", "conv-bn", "conv-bn-relu"):
        raise InvalidSpace(f"{op!r}: order {op.order!r}; allowed: relu-conv-bn, conv-bn, conv-bn-relu")
    return sequence(**{part: made[part]() for part in parts})


@build.register
def _(op: ops.PlainConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return conv(shape, out, op.kernel, op.stride)


@build.register
def _(op: ops.UpsamplingConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    if op.kernel % 2 == 0:
        raise InvalidSpace(f"{op!r}: kernel {op.kernel}; allowed: odd numbers")
    return ConvTranspose2d(shape[0], out[0], op.kernel, 2, op.kernel // 2, output_padding=1, bias=False)


@build.register
def _(op: ops.DilatedConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    inner = (shape[0], *out[1:])
    return sequence(
        relu=nn.ReLU(),
        depthwise=conv(shape, inner, op.kernel, op.stride, dilation=op.dilation, groups=shape[0]),
        pointwise=conv(inner, out, 1),
        bn=norm(out[0]),
    )


@build.register
def _(op: ops.SeparableConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    inner = (shape[0], *out[1:])
    return sequence(
        relu1=nn.ReLU(),
        depthwise1=conv(shape, inner, op.kernel, op.stride, groups=shape[0]),
        pointwise1=conv(inner, inner, 1),
        bn1=norm(shape[0]),
        relu2=nn.ReLU(),
        depthwise2=conv(inner, inner, op.kernel, groups=shape[0]),
        pointwise2=conv(inner, out, 1),
        bn2=norm(out[0]),
    )


@build.register
def _(op: ops.DepthwiseConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return conv(shape, out, op.kernel, op.stride, groups=shape[0])


@build.register
def _(op: ops.GroupedConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return conv(shape, out, op.kernel, op.stride, groups=op.groups)


@build.register
def _(op: ops.Conv1d, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return Conv1d(shape[0], out[0], op.kernel, op.stride, op.kernel // 2)


@build.register
def _(op: ops.LeakyConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return _leaky(op.slope, conv=Conv2d(shape[0], out[0], op.kernel, op.stride, op.kernel // 2))


@build.register
def _(op: ops.LeakySeparableConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    inner = (shape[0], *out[1:])
    depthwise = conv(shape, inner, op.kernel, op.stride, dilation=op.dilation, groups=shape[0])
    return _leaky(op.slope, depthwise=depthwise, conv=Conv2d(shape[0], out[0], 1))


@build.register
def _(op: ops.LeakyUpsamplingConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    padding = (op.kernel - 1) // 2
    return _leaky(op.slope, conv=ConvTranspose2d(shape[0], out[0], op.kernel, 2, padding, output_padding=op.kernel % 2))


def _leaky(slope: float, **parts: nn.Module) -> nn.Module:
    return sequence(**parts, **({} if slope == 1 else {"activation": nn.LeakyReLU(slope)}))
