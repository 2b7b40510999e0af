"""Squeeze-and-excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.primitives import Linear, Norm, build
from naslab.ops import Shape
from naslab.ops.excitation import squeezed_width


class Gates(nn.Module):
    """Channel-wise gates from the pooled image."""

    def __init__(self, channels: int, squeezed: int, convention: str) -> None:
        super().__init__()
        self.squeeze, self.excite = Linear(channels, squeezed), Linear(squeezed, channels)
        self.hard = convention == "mobilenetv3"

    def forward(self, x: Tensor) -> Tensor:
        wanted = self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))
        gates = functional.hardsigmoid(wanted) if self.hard else torch.sigmoid(wanted)
        return x * gates[:, :, None, None]


@build.register
def _(op: ops.SqueezeExcitation, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return Gates(shape[0], squeezed_width(op.convention, shape[0], shape[0]), op.convention)
