"""Proxies that look at a network's size, and at nothing it computes. They are baselines that many others do not beat.

A dead branch counts where the network that is measured contains it, as in the tables of NAS-Bench-201 and in public
code: see ``cut`` of :class:`~naslab.evaluators.zero_cost.evaluator.ZeroCost`.
"""

from __future__ import annotations

from naslab.compiler.devices import number
from naslab.evaluators.zero_cost.shared import Pass


def params(known: Pass) -> float:
    """The number of trainable parameters (Ning et al. 2021, "Evaluating Efficient Performance Estimators")."""
    return float(sum(parameter.numel() for parameter in known.network.parameters()))


def flops(known: Pass) -> float:
    """Multiply-accumulates of convolutions and linear layers for one example (Ning et al. 2021).

    What the literature calls FLOPs. Biases, normalisations, activations and poolings count nothing, as in
    :mod:`naslab.ops`; NAS-Bench-Suite-Zero counts poolings, NAS-Bench-201 the classifier's biases.
    """
    return float(sum(numbers * weight[0].numel() for weight, numbers in known.layer_sizes))


def depth(known: Pass) -> float:
    """The number of convolutions and linear layers: the trainable layers of Tybl & Neumann 2025 (VKDNW).

    Normalisations are not counted: each belongs to a convolution.
    """
    return float(len(known.values.weights))


def l2_norm(known: Pass) -> float:
    """The sum over convolutions and linear layers of the norm of their weights (Abdelfattah et al. 2021)."""
    return number(sum((weight.detach().norm() for weight in known.values.weights), known.x.new_zeros(())))
