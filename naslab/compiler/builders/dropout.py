"""Dropout from a seed of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslab import ops
from naslab.compiler.devices import fetched, uniform
from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape


class Seeded(nn.Module):
    """Draws that are a function of a seed and of the number of calls, both of them buffers."""

    seed: Tensor
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seed", torch.empty((), dtype=torch.int64, device="meta"))
        self.register_buffer("calls", torch.empty((), dtype=torch.int64, device="meta"))

    def initialise(self, generator: torch.Generator) -> None:
        self.seed.copy_(torch.randint(2**62, (), generator=generator, device="cpu"))
        self.calls.zero_()

    def draw(self, shape: tuple[int, ...] | int, like: Tensor) -> Tensor:
        """Uniform numbers in [0, 1), others at every call, where another tensor is."""
        shape = (shape,) if isinstance(shape, int) else shape
        if like.is_meta and not self.training:  # asked for shapes, before there is a seed
            return like.new_empty(shape)
        # Reading the seed waits for a device; the draws are the same on all of them.
        generator = torch.Generator().manual_seed(int(fetched(self.seed)) + int(fetched(self.calls)))
        self.calls.add_(1)
        return uniform(shape, generator, like.device)


class SeededDropout(Seeded):
    """Dropout by draws of its own: ``torch.nn.functional.dropout`` takes no generator but the global one."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x
        if self.rate == 1:
            return x * 0
        kept = self.draw(x.shape, x) >= self.rate
        return x * (kept.to(x) / (1 - self.rate))


@build.register
def _(op: ops.Dropout, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return SeededDropout(op.rate)


@build.register
def _(op: ops.ScaledDropout, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return SeededDropout(op.rate)
