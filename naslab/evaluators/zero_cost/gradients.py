"""Proxies that look at the gradient of the mean cross-entropy of one batch, by weights of layers.

All are sums over the weights of convolutions and linear layers, without biases and normalisations, as in the code of
Abdelfattah et al. 2021 ("Zero-Cost Proxies for Lightweight NAS"), with batch normalisation in training
mode. A layer that the loss does not depend on counts nothing; a disconnected network scores the worst.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from naslab.compiler.devices import numbers
from naslab.evaluators.zero_cost.base import WORST
from naslab.evaluators.zero_cost.shared import Pass


def grad_norm(known: Pass) -> float:
    """The sum of each layer's Euclidean norm of the gradient (Abdelfattah et al. 2021).

    Not the norm of the whole gradient, which other codes (Zen-NAS, AZ-NAS) call by the same name.
    """
    return _total(known, (g.norm() for g in known.gradients))


def plain(known: Pass) -> float:
    """The sum of gradient times weight, signed (in the code of Abdelfattah et al. 2021)."""
    return _total(known, ((g * w).sum() for g, w in _pairs(known)))


def snip(known: Pass) -> float:
    """The sum of |gradient times weight| (Lee et al. 2019, "SNIP"), before it is normalised."""
    return _total(known, ((g * w).abs().sum() for g, w in _pairs(known)))


def grasp(known: Pass) -> float:
    """Minus the sum of weight times Hessian-gradient product (Wang et al. 2020, "GraSP").

    As in the code of Abdelfattah et al.: one batch for the gradient and the product, and logits not divided by a
    temperature (200 in the paper). Its scores on two batches correlate by 0.77 only.
    """
    return _total(known, (-(w.detach() * h.detach()).sum() for w, h in zip(*_curved(known), strict=True)))


def fisher(known: Pass) -> float:
    """Fisher information of the channels (Theis et al. 2018; Turner et al. 2020, "BlockSwap").

    Each channel of a layer's output adds half the mean over rows of (the sum over positions of activation times
    gradient) squared. As in the code of Abdelfattah et al., each channel counts as often as it has weights.
    """
    _ = known.gradients
    return _total(known, (each.sum() * weight[0].numel() for weight, each in known.channel_saliency))


def _pairs(known: Pass) -> Iterator[tuple[Tensor, Tensor]]:
    return ((g.detach(), w.detach()) for g, w in zip(known.gradients, known.values.weights, strict=True))


def _curved(known: Pass) -> tuple[list[Tensor], list[Tensor]]:
    return known.values.weights, known.curvature


def _total(known: Pass, terms: Iterator[Tensor]) -> float:
    return sum(numbers(terms)) if known.connected else WORST
