"""A function whose gradient is known, as a PyTorch function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from naslab.feasibility.diagram import Floats

WithGradient: TypeAlias = Callable[[list[Floats]], tuple[float, list[Floats]]]


def differentiable(with_gradient: WithGradient, arguments: Sequence[Tensor]) -> Tensor:
    """The value of a function of several vectors, which can be differentiated once.

    Args:
        with_gradient: Takes the vectors as float64 arrays; returns the value and its gradient in each of them.
        arguments: The vectors.
    """
    value: Tensor = _Known.apply(with_gradient, *arguments)  # type: ignore[no-untyped-call]
    return value


class _Known(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, with_gradient: WithGradient, *arguments: Tensor) -> Tensor:
        value, gradient = with_gradient([each.detach().double().numpy() for each in arguments])
        ctx.save_for_backward(*(torch.from_numpy(g).to(each) for g, each in zip(gradient, arguments, strict=True)))
        return arguments[0].new_tensor(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *(outer[0] * each for each in ctx.saved_tensors))
