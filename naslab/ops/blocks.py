"""Operations that consist of several convolutions, side by side or one after the other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod

from naslab.errors import InvalidSpace, UnknownName
from naslab.ops.activations import ACTIVATIONS
from naslab.ops.base import Count, Operation, Shape, Value, Windowed, check_divides, check_known, whole
from naslab.ops.excitation import CONVENTIONS, squeezed_width
from naslab.ops.slices import Cut, Slices, kernel_slices, linear_slices, norm_slices, within


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**kernel_slices("conv", "leading", "input"), **norm_slices("bn", "leading")}


@dataclass(frozen=True)
class Truncate(Operation):
    """The first features, as many as the destination's width; all of them where it states none (NAS-Bench-101).

    More features than arrive are refused.
    """

    masks_width = True
    sets_width = True

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if width is not None and shape[0] < width:
            raise InvalidSpace(f"{self!r}: {width} features of {shape[0]}; allowed: at most as many as arrive")
        return super().output_shape(shape, width)


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        halves = {**kernel_slices("even", "leading", "input"), **kernel_slices("odd", "leading", "input")}
        return {**halves, **norm_slices("norm", "leading")}


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

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {
            **kernel_slices("first.conv", "leading", "input"),
            **norm_slices("first.bn", "leading"),
            **kernel_slices("second.conv", "leading", "leading"),
            **norm_slices("second.bn", "leading"),
            **kernel_slices("shortcut.conv", "leading", "input"),
        }


@dataclass(frozen=True, repr=False)
class MBConv(Windowed):
    """Inverted bottleneck (MobileNetV2; Sandler et al. 2018): 1x1 expansion, depthwise convolution, optional
    squeeze-and-excitation, 1x1 projection; each convolution followed by batch normalisation, all but the last by the
    activation. There is no expansion where its factor is 1, and a residual connection where input and output agree.

    Args:
        kernel: Of the depthwise convolution.
        stride: Of the depthwise convolution.
        expansion: Features inside, as a multiple of the input's; rounded to a whole number.
        squeeze_excitation: Whether there is one, or its convention, see
            :func:`naslab.ops.excitation.squeezed_width`; True is ``"mnasnet"``.
        activation: ``"relu"``, ``"relu6"`` (MobileNetV2), ``"hard-swish"`` (MobileNetV3) or any other of
            :data:`naslab.ops.activations.ACTIVATIONS`.
        groups: Of both 1x1 convolutions; with more than one, channels are shuffled before the depthwise convolution
            (ShuffleNet; FBNet, Wu et al. 2019, section 3.1). They divide the features of the input, inside and out.
        residual: False leaves the residual connection out.
    """

    sets_width = True
    expansion: Value = 6
    squeeze_excitation: Value = False
    activation: Value = "relu"
    groups: Value = 1
    residual: Value = True

    def __post_init__(self) -> None:
        check_known(self, "activation", ACTIVATIONS)
        if isinstance(self.squeeze_excitation, str) and self.squeeze_excitation not in CONVENTIONS:
            hint = UnknownName(self.squeeze_excitation, CONVENTIONS)
            raise InvalidSpace(f"MBConv: squeeze_excitation {hint}")

    def __repr__(self) -> str:
        """As dataclasses do, without the younger attributes where they are not stated: strings and keys are older."""
        young = ("activation", "groups", "residual")
        names = [f.name for f in fields(self) if f.name not in young or getattr(self, f.name) != f.default]
        return f"MBConv({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        out = super().output_shape(shape, width)
        for features in (shape[0], self.hidden(shape)[0], out[0]):
            check_divides(self, self.groups, features, "groups")
        return out

    @property
    def convention(self) -> str:
        """Of the squeeze-and-excitation, if there is one."""
        return self.squeeze_excitation if isinstance(self.squeeze_excitation, str) else "mnasnet"

    def hidden(self, shape: Shape) -> tuple[Count, Count]:
        """Width after the expansion, and after the squeeze (0 where there is none)."""
        hidden = whole(shape[0] * self.expansion)
        squeezed = squeezed_width(self.convention, shape[0], hidden)
        return hidden, squeezed if isinstance(self.squeeze_excitation, str) else self.squeeze_excitation * squeezed

    def params(self, shape: Shape, out: Shape) -> Count:
        hidden, squeezed = self.hidden(shape)
        expand = (self.expansion != 1) * (shape[0] // self.groups * hidden + 2 * hidden)
        excite = (squeezed > 0) * (2 * hidden * squeezed + squeezed + hidden)
        return expand + self.kernel**2 * hidden + 2 * hidden + excite + hidden // self.groups * out[0] + 2 * out[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        hidden, squeezed = self.hidden(shape)
        expand = (self.expansion != 1) * (shape[0] // self.groups) * hidden * prod(shape[1:])
        inside = self.kernel**2 * hidden + hidden // self.groups * out[0]
        return expand + inside * prod(out[1:]) + 2 * hidden * squeezed

    def slices(self, shape: Shape, out: Shape) -> Slices:
        inner: Cut = "input" if self.expansion == 1 else "leading"
        parts = {
            **kernel_slices("expand", "leading", "input"),
            **norm_slices("bn1", "leading"),
            **kernel_slices("depthwise", inner, "leading"),
            **norm_slices("bn2", inner),
            **linear_slices("excitation.squeeze", "leading", inner),
            **linear_slices("excitation.excite", inner, "leading"),
            **kernel_slices("project", "leading", inner),
            **norm_slices("bn3", "leading"),
        }
        return within("body", parts)


def _differ(shape: Shape, out: Shape) -> Count:
    """1 where two shapes differ, else 0."""
    return sum(one != other for one, other in zip(shape, out, strict=True)) > 0
