"""AZ-NAS (Lee & Ham 2024): four proxies from different points of view, and their aggregate over a pool.

All but the complexity look at the outputs of blocks (in NAS-Bench-201 the stem, the cells and the reductions: 18), with
Kaiming-normal weights (fan-in) and standard normal inputs, in training mode, as in the authors' code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional

from naslab.compiler.devices import moved, numbers
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.blocks import block_outputs
from naslab.evaluators.zero_cost.shared import Pass
from naslab.evaluators.zero_cost.size import flops

_SMALL, _TINY = 1e-6, 1e-8
PARTS = ("az-expressivity", "az-progressivity", "az-trainability", "az-complexity")


def expressivity(known: Pass) -> float:
    """The sum over blocks of the entropy of the normalised eigenvalues of the channels' covariance."""
    entropies = _entropies(known)
    return float(sum(entropies)) if entropies else WORST


def progressivity(known: Pass) -> float:
    """The smallest growth of :func:`expressivity`'s entropy from one block to the next."""
    entropies = _entropies(known)
    return float(np.diff(entropies).min()) if len(entropies) > 1 else WORST


def trainability(known: Pass) -> float:
    """How close the largest singular value of a block's mean Jacobian is to one, averaged over blocks.

    A block scores ``2 - s - 1 / (s + 1e-6)``, where s is the spectral norm of the mean over rows and positions of
    (gradient received) x (gradient sent); random signs are sent. A block that is the identity scores minus infinity, as
    in the authors' code, and then so does the mean.
    """
    return _looked_at(known)[1]


def complexity(known: Pass) -> float:
    """Multiply-accumulates: see :func:`~naslab.evaluators.zero_cost.size.flops`."""
    return flops(known)


def aggregate(parts: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The AZ-NAS score of every architecture of a pool: the sum over proxies of the logarithm of rank over pool size.

    Ranks ascend from 1; equal scores share their mean rank. The score depends on the pool: scores of two pools can't be
    compared.

    Args:
        parts: ``(N, proxies)`` scores of the pool, higher is better; minus infinity is allowed.

    Returns:
        ``(N,)``.
    """
    scores = np.asarray(parts, dtype=np.float64)
    total: npt.NDArray[np.float64] = np.log(rankdata(scores, axis=0) / len(scores)).sum(axis=1)
    return total


def _entropies(known: Pass) -> list[float]:
    return _looked_at(known)[0]


def _looked_at(known: Pass) -> tuple[list[float], float]:
    """Entropies and trainability, from one pass; no entropies and the worst where the network is disconnected."""
    if "az" not in known.context:
        known.context["az"] = ([], WORST)
        values, x = known.drawn("kaiming", "az"), known.gaussian("az/input").requires_grad_()
        with values.installed(), torch.enable_grad():
            outputs = block_outputs(known, x, "az-...")
            if outputs is not None and known.connected:
                entropies = numbers(_entropy(out.detach()) for out in outputs)
                signs = known.generator("az/signs")
                found = _closeness([_norm(first, second, signs) for first, second in pairwise(outputs)])
                known.context["az"] = (entropies, float(np.mean(found)) if found else WORST)
    result: tuple[list[float], float] = known.context["az"]
    return result


def _entropy(features: Tensor) -> Tensor:
    rows = features.transpose(0, 1).flatten(1)
    rows = rows - rows.mean(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(rows @ rows.T / rows.shape[1]).clamp_min(0)  # rounding gives negative ones
    shares = values / values.sum()
    entropy: Tensor = (-shares * (shares + _TINY).log()).sum()
    return entropy


def _norm(first: Tensor, second: Tensor, generator: torch.Generator) -> Tensor | None:
    """The spectral norm of a block's mean Jacobian, infinity for the identity; None where no gradient arrives."""
    drawn = torch.randint(0, 2, second.shape, generator=generator, device="cpu").to(second.dtype) * 2 - 1
    sent = moved(drawn, second.device)
    if first is second:
        return None
    gradients: Sequence[Tensor | None] = torch.autograd.grad(second, first, sent, retain_graph=True, allow_unused=True)
    received = gradients[0]
    if received is None:
        return None
    identity = (received == sent).all() if received.shape == sent.shape else None
    if received.shape[2:] != sent.shape[2:]:
        received = functional.pixel_unshuffle(received, received.shape[2] // sent.shape[2])
    sent, received = (each.transpose(0, 1).flatten(1) for each in (sent, received))
    norm: Tensor = torch.linalg.matrix_norm(received @ sent.T / sent.shape[1], 2)
    return norm if identity is None else torch.where(identity, torch.inf, norm)


def _closeness(norms: Sequence[Tensor | None]) -> list[float]:
    """Of every block."""
    told = iter(numbers(norm for norm in norms if norm is not None))
    found = [math.inf if norm is None else next(told) for norm in norms]
    return [WORST if norm == math.inf else 2 - norm - 1 / (norm + _SMALL) for norm in found]
