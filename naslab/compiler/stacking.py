"""One module that computes what several modules of one structure compute, each on its own share of the channels.

On small networks PyTorch's overhead per operation is much larger than the arithmetic, so a population is trained in
one computation. Images are ``(B, P * C, H, W)``, features ``(B, P, F)``, for P members; results equal those of the
separate modules up to the order in which floating-point sums are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.builders.blocks import ResidualBlock
from naslab.compiler.builders.dense import ImageClassifier
from naslab.errors import InvalidSpace


def stack(modules: Sequence[nn.Module], shared: bool = False) -> nn.Module:
    """Several modules as one.

    Args:
        modules: Modules of one structure; linear layers may differ in their widths.
        shared: Whether all members read the same input, which then has no axis of members.

    Raises:
        InvalidSpace: There is no stacked form of such a module.
    """
    return _stack(modules[0], modules, shared)


class StackedConv(nn.Module):
    """Convolutions side by side: one convolution with a group for each member."""

    def __init__(self, convs: Sequence[nn.Conv2d], shared: bool) -> None:
        super().__init__()
        first = convs[0]
        self.weight = nn.Parameter(torch.cat([conv.weight.detach() for conv in convs]))
        self.stride, self.padding, self.dilation = first.stride, first.padding, first.dilation
        self.groups = first.groups * (1 if shared else len(convs))
        if first.bias is not None or (shared and first.groups > 1):
            raise InvalidSpace(f"{first} has no stacked form")
        if len({conv.weight.shape for conv in convs}) > 1:
            raise InvalidSpace("convolutions of several widths have no stacked form: train their networks one by one")

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, None, self.stride, self.padding, self.dilation, self.groups)


class StackedLinear(nn.Module):
    """Linear layers side by side, padded with zeros to the widest.

    The padding stays zero in training: its outputs are zero, a ReLU passes no gradient there, and the columns that
    read them get the gradient of a zero input.
    """

    def __init__(self, layers: Sequence[nn.Linear], shared: bool) -> None:
        super().__init__()
        first, self.shared = layers[0], shared
        wide, deep = max(layer.out_features for layer in layers), max(layer.in_features for layer in layers)
        self.weight = nn.Parameter(first.weight.new_zeros(len(layers), wide, deep))
        self.bias = nn.Parameter(first.weight.new_zeros(len(layers), 1, wide))
        with torch.no_grad():
            for i, layer in enumerate(layers):
                self.weight[i, : layer.out_features, : layer.in_features] = layer.weight
                self.bias[i, 0, : layer.out_features] = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        if self.shared:  # one matrix product over all members' outputs
            members, wide, deep = self.weight.shape
            flat = functional.linear(x, self.weight.view(members * wide, deep), self.bias.view(-1))
            return flat.view(len(x), members, wide)
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight.transpose(1, 2)).transpose(0, 1)


class StackedClassifier(nn.Module):
    """Classifiers side by side: from images to features."""

    def __init__(self, norm: nn.Module, linear: StackedLinear) -> None:
        super().__init__()
        self.norm, self.linear = norm, linear

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.relu(self.norm(x)).mean(dim=(2, 3))
        logits: Tensor = self.linear(pooled.view(len(x), len(self.linear.weight), -1))
        return logits


@singledispatch
def _stack(first: Any, modules: Sequence[Any], shared: bool) -> nn.Module:
    raise InvalidSpace(f"{type(first).__name__} has no stacked form: train its networks one by one")


@_stack.register
def _(first: nn.Conv2d, modules: Sequence[Any], shared: bool) -> nn.Module:
    return StackedConv(modules, shared)


@_stack.register
def _(first: nn.Linear, modules: Sequence[Any], shared: bool) -> nn.Module:
    return StackedLinear(modules, shared)


@_stack.register
def _(first: nn.BatchNorm2d, modules: Sequence[Any], shared: bool) -> nn.Module:
    if shared:
        raise InvalidSpace("a normalisation of the input has no stacked form: train its networks one by one")
    state = {
        name: torch.cat([module.state_dict()[name] for module in modules])
        for name in first.state_dict()
        if name != "num_batches_tracked"
    }
    norm = nn.BatchNorm2d(
        len(modules) * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats
    )
    if state:
        norm.to(next(iter(state.values()))).load_state_dict(state, strict=False)
    return norm


@_stack.register(nn.ReLU)
@_stack.register(nn.AvgPool2d)
@_stack.register(nn.MaxPool2d)
def _(first: nn.Module, modules: Sequence[Any], shared: bool) -> nn.Module:
    return first


@_stack.register
def _(first: nn.Sequential, modules: Sequence[Any], shared: bool) -> nn.Module:
    whole = nn.Sequential()
    for name, _ in first.named_children():
        whole.add_module(name, stack([getattr(module, name) for module in modules], shared))
        shared = shared and isinstance(getattr(first, name), nn.ReLU | nn.AvgPool2d | nn.MaxPool2d)
    return whole


@_stack.register
def _(first: ResidualBlock, modules: Sequence[Any], shared: bool) -> nn.Module:
    if shared:
        raise InvalidSpace("a residual block at the input has no stacked form: train its networks one by one")
    return ResidualBlock(*(stack([getattr(m, part) for m in modules]) for part in ("first", "second", "shortcut")))


@_stack.register
def _(first: ImageClassifier, modules: Sequence[Any], shared: bool) -> nn.Module:
    linear = stack([module.linear for module in modules])
    assert isinstance(linear, StackedLinear)
    return StackedClassifier(stack([module.norm for module in modules], shared), linear)
