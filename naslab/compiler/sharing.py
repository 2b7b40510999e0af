"""Weights that several widths share: a small module runs on parts of the large module's tensors.

Which parts is stated by the operation (:mod:`naslab.ops.slices`). Batch statistics are those of the kept features;
running statistics, biases and affine parameters of all other features are neither used nor changed, and they get no
gradient (the optimiser's weight decay still shrinks them unless it skips parameters without gradients). Buffers are
expected to be changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from naslab.compiler.cutting import Pieces, Step, part, put_back, steps
from naslab.compiler.primitives import BatchNorm, Norm, build
from naslab.errors import InvalidSpace
from naslab.ops import Shape


class Shared:
    """Runs an operation at any width on the tensors of one large module.

    Args:
        host: The operation at its largest attributes (kernel, expansion, heads).
        module: Its module at the largest widths.
        shape: Largest input shape.
        out: Largest output shape.
        norm: How batch normalisations behave.

    Raises:
        InvalidSpace: The operation does not state how a tensor of its module is cut.
    """

    def __init__(self, host: Any, module: nn.Module, shape: Shape, out: Shape, norm: Norm) -> None:
        self.host, self.module, self.shape, self.out, self.norm = host, module, shape, out, norm
        self._slices = host.slices(shape, out)
        self._steps: dict[Any, dict[str, tuple[Step, ...]]] = {}
        unstated = [name for name in tensors_of(module) if name not in self._slices]
        if unstated:
            raise InvalidSpace(
                f"{host!r} does not state how {', '.join(map(repr, unstated))} of its module "
                f"{'is' if len(unstated) == 1 else 'are'} cut for smaller forms of it, which share weights in a "
                "supernet: give its class a method slices(shape, out)"
            )

    def run(self, op: Any, x: Tensor, out: Shape, pieces: Pieces = ()) -> Tensor:
        """Apply ``op``, a smaller form of the host, to ``x``; the output has shape ``out``."""
        shape = tuple(x.shape[1:])
        if (op, shape, out) == (self.host, self.shape, self.out):
            whole: Tensor = self.module(x)
            return whole
        training = self.module.training
        tensors = self.tensors(op, shape, out, pieces)
        small = _skeleton(op, shape, out, self.norm, training)
        for path, norm in _norms(op, shape, out, self.norm, training):
            host = self.module.get_submodule(path)
            assert isinstance(host, BatchNorm)
            norm.momentum = host.momentum  # None while statistics are recalibrated
        result = _called(small, tensors, _slots(op, shape, out, self.norm, training), x)
        if training:
            self._keep(op, shape, out, pieces, tensors)
        return result

    def widest(self, op: Any, x: Tensor) -> Tensor:
        """Apply ``op``, a smaller form of the host, at the largest width."""
        return self.run(op, x, op.output_shape(tuple(x.shape[1:]), self.out[0]))

    def tensors(self, op: Any, shape: Shape, out: Shape, pieces: Pieces = ()) -> dict[str, Tensor]:
        """The parts of the large module's tensors that the small module uses, as views where possible.

        Raises:
            InvalidSpace: A tensor of the small module is no part of the large module's.
        """
        taken = self._cuts(op, shape, out, pieces)
        slots = _slots(op, shape, out, self.norm, True)
        return {slot.name: part(self._large(slot), taken[slot.name]) for slot in slots}

    def _large(self, slot: _Slot) -> Tensor:
        large = self.module.get_submodule(slot.path) if slot.path else self.module
        tensor = (large._buffers if slot.is_buffer else large._parameters)[slot.attribute]
        assert tensor is not None
        return tensor

    def _cuts(self, op: Any, shape: Shape, out: Shape, pieces: Pieces) -> dict[str, tuple[Step, ...]]:
        """By tensor, what is taken of its axes; worked out once for every small form."""
        key = (op, shape, out, pieces)
        if key not in self._steps:
            stated, known = op.slices(shape, out), tensors_of(self.module)
            found = {}
            for slot in _slots(op, shape, out, self.norm, True):
                try:
                    if slot.name not in known or slot.name not in stated:
                        raise InvalidSpace("the larger form has no such tensor")
                    large = tuple(known[slot.name].shape)
                    found[slot.name] = steps(self._slices[slot.name], stated[slot.name], large, slot.shape, pieces)
                except InvalidSpace as error:
                    raise InvalidSpace(
                        f"{op!r} can't use a part of the weights of {self.host!r}: {slot.name!r}: {error}; write a "
                        "choice of operations, which have weights of their own"
                    ) from None
            self._steps[key] = found
        return self._steps[key]

    def _keep(self, op: Any, shape: Shape, out: Shape, pieces: Pieces, tensors: Mapping[str, Tensor]) -> None:
        """Buffers of which not one range was taken were changed in a copy: put them back."""
        taken = self._cuts(op, shape, out, pieces)
        for slot in _slots(op, shape, out, self.norm, True):
            if slot.is_buffer and any(len(ranges) > 1 for _, ranges in taken[slot.name]):
                put_back(self._large(slot), taken[slot.name], tensors[slot.name])


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


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
