"""From the dataclass of an operation to a PyTorch module with initial values.

A third party adds an operation with one dataclass and one builder (``docs/your-own-operation.md``)::

    @build.register
    def _(op: MyOperation, shape, out, norm): return MyModule(...)

Builders run on the meta device, because constructors draw from PyTorch's global generator; :func:`initialised` then
gives the parameters their values from an explicit one. naslab's own builders are in :mod:`naslab.compiler.builders`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab import ops
from naslab.errors import InvalidSpace
from naslab.ops import Shape
from naslab.ops.composites import Composite


@dataclass(frozen=True)
class Norm:
    """How batch normalisations behave.

    Attributes:
        affine: Whether they have a weight and a bias.
        track_running_stats: Whether they keep running statistics for evaluation; otherwise they always use the batch's.
    """

    affine: bool = True
    track_running_stats: bool = True

    def __call__(self, channels: int) -> BatchNorm:
        return BatchNorm(channels, affine=self.affine, track_running_stats=self.track_running_stats)


class _Uninitialised:
    """A layer whose constructor sets no values: :func:`initialised` does. This makes building much faster."""

    def reset_parameters(self) -> None:
        pass


class Conv2d(_Uninitialised, nn.Conv2d):
    """Convolution."""


class Conv1d(_Uninitialised, nn.Conv1d):
    """Convolution over a sequence."""


class ConvTranspose2d(_Uninitialised, nn.ConvTranspose2d):
    """Transposed convolution."""


class Linear(_Uninitialised, nn.Linear):
    """Affine map."""


class BatchNorm(_Uninitialised, nn.BatchNorm2d):
    """Batch normalisation that can scale its output by a number: applying a mixture's weight then costs nothing."""

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """``scale * normalise(x)``; ``scale`` is a single number (None means 1)."""
        if scale is None:
            return super().forward(x)
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        scale = scale.to(torch.promote_types(x.dtype, torch.float32))
        # repeat, not expand: the CPU kernels read the weight as if it were contiguous.
        weight = scale.repeat(self.num_features) if self.weight is None else self.weight * scale
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            weight,
            None if self.bias is None else self.bias * scale,
            self.training or self.running_mean is None,
            self.momentum or 0.0,
            self.eps,
        )


def is_built_in(op: Any) -> bool:
    """Whether an operation is one of naslab's own, whose modules are deterministic and can be copied."""
    if isinstance(op, Composite):
        return all(map(is_built_in, op.inside))
    return type(op).__module__.startswith(f"{ops.__name__}.")


@singledispatch
def build(op: Any, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    """The module of an operation without choices.

    Args:
        op: The operation.
        shape: Shape of its input, without the batch axis.
        out: Shape of its output.
        norm: How batch normalisations behave.
    """
    raise InvalidSpace(f"operation {op!r} has no builder; register one: @naslab.compiler.build.register for its class")


def initialised(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give a module on the meta device real parameters, with PyTorch's default distributions.

    A part's method ``initialise(generator)`` is called after its own parts have got their values, and may change them.
    A part without one that is no common layer gets them from ``reset_parameters``, as its constructor would have given
    them, while the global generator stands at a seed drawn from ``generator`` and is put back afterwards.

    Raises:
        InvalidSpace: A part has parameters and neither method, or buffers and no ``initialise``: the values that its
            constructor gave them were lost on the meta device.
    """
    own: list[Callable[[torch.Generator], None]] = []
    with torch.no_grad():  # once: PyTorch's own functions enter it for every tensor
        for part in module.modules():
            _allocate(part, generator.device)
            if isinstance(part, nn.modules.conv._ConvNd | nn.Linear):
                bound = math.prod(part.weight.shape[1:]) ** -0.5  # what PyTorch's kaiming_uniform_(a=sqrt(5)) comes to
                part.weight.uniform_(-bound, bound, generator=generator)
                if part.bias is not None:
                    part.bias.uniform_(-bound, bound, generator=generator)
            elif isinstance(part, nn.modules.batchnorm._NormBase):
                for name, tensor in (*part._parameters.items(), *part._buffers.items()):
                    if tensor is not None:
                        tensor.fill_(name in ("weight", "running_var"))
            elif hasattr(part, "initialise"):
                own.append(part.initialise)  # type: ignore[arg-type]
            elif any(tensor is not None for tensor in part._buffers.values()):
                raise InvalidSpace(
                    f"{type(part).__name__} has buffers: give it a method initialise(generator) that sets them"
                )
            elif any(tensor is not None for tensor in part._parameters.values()):
                own.append(_reset(part))
    for initialise in reversed(own):
        initialise(generator)
    return module


def _reset(part: nn.Module) -> Callable[[torch.Generator], None]:
    """A module's ``reset_parameters`` as a function of a generator."""
    reset = getattr(part, "reset_parameters", None) or getattr(
        part, "_reset_parameters", None
    )  # attention's is private
    if reset is None:
        raise InvalidSpace(
            f"{type(part).__name__} has parameters: give it a method initialise(generator) that sets them, or "
            "reset_parameters()"
        )

    def initialise(generator: torch.Generator) -> None:
        seed = int(torch.randint(2**63 - 1, (), generator=generator, device="cpu"))
        with torch.random.fork_rng([]):
            torch.default_generator.manual_seed(seed)  # not torch's own function: it would seed every device
            reset()

    return initialise


_CONTAINERS = (dict, set)


def twin(module: nn.Module) -> nn.Module:
    """A copy of one of naslab's own modules as its constructor left it: what deepcopy does, at a tenth of its cost.

    Tensors are still those of the original; :func:`initialised` replaces them.
    """
    copy = type(module).__new__(type(module))
    copy.__dict__.update({k: v.copy() if isinstance(v, _CONTAINERS) else v for k, v in module.__dict__.items()})
    copy._modules = {name: None if part is None else twin(part) for name, part in module._modules.items()}
    return copy


def _allocate(part: nn.Module, device: torch.device) -> None:
    """Real memory for a module's own tensors (what ``Module.to_empty`` does, at a tenth of its cost)."""
    for name, parameter in part._parameters.items():
        if parameter is not None:
            empty = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            part._parameters[name] = nn.Parameter(empty, parameter.requires_grad)
    for name, buffer in part._buffers.items():
        if buffer is not None:
            part._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype, device=device)


def conv(shape: Shape, out: Shape, kernel: int, stride: int = 1, **options: Any) -> nn.Conv2d:
    """A convolution without bias, padded so that stride 1 keeps height and width."""
    padding = options.get("dilation", 1) * (kernel // 2)
    return Conv2d(shape[0], out[0], kernel, stride, padding, bias=False, **options)


def sequence(**parts: nn.Module) -> nn.Sequential:
    """Modules one after the other, by name."""
    whole = nn.Sequential()
    for name, part in parts.items():
        whole.add_module(name, part)
    return whole
