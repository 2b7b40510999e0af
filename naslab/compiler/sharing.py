"""Weights that several widths share: a small module runs on parts of the large module's tensors.

Which parts is stated by the operation (:mod:`naslab.ops.slices`). Batch statistics are those of the kept features;
running statistics, biases and affine parameters of all other features are neither used nor changed, and they get no
gradient (the optimiser's weight decay still shrinks them unless it skips parameters without gradients). Buffers are
expected to be changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from naslab.compiler.cutting import Pieces, Step, part, put_back, steps
from naslab.compiler.primitives import BatchNorm, Norm, build
from naslab.errors import InvalidSpace
from naslab.ops import Shape, Slices


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
        self._plans: dict[Any, _Plan] = {}
        self._names = tuple(tensors_of(module))
        unstated = [name for name in self._names if name not in self._slices]
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
        plan = self._plan(op, shape, out, pieces, self.module.training)
        for host, small in plan.norms:
            small.momentum = host.momentum  # another one while statistics are recalibrated
        tensors = [part(owner[slot.attribute], taken) for slot, owner, taken in plan.taken]
        result = _called(plan.skeleton, plan.slots, tensors, x)
        for i in plan.copied:
            slot, owner, taken = plan.taken[i]
            put_back(owner[slot.attribute], taken, tensors[i])
        return result

    def widest(self, op: Any, x: Tensor) -> Tensor:
        """Apply ``op``, a smaller form of the host, at the largest width."""
        return self.run(op, x, op.output_shape(tuple(x.shape[1:]), self.out[0]))

    def tensors(self, op: Any, shape: Shape, out: Shape, pieces: Pieces = ()) -> dict[str, Tensor]:
        """The parts of the large module's tensors that the small module uses, as views where possible.

        Raises:
            InvalidSpace: A tensor of the small module is no part of the large module's.
        """
        plan = self._plan(op, shape, out, pieces, True)
        return {slot.name: part(owner[slot.attribute], taken) for slot, owner, taken in plan.taken}

    def _plan(self, op: Any, shape: Shape, out: Shape, pieces: Pieces, training: bool) -> _Plan:
        """What has to be looked up to run a small form; worked out once for each."""
        key = (op, shape, out, pieces, training)
        if key not in self._plans:
            slots, norms = _slots(op, shape, out, self.norm, training), _norms(op, shape, out, self.norm, training)
            taken = tuple(self._taken(op, slot, op.slices(shape, out), pieces) for slot in slots)
            copied = [i for i, (_, _, cuts) in enumerate(taken) if any(len(ranges) > 1 for _, ranges in cuts)]
            self._plans[key] = _Plan(
                _skeleton(op, shape, out, self.norm, training),
                slots,
                taken,
                tuple((self._part(path), norm) for path, norm in norms),
                tuple(i for i in copied if training and slots[i].is_buffer),
            )
        return self._plans[key]

    def _taken(self, op: Any, slot: _Slot, stated: Slices, pieces: Pieces) -> _Taken:
        """Where a tensor of the large module is, and what a small form takes of it."""
        try:
            if slot.name not in self._names or slot.name not in stated:
                raise InvalidSpace("the larger form has no such tensor")
            large = self._part(slot.path)
            owner = large._buffers if slot.is_buffer else large._parameters
            tensor = owner[slot.attribute]
            assert tensor is not None
            return slot, owner, steps(self._slices[slot.name], stated[slot.name], tensor.shape, slot.shape, pieces)
        except InvalidSpace as error:
            raise InvalidSpace(
                f"{op!r} can't use a part of the weights of {self.host!r}: {slot.name!r}: {error}; write a choice of "
                "operations, which have weights of their own"
            ) from None

    def _part(self, path: str) -> Any:
        return self.module.get_submodule(path) if path else self.module

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": {}}  # they hold what belongs to this module, and can be made again


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


_Taken: TypeAlias = tuple[_Slot, dict[str, Any], tuple[Step, ...]]
"""A tensor of a skeleton, where its large form is found (by ``slot.attribute``), and what is taken of that."""


class _Plan(NamedTuple):
    """How a small form runs: its skeleton with the places of its tensors, what they are parts of, the normalisations
    of large and small module, and which tensors are copies of buffers that have to be written back.
    """

    skeleton: nn.Module
    slots: tuple[_Slot, ...]
    taken: tuple[_Taken, ...]
    norms: tuple[tuple[Any, BatchNorm], ...]
    copied: tuple[int, ...]


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


def _called(skeleton: nn.Module, slots: Sequence[_Slot], tensors: Sequence[Tensor], x: Tensor) -> Tensor:
    """Call the skeleton with these tensors, not its own: ``torch.func.functional_call`` at a fifth of its cost."""
    own = [slot.owner[slot.attribute] for slot in slots]
    try:
        for slot, tensor in zip(slots, tensors, strict=True):
            slot.owner[slot.attribute] = tensor
        result: Tensor = skeleton(x)
    finally:
        for slot, tensor in zip(slots, own, strict=True):
            slot.owner[slot.attribute] = tensor
    return result
