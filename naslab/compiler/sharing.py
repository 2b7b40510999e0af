"""Weights that several widths share: a small module runs on parts of the large module's tensors.

The first features are kept, kernels are cropped at the centre. Where the input is a concatenation, the first features
of every piece are kept. Batch statistics are those of the kept features; running statistics, biases and affine
parameters of the others are neither used nor changed, and they get no gradient (weight decay, which is the
optimiser's, still shrinks them unless it skips parameters without gradients).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from naslab.compiler.primitives import Norm, build
from naslab.ops import Shape

Pieces = tuple[tuple[int, int], ...]
"""For each tensor of a concatenation, how many features it has at its largest and how many now."""


class Shared:
    """Runs an operation at any width on the tensors of one large module.

    Args:
        host: The operation at its largest attributes (kernel, expansion).
        module: Its module at the largest widths.
        shape: Largest input shape.
        out: Largest output shape.
        norm: How batch normalisations behave.
    """

    def __init__(self, host: Any, module: nn.Module, shape: Shape, out: Shape, norm: Norm) -> None:
        self.host, self.module, self.shape, self.out, self.norm = host, module, shape, out, norm
        self._input_axes = _input_axes(host, shape, out, norm)

    def run(self, op: Any, x: Tensor, out: Shape, pieces: Pieces = ()) -> Tensor:
        """Apply ``op``, a smaller form of the host, to ``x``; the output has shape ``out``."""
        shape = tuple(x.shape[1:])
        if (op, shape, out) == (self.host, self.shape, self.out):
            whole: Tensor = self.module(x)
            return whole
        small = _skeleton(op, shape, out, self.norm)
        small.train(self.module.training)
        result: Tensor = functional_call(small, self.tensors(op, shape, out, pieces), (x,))
        return result

    def tensors(self, op: Any, shape: Shape, out: Shape, pieces: Pieces = ()) -> dict[str, Tensor]:
        """The parts of the large module's tensors that the small module uses, as views where possible."""
        small = _skeleton(op, shape, out, self.norm)
        large, wanted = tensors_of(self.module), tensors_of(small)
        return {
            name: cropped(large[name], tuple(tensor.shape), self._input_axes.get(name, ()), pieces)
            for name, tensor in wanted.items()
        }


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def cropped(tensor: Tensor, shape: Shape, input_axes: Sequence[int] = (), pieces: Pieces = ()) -> Tensor:
    """The part of a tensor that a smaller one of the given shape uses."""
    for axis, size in enumerate(shape):
        surplus = tensor.shape[axis] - size
        if axis in input_axes and pieces:
            starts = [sum(full for full, _ in pieces[:i]) for i in range(len(pieces))]
            kept = [tensor.narrow(axis, start, now) for start, (_, now) in zip(starts, pieces, strict=True)]
            tensor = torch.cat(kept, dim=axis)
        elif surplus:
            tensor = tensor.narrow(axis, surplus // 2 if axis >= 2 else 0, size)
    return tensor


@cache
def _skeleton(op: Any, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    """A module without memory of its own, to be called with other tensors."""
    with torch.device("meta"):
        return build(op, shape, out, norm)


@cache
def _input_axes(op: Any, shape: Shape, out: Shape, norm: Norm) -> dict[str, tuple[int, ...]]:
    """Which axes of which tensors count input features: those that grow by one with the input."""
    now = tensors_of(_skeleton(op, shape, out, norm))
    wider = tensors_of(_skeleton(op, (shape[0] + 1, *shape[1:]), out, norm))
    return {
        name: tuple(i for i, (a, b) in enumerate(zip(tensor.shape, wider[name].shape, strict=True)) if b == a + 1)
        for name, tensor in now.items()
    }
