"""Shake-drop, and residual blocks of vectors with or without shake-shake."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.compiler.builders.dropout import Seeded
from naslab.compiler.builders.normalisations import AnyBatchNorm
from naslab.compiler.primitives import Linear, Norm, build
from naslab.ops import Shape


def _shaken(forward: Tensor, backward: Tensor) -> Tensor:
    """The value of one with the gradient of the other."""
    return backward + (forward - backward).detach()


class ShakenBranch(Seeded):
    """A factor for all rows: see :class:`naslab.ops.ShakeDrop`."""

    def __init__(self, shaken: float, *, inverted: bool) -> None:
        super().__init__()
        self.kept, self.inverted = 1 - shaken, inverted

    def forward(self, x: Tensor) -> Tensor:
        if self.training == self.inverted:
            # What is published evaluates this with 1/2 for a: not the mean of its draws.
            return x * ((1 + self.kept) / 2 if self.inverted else self.kept)
        gate, a, c = self.draw(3, x)
        b = (gate < self.kept).to(x)
        a = a if self.inverted else 2 * a - 1
        return _shaken(x * (b + a - b * a), x * (b + c - b * c))


class ShakenPair(Seeded):
    """Two branches, weighted: shake-shake."""

    def __init__(self, *, inverted: bool) -> None:
        super().__init__()
        self.inverted = inverted

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        if self.training == self.inverted:
            return (one + other) / 2
        a, c = self.draw(2, one)
        return _shaken(other + a * (one - other), other + c * (one - other))


class PreActivation(nn.Module):
    """See :class:`naslab.ops.PreActivationBlock`."""

    def __init__(self, op: ops.PreActivationBlock, features: int, width: int, norm: Norm) -> None:
        super().__init__()
        self.changes = features != width
        if self.changes:
            self.norm, self.shortcut = _norm(features, norm), Linear(features, width)
        self.branch = self._branch(op, features, width, norm)
        if op.shake_shake:
            self.other, self.pair = self._branch(op, features, width, norm), ShakenPair(inverted=op.inverted)
        self.shake_drop = build(op.shake_drop, (width,), (width,), norm)

    def _branch(self, op: ops.PreActivationBlock, features: int, width: int, norm: Norm) -> nn.Sequential:
        before = [] if self.changes else [_norm(features, norm), nn.ReLU()]
        behind = [nn.ReLU(), build(op.dropout, (width,), (width,), norm), Linear(width, width)]
        return nn.Sequential(*before, Linear(features, width), _norm(width, norm), *behind)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        if self.changes:
            x = functional.relu(self.norm(x))
            residual = self.shortcut(x)
        y = self.branch(x)
        if hasattr(self, "pair"):
            y = self.pair(y, self.other(x))
        total: Tensor = residual + self.shake_drop(y)
        return total


def _norm(features: int, norm: Norm) -> nn.Module:
    return AnyBatchNorm(features, affine=norm.affine, track_running_stats=norm.track_running_stats)


@build.register
def _(op: ops.ShakeDrop, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ShakenBranch(float(op.most * op.share), inverted=op.inverted)


@build.register
def _(op: ops.PreActivationBlock, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return PreActivation(op, shape[0], out[0], norm)
