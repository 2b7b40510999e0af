"""Proxies that look at how a network responds to small changes: of its input, of its batch, of single rows."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from naslab.compiler.devices import number, numbers, where_true
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.options import options_of
from naslab.evaluators.zero_cost.recorder import Recorder
from naslab.evaluators.zero_cost.shared import Pass

_STEP = 0.01


def zen(known: Pass) -> float:
    """The Zen-score (Lin et al. 2021, "Zen-NAS", algorithm 1).

    Weights and inputs are standard normal; the features are what the last global pooling receives (without one, what
    the last linear layer receives). The logarithm of the mean over rows of the absolute change of the features, summed,
    when 0.01 times another normal input is added; plus, for every batch normalisation, the logarithm of the root of its
    mean variance over channels. Which variance, says ``variances`` (of :class:`Options`): ``"running"``, by default, is
    what the authors' code and AZ-NAS' copy of it read, the running variance after both passes in training mode; it
    began with 1 and has a momentum of 0.1. ``"batch"`` is the variance of the first pass, as in the paper; a batch
    normalisation of a constant (no input reaches it) is then left out.

    Deviation: one draw of a batch instead of 32 (as NASLib).
    """
    x, values = known.gaussian("zen/input"), known.drawn("normal", "zen")
    changed = x + _STEP * known.gaussian("zen/change")
    recorder, other = Recorder(norm=_mean_variance), Recorder(norm=_mean_variance)
    with values.installed(), torch.no_grad():
        with recorder:
            known.network(x)
        with other:
            known.network(changed)
    if recorder.features is None or other.features is None:
        return WORST
    change = number((recorder.features - other.features).double().abs().flatten(1).sum(dim=1).mean())
    if not 0 < change < math.inf:
        return WORST
    variances = numbers(variance for variance, _ in recorder.norms)
    if options_of(known).variances == "running":
        pairs = zip(_unbiased(recorder), _unbiased(other), strict=True)
        variances = [0.9 * (0.9 + 0.1 * first) + 0.1 * second for first, second in pairs]
    return math.log(change) + sum(0.5 * math.log(variance) for variance in variances if variance != 0)


def zico(known: Pass) -> float:
    """The inverse coefficient of variation of gradients (Li et al. 2023, "ZiCo").

    For every layer the logarithm of the sum over weights of (mean of |gradient| / standard deviation of the gradient),
    both over two batches; summed over layers. Here the two are the halves of the batch (the authors': two batches of
    128 rows). Weights whose gradient does not vary are left out, and so are layers without others. The deviation is
    that of the signed gradient, as in the authors' code.
    """
    if not known.connected or known.y is None:
        return WORST
    half = len(known.x) // 2
    found = []
    for rows in (slice(None, half), slice(half, None)):
        with known.values.installed(), torch.enable_grad():
            loss = functional.cross_entropy(known.network(known.x[rows]), known.y[rows])
            found.append(torch.autograd.grad(loss, known.values.weights, allow_unused=True))
    sums = []
    for one, other in zip(*found, strict=True):
        if one is None or other is None:
            continue
        deviation = (one - other).abs() / 2
        ratios = where_true((one.abs() + other.abs()) / 2 / deviation, deviation > 0)
        sums.append(ratios.double().sum())
    return sum((math.log(summed) for summed in numbers(sums) if summed > 0), 0.0)


def gradsign(known: Pass) -> float:
    """How much the gradients of single rows agree in sign (Zhang & Jia 2022, "GradSign", algorithm 1).

    The sum over weights of layers of the absolute value of the sum over rows of the gradient's sign. Every row is a
    batch of its own, as in the authors' code: batch normalisation sees it alone. It costs as many passes as there are
    rows.
    """
    if not known.connected or known.y is None:
        return WORST
    weights = known.values.weights
    signs = [torch.zeros_like(weight) for weight in weights]
    for row in range(len(known.x)):
        with known.values.installed(), torch.enable_grad(), Recorder():
            loss = functional.cross_entropy(known.network(known.x[row : row + 1]), known.y[row : row + 1])
            found = torch.autograd.grad(loss, weights, allow_unused=True)
        for total, gradient in zip(signs, found, strict=True):
            if gradient is not None:
                total += gradient.sign()
    return sum(numbers(total.detach().abs().sum(dtype=torch.float64) for total in signs))


def _unbiased(recorder: Recorder) -> list[float]:
    """The mean variances that :func:`_mean_variance` kept, without bias."""
    counts = [count for _, count in recorder.norms]
    variances = numbers(variance for variance, _ in recorder.norms)
    return [variance * count / max(1, count - 1) for variance, count in zip(variances, counts, strict=True)]


def _mean_variance(x: Tensor) -> tuple[Tensor, int]:
    """The mean of the channels' variances over the batch and all positions, and the number of these."""
    centred = x - x.mean(dim=(0, *range(2, x.dim())), keepdim=True)  # Tensor.var takes six times as long
    return centred.square().mean(), x.numel() // x.shape[1]
