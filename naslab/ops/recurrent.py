"""Recurrent layers: ``(features, length)`` to the hidden states, ``(width, length)``.

One layer in one direction, with PyTorch's gates and its two biases; the first state is zero. *MACs* are those of the
gates' matrices at every step. The width is the number of hidden features: all of them are mixed at every step, so
masking them is not slicing, and a choice of width has a categorical form only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from naslab.ops.base import Count, Operation, Shape, check_sequence
from naslab.ops.slices import Slices


@dataclass(frozen=True)
class _Recurrent(Operation):
    sets_width = True
    gates: ClassVar[int]

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        check_sequence(self, shape)
        return super().output_shape(shape, width)

    def params(self, shape: Shape, out: Shape) -> Count:
        return self.gates * out[0] * (shape[0] + out[0] + 2)

    def macs(self, shape: Shape, out: Shape) -> Count:
        return self.gates * out[0] * (shape[0] + out[0]) * out[1]

    def slices(self, shape: Shape, out: Shape) -> Slices:
        gates = (self.gates, "leading")
        return {
            "weight_ih_l0": (gates, "input"),
            "weight_hh_l0": (gates, "leading"),
            "bias_ih_l0": (gates,),
            "bias_hh_l0": (gates,),
        }


@dataclass(frozen=True)
class GRU(_Recurrent):
    """Gated recurrent units (Cho et al. 2014), the reset gate after the product as in PyTorch."""

    gates = 3


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

    gates = 4
