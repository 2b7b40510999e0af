"""Convolutions, with the normalisations and ReLUs that usually come with them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from naslab.ops.base import Count, Operation, Shape, Value, Windowed


@dataclass(frozen=True)
class Conv(Windowed):
    """Convolution without bias, batch normalisation and ReLU in a stated order.

    ``relu-conv-bn`` is the order of NAS-Bench-201 and DARTS, ``conv-bn`` that of their stems,
    ``conv-bn-relu`` that of NAS-Bench-101.
    """

    masks_width = True
    sets_width = True
    order: str = "relu-conv-bn"

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * prod(out)


@dataclass(frozen=True)
class PlainConv(Windowed):
    """Convolution alone, without bias, normalisation or ReLU: for nodes that normalise the sum of their inputs."""

    masks_width = True
    sets_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * prod(out)


@dataclass(frozen=True)
class UpsamplingConv(Operation):
    """Convolution of an image enlarged to twice its height and width by zeros between pixels; no bias or normalisation.

    Convolutional neural fabrics use it to go to a finer scale (Saxena & Verbeek 2016, section 3.1). The kernel is odd.
    Products with the inserted zeros do not count as MACs, because the operation runs as a transposed convolution.
    """

    masks_width = True
    sets_width = True
    kernel: Value = 3

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (*super().output_shape(shape, width)[:1], *(2 * side for side in shape[1:]))

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * prod(shape) * out[0]


@dataclass(frozen=True)
class DilatedConv(Windowed):
    """ReLU, depthwise convolution with dilation, 1x1 convolution, batch normalisation (DARTS' ``dil_conv``)."""

    masks_width = True
    sets_width = True
    dilation: int = 2

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] + shape[0] * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return (self.kernel**2 * shape[0] + shape[0] * out[0]) * prod(out[1:])


@dataclass(frozen=True)
class SeparableConv(Windowed):
    """Depthwise-separable convolution applied twice, the first time with the stride (DARTS' ``sep_conv``)."""

    sets_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        c = shape[0]
        return (self.kernel**2 * c + c * c + 2 * c) + (self.kernel**2 * c + c * out[0] + 2 * out[0])

    def macs(self, shape: Shape, out: Shape) -> Count:
        c = shape[0]
        return (2 * self.kernel**2 * c + c * c + c * out[0]) * prod(out[1:])
