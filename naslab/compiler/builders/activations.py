"""Identity, activations, and normalisation followed by ReLU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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


def _alone(name: str) -> Callable[[Any, Shape, Shape, Norm], nn.Module]:
    """The builder of an operation that is an activation and nothing else."""
    return lambda op, shape, out, norm: activation(name)


for _kind, _name in {
    ops.ReLU: "relu",
    ops.ReLU6: "relu6",
    ops.HardSwish: "hard-swish",
    ops.GELU: "gelu",
    ops.SiLU: "silu",
    ops.Tanh: "tanh",
}.items():
    build.register(_kind, _alone(_name))


@build.register
def _(op: ops.NormReLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return sequence(bn=norm(out[0]), relu=nn.ReLU())
