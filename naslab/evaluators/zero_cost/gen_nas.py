"""GenNAS (Li et al. 2021): how fast a network learns synthetic signals; no labels, but a short training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.compiler.devices import moved, number
from naslab.compiler.primitives import BatchNorm, Conv2d, initialised
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.blocks import block_outputs
from naslab.evaluators.zero_cost.shared import Pass
from naslab.evaluators.zero_cost.values import copied

ITERATIONS, BATCH, CHANNELS, SIZE, FREQUENCY = 100, 16, 64, 8, 0.5
WEIGHTS = (0.25, 0.5, 1.0)
"""Weights of the stages; the last stage ends the network."""


def gen_nas(known: Pass) -> float:
    """Minus the regression loss after 100 steps (Li et al. 2021, "Generic NAS via Regression", section 3.1).

    The classifier is removed. The last block at each of the last three image sizes is resized to 8x8 and followed by a
    batch normalisation and a 1x1 convolution to 64 channels; the three learn one signal each, by the sum of their mean
    squared errors with weights 0.25, 0.5 and 1: SGD with rate 0.1, momentum 0.9, weight decay 4e-5 (weights only),
    always on the same 16 rows of the batch: the defaults of the authors' script. The score is minus the loss in
    evaluation mode.

    The signals are sines in two dimensions (``Sin2D``) of random phase and frequency up to half a cycle a pixel, the
    same for every row. Deviations: the paper's best results come from mixtures of signals, noise and weights that were
    searched with labels of the benchmark; here there is one signal, and no noise on the rows.
    """
    if not known.connected:
        return WORST
    generator = known.generator("gen-nas")
    x, values = known.x[:BATCH], known.changed(copied)
    with values.installed(), torch.enable_grad():
        outputs = block_outputs(known, x, "gen-nas")
        if outputs is None:
            return WORST
        last = {out.shape[2:]: index for index, out in enumerate(outputs)}
        stages = list(last.values())[-len(WEIGHTS) :]
        heads = [_head(outputs[stage].shape[1], generator).to(x.device) for stage in stages]
        targets = [moved(_waves(generator), x.device) for _ in stages]
        parameters: list[Tensor] = [*values.parameters(), *(p for head in heads for p in head.parameters())]
        decayed: dict[str, Any] = {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 4e-5}
        others: dict[str, Any] = {"params": [p for p in parameters if p.dim() <= 1]}
        optimizer = torch.optim.SGD([decayed, others], lr=0.1, momentum=0.9)

        def loss() -> Tensor:
            found = block_outputs(known, x, "gen-nas")
            assert found is not None
            regressed = (
                head(functional.interpolate(found[s], (SIZE, SIZE))) for head, s in zip(heads, stages, strict=True)
            )
            weighted = zip(WEIGHTS[-len(stages) :], regressed, targets, strict=True)
            errors = [weight * functional.mse_loss(r, t.expand_as(r)) for weight, r, t in weighted]
            return torch.stack(errors).sum()

        for _ in range(ITERATIONS):
            optimizer.zero_grad(set_to_none=True)
            loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        for module in (known.network, *heads):
            module.eval()
        with torch.no_grad():
            return -number(loss())


def _head(channels: int, generator: torch.Generator) -> nn.Module:
    with torch.device("meta"):
        head = nn.Sequential(BatchNorm(channels), Conv2d(channels, CHANNELS, 1))
    return initialised(head, generator).train()


def _waves(generator: torch.Generator) -> Tensor:
    """``(64, 8, 8)``, on the CPU: a sine in both dimensions for every channel."""
    down, right = FREQUENCY * torch.rand(2, CHANNELS, 1, 1, generator=generator, device="cpu")
    phase = torch.rand(CHANNELS, 1, 1, generator=generator, device="cpu")
    mirrored = torch.where(torch.arange(CHANNELS, device="cpu") % 2 == 0, 1.0, -1.0).view(-1, 1, 1)
    position = torch.arange(SIZE, dtype=torch.float32, device="cpu")
    waves: Tensor = 2 * math.pi * (mirrored * down * position[:, None] + right * position + phase)
    return waves.sin()
