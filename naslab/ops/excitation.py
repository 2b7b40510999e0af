"""Squeeze-and-excitation in its two published conventions, and the rounding of widths that goes with them."""

from __future__ import annotations

from dataclasses import dataclass

from naslab.ops.base import Count, Operation, Shape, Value, check_known, whole
from naslab.ops.slices import Slices, linear_slices

CONVENTIONS = ("mnasnet", "mobilenetv3")


def make_divisible(width: Count, divisor: int = 8) -> Count:
    """The multiple of ``divisor`` nearest to a width, at least ``divisor`` and never more than a tenth below the width.

    The rounding of MobileNetV2 and of all that follow it: halves are rounded up.

    Args:
        width: A number, or an array of them.
        divisor: Of the result.
    """
    rounded = divisor * whole(width / divisor)
    rounded = rounded + (rounded < divisor) * (divisor - rounded)
    return rounded + divisor * (rounded < 0.9 * width)


def squeezed_width(convention: str, block_input: Count, features: Count) -> Count:
    """Features between squeeze and excitation.

    ``"mnasnet"`` (Tan et al. 2019; EfficientNet, too): a quarter of the *block's input*, rounded down, at least 1.
    ``"mobilenetv3"`` (Howard et al. 2019; once-for-all, too): a quarter of the features that are gated, the *expanded*
    width, made divisible by 8.

    Args:
        convention: One of :data:`CONVENTIONS`.
        block_input: Width of the block's input.
        features: Width of what is gated.
    """
    if convention == "mobilenetv3":
        return make_divisible(features / 4)
    return block_input // 4 + (block_input < 4)


@dataclass(frozen=True)
class SqueezeExcitation(Operation):
    """Channel-wise gates from the pooled image (Hu et al. 2018), with biases: squeeze, ReLU, excitation, gate.

    Args:
        convention: See :func:`squeezed_width`; alone, the input is the block's input. The gate is a sigmoid
            (``"mnasnet"``) or a hard sigmoid, ``relu6(x + 3) / 6`` (``"mobilenetv3"``).
    """

    convention: Value = "mnasnet"

    def __post_init__(self) -> None:
        check_known(self, "convention", CONVENTIONS)

    def params(self, shape: Shape, out: Shape) -> Count:
        squeezed = squeezed_width(self.convention, shape[0], shape[0])
        return 2 * shape[0] * squeezed + squeezed + shape[0]

    def macs(self, shape: Shape, out: Shape) -> Count:
        return 2 * shape[0] * squeezed_width(self.convention, shape[0], shape[0])

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {**linear_slices("squeeze", "leading", "input"), **linear_slices("excite", "input", "leading")}
