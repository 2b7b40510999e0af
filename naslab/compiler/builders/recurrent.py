"""Recurrent layers over sequences."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape


class _Recurrent(nn.Module):
    """One layer in one direction, with the tensors of ``torch.nn.GRU`` and ``LSTM`` under the same names."""

    def __init__(self, gates: int, features: int, width: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.empty(gates * width, features))
        self.weight_hh_l0 = nn.Parameter(torch.empty(gates * width, width))
        self.bias_ih_l0 = nn.Parameter(torch.empty(gates * width))
        self.bias_hh_l0 = nn.Parameter(torch.empty(gates * width))

    def initialise(self, generator: torch.Generator) -> None:
        bound = self.weight_hh_l0.shape[1] ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, features, length)`` to ``(N, width, length)``."""
        start = x.new_zeros(1, len(x), self.weight_hh_l0.shape[1])
        # The function, not PyTorch's module: that one keeps a list of its own tensors, and a supernet lends it others.
        outputs: Tensor = self._run(x.transpose(1, 2), start, list(self.parameters()))
        return outputs.transpose(1, 2)

    def _run(self, x: Tensor, start: Tensor, weights: list[Any]) -> Tensor:
        raise NotImplementedError


class GatedUnits(_Recurrent):
    """``torch.nn.GRU``."""

    def _run(self, x: Tensor, start: Tensor, weights: list[Any]) -> Tensor:
        return torch.gru(x, start, weights, True, 1, 0.0, self.training, False, True)[0]


class LongShortTermMemory(_Recurrent):
    """``torch.nn.LSTM``."""

    def _run(self, x: Tensor, start: Tensor, weights: list[Any]) -> Tensor:
        return torch.lstm(x, (start, start), weights, True, 1, 0.0, self.training, False, True)[0]


@build.register
def _(op: ops.GRU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return GatedUnits(op.gates, shape[0], out[0])


@build.register
def _(op: ops.LSTM, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return LongShortTermMemory(op.gates, shape[0], out[0])
