"""Operations that consist of several convolutions, side by side or one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from naslab.ops.base import Count, Operation, Shape, Value, Windowed


@dataclass(frozen=True)
class Projection(Operation):
    """The identity where input and output have the same width, else a 1x1 convolution with batch normalisation.

    This is the skip connection of NATS-Bench's size space.
    """

    sets_width = True

    def params(self, shape: Shape, out: Shape) -> Count:
        return _differ(shape, out) * (shape[0] * out[0] + 2 * out[0])

    def macs(self, shape: Shape, out: Shape) -> Count:
        return _differ(shape, out) * shape[0] * prod(out)


@dataclass(frozen=True)
class FactorizedReduction(Windowed):
    """ReLU, two 1x1 convolutions of stride 2 shifted by a pixel and concatenated, batch normalisation (DARTS)."""

    sets_width = True
    kernel: Value = 1
    stride: int = 2

    def params(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return shape[0] * prod(out)


@dataclass(frozen=True)
class ResidualReduction(Windowed):
    """Residual block that halves the image: two 3x3 convolutions (``relu-conv-bn``) beside a 2x2 average
    pooling followed by a 1x1 convolution without normalisation (NAS-Bench-201, section 2.1).
    """

    sets_width = True
    kernel: Value = 3
    stride: int = 2

    def params(self, shape: Shape, out: Shape) -> Count:
        c, w, k = shape[0], out[0], self.kernel**2
        return (k * c * w + 2 * w) + (k * w * w + 2 * w) + c * w

    def macs(self, shape: Shape, out: Shape) -> Count:
        c, w, k = shape[0], out[0], self.kernel**2
        return (k * c * w + k * w * w + c * w) * prod(out[1:])


@dataclass(frozen=True)
class MBConv(Windowed):
    """Inverted bottleneck (MobileNetV2; Sandler et al. 2018): 1x1 expansion, depthwise convolution, optional
    squeeze-and-excitation (reduced to a quarter of the *input* width, as in MnasNet), 1x1 projection; each
    convolution followed by batch normalisation. There is no expansion where its factor is 1.
    """

    sets_width = True
    expansion: Value = 6
    squeeze_excitation: Value = False

    def _hidden(self, shape: Shape) -> tuple[Count, Count]:
        """Width after the expansion, and after the squeeze: a quarter of the input's, at least 1."""
        squeezed = shape[0] // 4 + (shape[0] < 4)
        return shape[0] * self.expansion, self.squeeze_excitation * squeezed

    def params(self, shape: Shape, out: Shape) -> Count:
        hidden, squeezed = self._hidden(shape)
        expand = (self.expansion != 1) * (shape[0] * hidden + 2 * hidden)
        excite = (squeezed > 0) * (2 * hidden * squeezed + squeezed + hidden)
        return expand + self.kernel**2 * hidden + 2 * hidden + excite + hidden * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        hidden, squeezed = self._hidden(shape)
        expand = (self.expansion != 1) * shape[0] * hidden * prod(shape[1:])
        return expand + (self.kernel**2 * hidden + hidden * out[0]) * prod(out[1:]) + 2 * hidden * squeezed


def _differ(shape: Shape, out: Shape) -> Count:
    """1 where two shapes differ, else 0."""
    return sum(one != other for one, other in zip(shape, out, strict=True)) > 0
