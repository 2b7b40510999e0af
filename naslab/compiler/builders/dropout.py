"""Dropout from a seed of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape


class SeededDropout(nn.Module):
    """Dropout whose draws are a function of a seed and of the number of calls, both of them buffers.

    ``torch.nn.functional.dropout`` draws from the global generator and takes no other.
    """

    seed: Tensor
    calls: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("seed", torch.empty((), dtype=torch.int64))
        self.register_buffer("calls", torch.empty((), dtype=torch.int64))

    def initialise(self, generator: torch.Generator) -> None:
        self.seed.copy_(torch.randint(2**62, (), generator=generator, device=generator.device))
        self.calls.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        # On the CPU whatever the device: a network drops the same numbers everywhere.
        generator = torch.Generator().manual_seed(int(self.seed) + int(self.calls))
        self.calls.add_(1)
        kept = torch.rand(x.shape, generator=generator) >= self.rate
        return x * (kept.to(x) / (1 - self.rate))


@build.register
def _(op: ops.Dropout, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return SeededDropout(op.rate)
