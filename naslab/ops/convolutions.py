"""Convolutions of images and sequences, with the normalisations and ReLUs that usually come with them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from naslab.ops.base import Count, Operation, Shape, Value, Windowed, check_divides, check_sequence
from naslab.ops.slices import Slices, kernel_slices, norm_slices


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**kernel_slices("conv", "leading", "input"), **norm_slices("bn", "leading")}


@dataclass(frozen=True)
class PlainConv(Windowed):
    """Convolution alone, without bias, normalisation or ReLU: for nodes that normalise the sum of their inputs."""

    masks_width = True
    sets_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * prod(out)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return kernel_slices("", "leading", "input")


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return kernel_slices("", "input", "leading")


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {
            **kernel_slices("depthwise", "input", "leading"),
            **kernel_slices("pointwise", "leading", "input"),
            **norm_slices("bn", "leading"),
        }


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {
            **kernel_slices("depthwise1", "input", "leading"),
            **kernel_slices("pointwise1", "input", "input"),
            **norm_slices("bn1", "input"),
            **kernel_slices("depthwise2", "input", "leading"),
            **kernel_slices("pointwise2", "leading", "input"),
            **norm_slices("bn2", "leading"),
        }


@dataclass(frozen=True)
class DepthwiseConv(Windowed):
    """One kernel per channel, without bias or normalisation."""

    masks_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * prod(out)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return kernel_slices("", "input", "leading")


@dataclass(frozen=True)
class GroupedConv(Windowed):
    """Convolution in groups, each from its share of the input's channels to its share of the output's; no bias or
    normalisation. The groups divide both.

    A choice of ``groups`` has no shared weights, because more groups are smaller kernels: a supernet takes a choice of
    operations instead, ``Choice(name, (GroupedConv(groups=1), GroupedConv(groups=2)))``.
    """

    sets_width = True
    groups: Value = 2

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        out = super().output_shape(shape, width)
        for features in (shape[0], out[0]):
            check_divides(self, self.groups, features, "groups")
        return out

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * (shape[0] // self.groups) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * (shape[0] // self.groups) * prod(out)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return kernel_slices("", "leading", "leading")


@dataclass(frozen=True)
class Conv1d(Windowed):
    """Convolution over a sequence, with bias: ``(features, length)`` to ``(width, length / stride)``, rounded up."""

    masks_width = True
    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        check_sequence(self, shape)
        return super().output_shape(shape, width)

    def params(self, shape: Shape, out: Shape) -> Count:
        return (self.kernel * shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel * shape[0] * prod(out)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**kernel_slices("", "leading", "input", sides=1), "bias": ("leading",)}


@dataclass(frozen=True)
class LeakyConv(Windowed):
    """Convolution with bias, and leaky ReLU: a layer without normalisation, as in DispNet (Mayer et al. 2016).

    Args:
        slope: What negative numbers are multiplied by; with 1 there is no activation.
    """

    masks_width = True
    sets_width = True
    slope: float = 0.1

    def params(self, shape: Shape, out: Shape) -> Count:
        return (self.kernel**2 * shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] * prod(out)

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**kernel_slices("conv", "leading", "input"), "conv.bias": ("leading",)}


@dataclass(frozen=True)
class LeakySeparableConv(Windowed):
    """Depthwise convolution, 1x1 convolution with bias, and leaky ReLU, without normalisation.

    Args:
        dilation: Of the depthwise convolution.
        slope: What negative numbers are multiplied by; with 1 there is no activation.
    """

    masks_width = True
    sets_width = True
    dilation: int = 1
    slope: float = 0.1

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * shape[0] + (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return (self.kernel**2 * shape[0] + shape[0] * out[0]) * prod(out[1:])

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {
            **kernel_slices("depthwise", "input", "leading"),
            **kernel_slices("conv", "leading", "input"),
            "conv.bias": ("leading",),
        }


@dataclass(frozen=True)
class LeakyUpsamplingConv(Operation):
    """Transposed convolution with bias to twice the height and width, and leaky ReLU (DispNet's up-convolution).

    Products with the zeros between pixels do not count as MACs.

    Args:
        kernel: At least 2.
        slope: What negative numbers are multiplied by; with 1 there is no activation.
    """

    masks_width = True
    sets_width = True
    kernel: Value = 4
    slope: float = 0.1

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (*super().output_shape(shape, width)[:1], *(2 * side for side in shape[1:]))

    def params(self, shape: Shape, out: Shape) -> Count:
        return (self.kernel**2 * shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.kernel**2 * prod(shape) * out[0]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**kernel_slices("conv", "input", "leading"), "conv.bias": ("leading",)}
