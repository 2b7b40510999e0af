"""Identity, activations, and normalisation followed by ReLU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from naslab import ops
from naslab.compiler.primitives import Norm, build, sequence
from naslab.ops import Shape
from naslab.ops.activations import ACTIVATIONS


@build.register
def _(op: ops.Identity, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Identity()


_MODULES: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard-swish": nn.Hardswish,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}
assert tuple(_MODULES) == ACTIVATIONS


def activation(name: str) -> nn.Module:
    """The activation of this name, one of :data:`naslab.ops.activations.ACTIVATIONS`."""
    return _MODULES[name]()


@build.register
def _(op: ops.ReLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.ReLU()


@build.register
def _(op: ops.HardSwish, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return activation("hard-swish")


@build.register
def _(op: ops.GELU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return activation("gelu")


@build.register
def _(op: ops.SiLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return activation("silu")


@build.register
def _(op: ops.Tanh, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return activation("tanh")


@build.register
def _(op: ops.NormReLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return sequence(bn=norm(out[0]), relu=nn.ReLU())
