"""Proxies that look at a network's linear paths: all weights positive, no normalisation, an input of ones, no data.

Computed in float64: scores of NAS-Bench-201 reach 1e47, which float32 can't hold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from naslab.compiler.devices import numbers
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.recorder import Recorder
from naslab.evaluators.zero_cost.shared import Pass


def synflow(known: Pass) -> float:
    """The logarithm of the sum of |weight times gradient of the summed outputs| (Tanaka et al. 2020, "SynFlow").

    The sum is over the weights of convolutions and linear layers (Abdelfattah et al. 2021). The logarithm, as in
    NASLib, changes no rank. No batch normalisation is left, as in NASLib and FreeREA; the code of Abdelfattah et al.
    leaves four in NAS-Bench-201's reductions. Biases are made positive, too, but are not summed over.
    """
    total = sum(numbers((w.detach() * g).abs().sum() for w, g in _flow(known)))
    return math.log(total) if total > 0 else WORST


def logsynflow(known: Pass) -> float:
    """The sum of |weight times log(1 + gradient)| (Cavagnero et al. 2023, "FreeREA").

    This is not the logarithm of :func:`synflow`: here each gradient is scaled down, not the sum.
    """
    total = sum(numbers((w.detach() * g.log1p()).abs().sum() for w, g in _flow(known)))
    return total if total > 0 else WORST


def _flow(known: Pass) -> list[tuple[Tensor, Tensor]]:
    """Weights and the gradients of the summed outputs, shared by both proxies."""
    if "flow" not in known.context:
        values = known.changed(_positive)
        ones = torch.ones(1, *known.x.shape[1:], dtype=torch.float64, device=known.x.device)
        with values.installed(), torch.enable_grad(), Recorder(normalise=False):
            output = known.network(ones).sum()
        found: list[Tensor | None] = [None] * len(values.weights)
        if output.requires_grad and values.weights:
            with values.installed():
                found = list(torch.autograd.grad(output, values.weights, allow_unused=True))
        known.context["flow"] = [(w, g) for w, g in zip(values.weights, found, strict=True) if g is not None]
    flow: list[tuple[Tensor, Tensor]] = known.context["flow"]
    return flow


def _positive(module: nn.Module, name: str, value: Tensor) -> Tensor:
    return value.double().abs()
