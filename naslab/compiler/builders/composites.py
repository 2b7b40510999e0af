"""Operations made of operations."""

from __future__ import annotations

from torch import Tensor, nn

from naslab import ops
from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape
from naslab.ops.composites import Composite


class Skip(nn.Sequential):
    """What arrives, plus what the parts make of it."""

    def forward(self, input: Tensor) -> Tensor:
        y = input
        for part in self:
            y = part(y)
        return input + y


@build.register
def _(op: ops.Sequence, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Sequential(*_parts(op, shape, out, norm))


@build.register
def _(op: ops.Residual, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    # Inside another operation it may add nothing to what arrives.
    return nn.Identity() if op.is_identity else Skip(*_parts(op, shape, out, norm))


def _parts(op: Composite, shape: Shape, out: Shape, norm: Norm) -> list[nn.Module]:
    return [build(part, arriving, leaving, norm) for part, arriving, leaving in op.between(shape, out)]
