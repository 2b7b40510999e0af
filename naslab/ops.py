"""The vocabulary of operations: frozen dataclasses with closed-form costs. No torch here.

An operation is what stands on an edge. It says how shapes change and what it costs; how to build it is the
compiler's business. Shapes have no batch axis: ``(features,)`` or ``(channels, height, width)``.

Conventions. *Parameters* count weights, biases and the affine pairs of batch normalisations. *MACs* count the
multiply-accumulates of linear and convolutional layers only: biases, normalisations, activations and poolings
count nothing. (Tables that the literature calls "FLOPs" are often MACs plus the classifier's biases.)

A third party adds an operation by subclassing :class:`Operation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeAlias

Shape: TypeAlias = tuple[int, ...]
Value: TypeAlias = Any
"""A plain value, or a :class:`~naslab.choice.Choice` of values until the choice is resolved."""


@dataclass(frozen=True)
class Operation:
    """Something that maps one tensor to another.

    Subclasses override what differs: an operation keeps its input's shape and costs nothing by default.
    """

    is_zero: ClassVar[bool] = False
    """Its output is zero whatever its input: the edge carries nothing."""
    is_identity: ClassVar[bool] = False
    """Its output is its input: the edge only renames a tensor."""
    sets_width: ClassVar[bool] = False
    """Its number of output features is free, hence set by the width of the node it leads to."""
    masks_width: ClassVar[bool] = False
    """Setting surplus features to zero, before and after it, gives what it would give without them. Not so where
    features are mixed inside or a bias makes zero something else."""

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        """Shape of the output.

        Args:
            shape: Shape of the input.
            width: The number of features that the destination states, or None where it states none.
        """
        return (width, *shape[1:]) if self.sets_width and width is not None else shape

    def label(self, width: int | None) -> str:
        """The operation in words, with the width of the node it leads to where it sets one (None: not stated)."""
        return f"{self!r} to {width}" if self.sets_width and width is not None else repr(self)

    def params(self, shape: Shape, out: Shape) -> int:
        """Number of trainable parameters, given the shapes of input and output."""
        return 0

    def macs(self, shape: Shape, out: Shape) -> int:
        """Multiply-accumulates for one example, given the shapes of input and output."""
        return 0


@dataclass(frozen=True)
class Zero(Operation):
    """No connection."""

    masks_width = True
    is_zero = True


@dataclass(frozen=True)
class Identity(Operation):
    """Skip connection."""

    masks_width = True
    is_identity = True


@dataclass(frozen=True)
class ReLU(Operation):
    """Rectified linear unit."""

    masks_width = True


@dataclass(frozen=True)
class Linear(Operation):
    """Affine map ``(features,) -> (width,)``, with bias."""

    masks_width = True
    sets_width = True

    def params(self, shape: Shape, out: Shape) -> int:
        return (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> int:
        return shape[0] * out[0]


@dataclass(frozen=True)
class _Windowed(Operation):
    """Slides a window over the image, padded so that stride 1 keeps height and width."""

    kernel: Value = 3
    stride: int = 1

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (*super().output_shape(shape, width)[:1], *(-(-side // self.stride) for side in shape[1:]))


@dataclass(frozen=True)
class AvgPool(_Windowed):
    """Average pooling; padding is not counted in the average (NAS-Bench-201 and DARTS)."""

    masks_width = True


@dataclass(frozen=True)
class MaxPool(_Windowed):
    """Maximum pooling; an even kernel has to be moved by two pixels or more to fit."""

    masks_width = True


@dataclass(frozen=True)
class Conv(_Windowed):
    """Convolution without bias, batch normalisation and ReLU in a stated order.

    ``relu-conv-bn`` is the order of NAS-Bench-201 and DARTS, ``conv-bn`` that of their stems,
    ``conv-bn-relu`` that of NAS-Bench-101.
    """

    masks_width = True
    sets_width = True
    order: str = "relu-conv-bn"

    def params(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] * out[0] + 2 * out[0])

    def macs(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] * prod(out))


@dataclass(frozen=True)
class PlainConv(_Windowed):
    """Convolution alone, without bias, normalisation or ReLU: for nodes that normalise the sum of what arrives."""

    masks_width = True
    sets_width = True

    def params(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] * out[0])

    def macs(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] * prod(out))


@dataclass(frozen=True)
class UpsamplingConv(Operation):
    """Convolution of an image at twice its height and width, zeros between its pixels; no bias, no normalisation.

    How a convolutional neural fabric goes to a finer scale (Saxena & Verbeek 2016, section 3.1). The kernel is odd.
    Products with the zeros that were put in are no MACs: it is run as a transposed convolution.
    """

    masks_width = True
    sets_width = True
    kernel: Value = 3

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (*super().output_shape(shape, width)[:1], *(2 * side for side in shape[1:]))

    def params(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] * out[0])

    def macs(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * prod(shape) * out[0])


@dataclass(frozen=True)
class NormReLU(Operation):
    """Batch normalisation and ReLU."""

    def params(self, shape: Shape, out: Shape) -> int:
        return 2 * shape[0]


@dataclass(frozen=True)
class Projection(Operation):
    """The identity where input and output have the same width, else a 1x1 convolution with batch normalisation.

    What a skip connection is in NATS-Bench's size space.
    """

    sets_width = True

    def params(self, shape: Shape, out: Shape) -> int:
        return 0 if shape == out else shape[0] * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> int:
        return 0 if shape == out else shape[0] * prod(out)


@dataclass(frozen=True)
class DilatedConv(_Windowed):
    """ReLU, depthwise convolution with dilation, 1x1 convolution, batch normalisation (DARTS' ``dil_conv``)."""

    masks_width = True
    sets_width = True
    dilation: int = 2

    def params(self, shape: Shape, out: Shape) -> int:
        return int(self.kernel**2 * shape[0] + shape[0] * out[0] + 2 * out[0])

    def macs(self, shape: Shape, out: Shape) -> int:
        return int((self.kernel**2 * shape[0] + shape[0] * out[0]) * prod(out[1:]))


@dataclass(frozen=True)
class SeparableConv(_Windowed):
    """Depthwise-separable convolution applied twice, the first time with the stride (DARTS' ``sep_conv``)."""

    sets_width = True

    def params(self, shape: Shape, out: Shape) -> int:
        c = shape[0]
        return int((self.kernel**2 * c + c * c + 2 * c) + (self.kernel**2 * c + c * out[0] + 2 * out[0]))

    def macs(self, shape: Shape, out: Shape) -> int:
        c = shape[0]
        return int((2 * self.kernel**2 * c + c * c + c * out[0]) * prod(out[1:]))


@dataclass(frozen=True)
class FactorizedReduction(_Windowed):
    """ReLU, two 1x1 convolutions of stride 2 shifted by a pixel and concatenated, batch normalisation (DARTS)."""

    sets_width = True
    kernel: Value = 1
    stride: int = 2

    def params(self, shape: Shape, out: Shape) -> int:
        return shape[0] * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> int:
        return shape[0] * prod(out)


@dataclass(frozen=True)
class ResidualReduction(_Windowed):
    """Residual block that halves the image: two 3x3 convolutions (``relu-conv-bn``) beside a 2x2 average
    pooling followed by a 1x1 convolution without normalisation (NAS-Bench-201, section 2.1).
    """

    sets_width = True
    kernel: Value = 3
    stride: int = 2

    def params(self, shape: Shape, out: Shape) -> int:
        c, w, k = shape[0], out[0], self.kernel**2
        return int((k * c * w + 2 * w) + (k * w * w + 2 * w) + c * w)

    def macs(self, shape: Shape, out: Shape) -> int:
        c, w, k = shape[0], out[0], self.kernel**2
        return int((k * c * w + k * w * w + c * w) * prod(out[1:]))


@dataclass(frozen=True)
class MBConv(_Windowed):
    """Inverted bottleneck (MobileNetV2; Sandler et al. 2018): 1x1 expansion, depthwise convolution, optional
    squeeze-and-excitation (reduced to a quarter of the *input* width, as in MnasNet), 1x1 projection; each
    convolution followed by batch normalisation. Without the expansion where its factor is 1.
    """

    sets_width = True
    expansion: Value = 6
    squeeze_excitation: Value = False

    def _hidden(self, shape: Shape) -> tuple[int, int]:
        hidden = shape[0] * self.expansion
        return hidden, max(1, shape[0] // 4) if self.squeeze_excitation else 0

    def params(self, shape: Shape, out: Shape) -> int:
        hidden, squeezed = self._hidden(shape)
        expand = (shape[0] * hidden + 2 * hidden) if self.expansion != 1 else 0
        excite = 2 * hidden * squeezed + squeezed + hidden if squeezed else 0
        return int(expand + self.kernel**2 * hidden + 2 * hidden + excite + hidden * out[0] + 2 * out[0])

    def macs(self, shape: Shape, out: Shape) -> int:
        hidden, squeezed = self._hidden(shape)
        expand = shape[0] * hidden * prod(shape[1:]) if self.expansion != 1 else 0
        return int(expand + (self.kernel**2 * hidden + hidden * out[0]) * prod(out[1:]) + 2 * hidden * squeezed)


@dataclass(frozen=True)
class Classifier(Operation):
    """Batch normalisation, ReLU, global average pooling and a linear layer: an image to class scores."""

    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (width if width is not None else shape[0],)

    def params(self, shape: Shape, out: Shape) -> int:
        return 2 * shape[0] + (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> int:
        return shape[0] * out[0]


@dataclass(frozen=True)
class PooledLinear(Operation):
    """Global average pooling and a linear layer: an image to class scores (DARTS, NAS-Bench-101)."""

    masks_width = True
    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        return (width if width is not None else shape[0],)

    def params(self, shape: Shape, out: Shape) -> int:
        return (shape[0] + 1) * out[0]

    def macs(self, shape: Shape, out: Shape) -> int:
        return shape[0] * out[0]
