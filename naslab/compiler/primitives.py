"""One builder per operation: from the dataclass in :mod:`naslab.ops` to a PyTorch module.

A third party adds an operation with one dataclass and one builder::

    @build.register
    def _(op: MyOperation, shape, out, norm): return MyModule(...)

Builders run on the meta device, because constructors draw from PyTorch's global generator; :func:`initialised` then
gives the parameters their values from an explicit one.
"""

from __future__ import annotations

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
    raise InvalidSpace(
        f"operation {op!r} has no builder; register one: @naslab.compiler.primitives.build.register for its class"
    )


def initialised(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give a module on the meta device real parameters, with PyTorch's default distributions.

    A module's method ``initialise(generator)`` is called after its parts have got their values, and may change them.

    Raises:
        InvalidSpace: A module with parameters or buffers of its own that is neither a standard layer nor has a method
            ``initialise(generator)``.
    """
    own: list[Callable[[torch.Generator], None]] = []
    for part in module.modules():
        _allocate(part, generator.device)
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            bound = part.weight[0].numel() ** -0.5  # what kaiming_uniform_(a=sqrt(5)), PyTorch's default, comes to
            nn.init.uniform_(part.weight, -bound, bound, generator=generator)
            if part.bias is not None:
                nn.init.uniform_(part.bias, -bound, bound, generator=generator)
        elif isinstance(part, nn.modules.batchnorm._NormBase):
            nn.modules.batchnorm._NormBase.reset_parameters(part)
        elif hasattr(part, "initialise"):
            own.append(part.initialise)  # type: ignore[arg-type]
        elif any(tensor is not None for tensor in (*part._parameters.values(), *part._buffers.values())):
            raise InvalidSpace(
                f"{type(part).__name__} has parameters or buffers: give it a method initialise(generator) that sets "
                "them"
            )
    for initialise in reversed(own):
        initialise(generator)
    return module


def twin(module: nn.Module) -> nn.Module:
    """A copy of one of naslab's own modules as its constructor left it: what deepcopy does, at a tenth of its cost.

    Tensors are still those of the original; :func:`initialised` replaces them.
    """
    copy = type(module).__new__(type(module))
    copy.__dict__.update({k: v.copy() if isinstance(v, dict | set) else v for k, v in module.__dict__.items()})
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


class ResidualBlock(nn.Module):
    """Two convolutions beside a pooled 1x1 convolution."""

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = first, second, shortcut

    def forward(self, x: Tensor) -> Tensor:
        shortcut: Tensor = self.shortcut(x)
        body: Tensor = self.second(self.first(x))
        return shortcut + body


class ShiftedReduction(nn.Module):
    """Halves an image by two strided 1x1 convolutions, one of them shifted by a pixel."""

    def __init__(self, shape: Shape, out: Shape, norm: Norm) -> None:
        super().__init__()
        half = (out[0] // 2, *out[1:])
        self.even = conv(shape, half, 1, 2)
        self.odd = conv(shape, (out[0] - half[0], *out[1:]), 1, 2)
        self.norm = norm(out[0])

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x)
        # The last row and column have no neighbour: the shifted image is padded, which matters for odd sizes only.
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        normalised: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return normalised


class SqueezeExcitation(nn.Module):
    """Channel-wise gates from the pooled image (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze, self.excite = Linear(channels, squeezed), Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        gates = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * gates[:, :, None, None]


class InvertedBottleneck(nn.Module):
    """MobileNetV2's block, with a residual connection where input and output have the same shape."""

    def __init__(self, body: nn.Module, residual: bool) -> None:
        super().__init__()
        self.body, self.residual = body, residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


class PooledClassifier(nn.Module):
    """Global average pooling, linear layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(x.mean(dim=(2, 3)))
        return logits


class ImageClassifier(nn.Module):
    """Batch normalisation, ReLU, global average pooling, linear layer."""

    def __init__(self, channels: int, classes: int, norm: Norm) -> None:
        super().__init__()
        self.norm, self.linear = norm(channels), Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(functional.relu(self.norm(x)).mean(dim=(2, 3)))
        return logits


@build.register
def _(op: ops.Identity, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Identity()


@build.register
def _(op: ops.ReLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.ReLU()


@build.register
def _(op: ops.Linear, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return Linear(shape[0], out[0])


@build.register
def _(op: ops.AvgPool, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.AvgPool2d(op.kernel, op.stride, op.kernel // 2, count_include_pad=False)


@build.register
def _(op: ops.MaxPool, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    even = op.kernel % 2 == 0
    return nn.MaxPool2d(op.kernel, op.stride, (op.kernel - 1) // 2, ceil_mode=even)


@build.register
def _(op: ops.Conv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    made: dict[str, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "conv": lambda: conv(shape, out, op.kernel, op.stride),
        "bn": lambda: norm(out[0]),
    }
    parts = op.order.split("-")
    if op.order not in ("relu-conv-bn", "conv-bn", "conv-bn-relu"):
        raise InvalidSpace(f"{op!r}: order {op.order!r}; allowed: relu-conv-bn, conv-bn, conv-bn-relu")
    return sequence(**{part: made[part]() for part in parts})


@build.register
def _(op: ops.PlainConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return conv(shape, out, op.kernel, op.stride)


@build.register
def _(op: ops.UpsamplingConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    if op.kernel % 2 == 0:
        raise InvalidSpace(f"{op!r}: kernel {op.kernel}; allowed: odd numbers")
    return ConvTranspose2d(shape[0], out[0], op.kernel, 2, op.kernel // 2, output_padding=1, bias=False)


@build.register
def _(op: ops.NormReLU, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return sequence(bn=norm(out[0]), relu=nn.ReLU())


@build.register
def _(op: ops.Projection, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return nn.Identity() if shape == out else sequence(conv=conv(shape, out, 1), bn=norm(out[0]))


@build.register
def _(op: ops.DilatedConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    inner = (shape[0], *out[1:])
    return sequence(
        relu=nn.ReLU(),
        depthwise=conv(shape, inner, op.kernel, op.stride, dilation=op.dilation, groups=shape[0]),
        pointwise=conv(inner, out, 1),
        bn=norm(out[0]),
    )


@build.register
def _(op: ops.SeparableConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    inner = (shape[0], *out[1:])
    return sequence(
        relu1=nn.ReLU(),
        depthwise1=conv(shape, inner, op.kernel, op.stride, groups=shape[0]),
        pointwise1=conv(inner, inner, 1),
        bn1=norm(shape[0]),
        relu2=nn.ReLU(),
        depthwise2=conv(inner, inner, op.kernel, groups=shape[0]),
        pointwise2=conv(inner, out, 1),
        bn2=norm(out[0]),
    )


@build.register
def _(op: ops.FactorizedReduction, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ShiftedReduction(shape, out, norm)


@build.register
def _(op: ops.ResidualReduction, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ResidualBlock(
        sequence(relu=nn.ReLU(), conv=conv(shape, out, op.kernel, op.stride), bn=norm(out[0])),
        sequence(relu=nn.ReLU(), conv=conv(out, out, op.kernel), bn=norm(out[0])),
        sequence(pool=nn.AvgPool2d(2, op.stride, ceil_mode=True), conv=conv(shape, out, 1)),
    )


@build.register
def _(op: ops.MBConv, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    hidden = (shape[0] * op.expansion, *shape[1:])
    inner = (hidden[0], *out[1:])
    parts: dict[str, nn.Module] = {}
    if op.expansion != 1:
        parts |= {"expand": conv(shape, hidden, 1), "bn1": norm(hidden[0]), "relu1": nn.ReLU()}
    parts |= {
        "depthwise": conv(hidden, inner, op.kernel, op.stride, groups=hidden[0]),
        "bn2": norm(hidden[0]),
        "relu2": nn.ReLU(),
    }
    if op.squeeze_excitation:
        parts["excitation"] = SqueezeExcitation(hidden[0], max(1, shape[0] // 4))
    parts |= {"project": conv(inner, out, 1), "bn3": norm(out[0])}
    return InvertedBottleneck(sequence(**parts), residual=op.stride == 1 and shape == out)


@build.register
def _(op: ops.Classifier, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return ImageClassifier(shape[0], out[0], norm)


@build.register
def _(op: ops.PooledLinear, shape: Shape, out: Shape, norm: Norm) -> nn.Module:
    return PooledClassifier(shape[0], out[0])
