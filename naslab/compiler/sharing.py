"""Weights that several widths share: a small module runs on parts of the large module's tensors.

The first features are kept, kernels are cropped to their centre. Where the input is a concatenation, the first features
of every piece are kept. Batch statistics are those of the kept features; running statistics, biases and affine
parameters of all other features are neither used nor changed, and they get no gradient (the optimiser's weight decay
still shrinks them unless it skips parameters without gradients).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from naslab.compiler.primitives import BatchNorm, Norm, build
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
        training = self.module.training
        small = _skeleton(op, shape, out, self.norm, training)
        for path, norm in _norms(op, shape, out, self.norm, training):
            host = self.module.get_submodule(path)
            assert isinstance(host, BatchNorm)
            norm.momentum = host.momentum  # another one while statistics are recalibrated
        tensors = self.tensors(op, shape, out, pieces)
        result = _called(small, tensors, _slots(op, shape, out, self.norm, training), x)
        if pieces and training:
            self._keep(tensors, pieces)
        return result

    def widest(self, op: Any, x: Tensor) -> Tensor:
        """Apply ``op``, a smaller form of the host, at the largest width."""
        return self.run(op, x, op.output_shape(tuple(x.shape[1:]), self.out[0]))

    def _keep(self, tensors: Mapping[str, Tensor], pieces: Pieces) -> None:
        """Running statistics of the features of a concatenation were gathered in a copy: put them back."""
        for name, buffer in self.module.named_buffers():
            if name in tensors and 0 in self._input_axes.get(name, ()):
                kept = torch.split(tensors[name], [now for _, now in pieces])
                for (start, _, now), part in zip(_places(pieces), kept, strict=True):
                    buffer.narrow(0, start, now).copy_(part)

    def tensors(self, op: Any, shape: Shape, out: Shape, pieces: Pieces = ()) -> dict[str, Tensor]:
        """The parts of the large module's tensors that the small module uses, as views where possible."""
        found = {}
        for slot in _slots(op, shape, out, self.norm, True):
            large = self.module.get_submodule(slot.path) if slot.path else self.module
            tensor = (large._buffers if slot.is_buffer else large._parameters)[slot.attribute]
            assert tensor is not None
            found[slot.name] = cropped(tensor, slot.shape, self._input_axes.get(slot.name, ()), pieces)
        return found


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def cropped(tensor: Tensor, shape: Shape, input_axes: Sequence[int] = (), pieces: Pieces = ()) -> Tensor:
    """The part of a tensor that a smaller one of the given shape uses."""
    for axis, size in enumerate(shape):
        surplus = tensor.shape[axis] - size
        if axis in input_axes and pieces:
            kept = [tensor.narrow(axis, start, now) for start, _, now in _places(pieces)]
            tensor = torch.cat(kept, dim=axis)
        elif surplus:
            tensor = tensor.narrow(axis, surplus // 2 if axis >= 2 else 0, size)
    return tensor


def _places(pieces: Pieces) -> list[tuple[int, int, int]]:
    """Where each piece starts at the largest widths, and its two widths."""
    return [(sum(full for full, _ in pieces[:i]), *piece) for i, piece in enumerate(pieces)]


@cache
def _skeleton(op: Any, shape: Shape, out: Shape, norm: Norm, training: bool = True) -> nn.Module:
    """A module without memory of its own, to be called with other tensors; one for training, one for evaluation."""
    with torch.device("meta"):
        return build(op, shape, out, norm).train(training)


@cache
def _norms(op: Any, shape: Shape, out: Shape, norm: Norm, training: bool) -> tuple[tuple[str, BatchNorm], ...]:
    """The normalisations of a skeleton whose running statistics are gathered."""
    if not (training and norm.track_running_stats):
        return ()
    modules = _skeleton(op, shape, out, norm, training).named_modules()
    return tuple((path, module) for path, module in modules if isinstance(module, BatchNorm))


class _Slot(NamedTuple):
    """Where a tensor belongs in a module."""

    name: str
    path: str
    attribute: str
    is_buffer: bool
    shape: tuple[int, ...]
    owner: dict[str, Any]


@cache
def _slots(op: Any, shape: Shape, out: Shape, norm: Norm, training: bool) -> tuple[_Slot, ...]:
    """The places of a skeleton's tensors."""
    found = []
    for path, module in _skeleton(op, shape, out, norm, training).named_modules():
        for is_buffer, owner in ((False, module._parameters), (True, module._buffers)):
            for attribute, tensor in owner.items():
                if tensor is not None:
                    name = f"{path}.{attribute}" if path else attribute
                    found.append(_Slot(name, path, attribute, is_buffer, tuple(tensor.shape), owner))
    return tuple(found)


def _called(skeleton: nn.Module, tensors: Mapping[str, Tensor], slots: Sequence[_Slot], x: Tensor) -> Tensor:
    """Call the skeleton with these tensors, not its own: ``torch.func.functional_call`` at a fifth of its cost."""
    own = [slot.owner[slot.attribute] for slot in slots]
    try:
        for slot in slots:
            slot.owner[slot.attribute] = tensors[slot.name]
        result: Tensor = skeleton(x)
    finally:
        for slot, tensor in zip(slots, own, strict=True):
            slot.owner[slot.attribute] = tensor
    return result


@cache
def _input_axes(op: Any, shape: Shape, out: Shape, norm: Norm) -> dict[str, tuple[int, ...]]:
    """By tensor, the axes that count input features: those that grow as the input does, by 1 and by 7 features."""
    now = tensors_of(_skeleton(op, shape, out, norm))
    grown = [(by, tensors_of(_skeleton(op, (shape[0] + by, *shape[1:]), out, norm))) for by in (1, 7)]
    return {
        name: tuple(
            i for i, size in enumerate(tensor.shape) if all(wide[name].shape[i] == size + by for by, wide in grown)
        )
        for name, tensor in now.items()
    }
