"""The probability of being feasible as a PyTorch function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from naslab.feasibility import Feasibility


def log_probability(feasibility: Feasibility, logits: Sequence[Tensor]) -> Tensor:
    """:meth:`naslab.feasibility.Feasibility.log_probability` of tensors, one per choice; differentiable once."""
    value: Tensor = _LogProbability.apply(feasibility, *logits)  # type: ignore[no-untyped-call]
    return value


class _LogProbability(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, feasibility: Feasibility, *logits: Tensor) -> Tensor:
        arrays = [each.detach().double().numpy() for each in logits]
        value, gradient = feasibility.with_gradient(arrays)
        ctx.save_for_backward(*(torch.from_numpy(g).to(each) for g, each in zip(gradient, logits, strict=True)))
        return logits[0].new_tensor(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *(outer[0] * each for each in ctx.saved_tensors))
