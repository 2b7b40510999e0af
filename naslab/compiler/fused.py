"""The modules and functions that the passes put into a graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import indices


class DepthwiseAverage(nn.Module):
    """Average pooling that leaves padding out: on a CPU as a depthwise convolution, elsewhere as the pooling itself."""

    def __init__(self, pool: nn.AvgPool2d) -> None:
        super().__init__()
        self.pool = pool
        self._constants: dict[Any, tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            pooled: Tensor = self.pool(x)
            return pooled
        pool = self.pool
        kernel, shares = self._kernel(x)
        sums = functional.conv2d(x, kernel, None, pool.stride, pool.padding, groups=x.shape[1])
        return sums * shares

    def _kernel(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """A kernel of ones for every channel, and the reciprocal of the number of pixels in each window."""
        key = (x.shape[1:], x.dtype)
        if key not in self._constants:
            size = (self.pool.kernel_size,) * 2 if isinstance(self.pool.kernel_size, int) else self.pool.kernel_size
            with torch.inference_mode(False), torch.no_grad():  # cached in evaluation, they must serve training, too
                ones = x.new_ones(1, 1, *size)
                counts = functional.conv2d(
                    x.new_ones(1, 1, *x.shape[2:]), ones, None, self.pool.stride, self.pool.padding
                )
                self._constants[key] = (ones.expand(x.shape[1], 1, *size).contiguous(), 1 / counts)
        return self._constants[key]


def weighted_sum(plain: Sequence[Tensor], weights: Sequence[Tensor], terms: Sequence[Tensor]) -> Tensor:
    """``sum(plain) + sum(w * t)``; weights are numbers (0-dimensional). Differentiable any number of times."""
    result: Tensor = _WeightedSum.apply(len(plain), len(terms), *plain, *terms, *weights)  # type: ignore[no-untyped-call]
    return result


def normalised_convolutions(
    x: Tensor,
    kernels: Sequence[Tensor],
    scales: Sequence[Tensor | None],
    stride: Any,
    padding: Any,
    dilation: Any,
    eps: float,
) -> Sequence[Tensor]:
    """``scale * normalise(convolve(x))`` for several kernels and scales (numbers; None means 1) at once.

    The normalisations are without parameters and use the batch's statistics.
    """
    y = _stacked(x, kernels, scales, stride, padding, dilation, eps)
    return torch.split(y, [len(kernel) for kernel in kernels], dim=1)


def summed_convolutions(x: Tensor, calls: Sequence[tuple[Any, ...]]) -> Sequence[Tensor]:
    """Several :func:`normalised_convolutions` of one input, added up piece by piece.

    Args:
        x: The input.
        calls: The other arguments of each call; the outputs of all calls have the same sizes.
    """
    y = _stacked(x, *calls[0])
    for call in calls[1:]:
        y = y + _stacked(x, *call)
    return torch.split(y, [len(kernel) for kernel in calls[0][0]], dim=1)


def _stacked(
    x: Tensor,
    kernels: Sequence[Tensor],
    scales: Sequence[Tensor | None],
    stride: Any,
    padding: Any,
    dilation: Any,
    eps: float,
) -> Tensor:
    stacked = torch.cat(list(kernels))
    y = functional.conv2d(x, stacked, None, stride, padding, dilation)
    one = stacked.new_ones(())
    weight = torch.stack([one if scale is None else scale.to(one.dtype) for scale in scales])
    sizes = _sizes(tuple(len(kernel) for kernel in kernels), weight.device)
    weight = weight.repeat_interleave(sizes, output_size=len(stacked))
    return functional.batch_norm(y, None, None, weight, None, True, 0.0, eps)


@cache
def _sizes(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """Moved once: a copy in every step would keep the processor waiting. Made in evaluation, it must serve training."""
    with torch.inference_mode(False):
        return indices(lengths, device)


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, n_plain: int, n_terms: int, *tensors: Tensor) -> Tensor:
        plain, terms, weights = _parted(n_plain, n_terms, tensors)
        ctx.counts = (n_plain, n_terms)
        ctx.save_for_backward(*terms, *weights)
        if plain:
            total = plain[0] + plain[1] if len(plain) > 1 else plain[0].clone()
            rest = plain[2:]
        else:
            total, rest = terms[0] * weights[0], ()
            terms, weights = terms[1:], weights[1:]
        for tensor in rest:
            total.add_(tensor)
        for tensor, weight in zip(terms, weights, strict=True):
            if weight.device.type == "cpu":
                total.add_(tensor, alpha=float(weight))
            else:  # its number is not known here, and to ask for it would be to wait
                total.addcmul_(tensor, weight)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        n_plain, n_terms = ctx.counts
        terms, weights = ctx.saved_tensors[:n_terms], ctx.saved_tensors[n_terms:]
        wanted = ctx.needs_input_grad[2 + n_plain :]
        to_terms = [w * gradient if wanted[i] else None for i, w in enumerate(weights)]
        to_weights = [
            _dot(gradient, t.to(gradient.dtype)) if wanted[n_terms + i] else None for i, t in enumerate(terms)
        ]
        return None, None, *[gradient] * n_plain, *to_terms, *to_weights


def _parted(n_plain: int, n_terms: int, tensors: Sequence[Tensor]) -> tuple[Sequence[Tensor], ...]:
    return tensors[:n_plain], tensors[n_plain : n_plain + n_terms], tensors[n_plain + n_terms :]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if a.stride() == b.stride() and a.dim() == 4 and a.is_contiguous(memory_format=torch.channels_last):
        return torch.dot(a.permute(0, 2, 3, 1).reshape(-1), b.permute(0, 2, 3, 1).reshape(-1))
    if a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.reshape(-1), b.reshape(-1))
    return (a * b).sum()
