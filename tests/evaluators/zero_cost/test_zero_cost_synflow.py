"""Synaptic flow: conserved, exact in float64, and what its variants compute."""

from __future__ import annotations

import math

import pytest
import torch
from plain_networks import convolutional, filled, images, known, perceptron, score, vectors
from torch import nn

from naslab.evaluators.zero_cost.synflow import _flow

pytestmark = pytest.mark.usefixtures("global_randomness")


def test_flow_is_conserved_from_layer_to_layer() -> None:
    sums = [float((w.detach() * g).sum()) for w, g in _flow(known(perceptron(bias=False), vectors()[0], None))]
    assert len(sums) == 3
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-12)


def test_synflow_of_a_chain_is_a_product_of_matrices() -> None:
    network = perceptron(bias=False)
    matrices = [layer.weight.detach().abs() for layer in network if isinstance(layer, nn.Linear)]
    flow = float(torch.linalg.multi_dot(matrices[::-1]).sum())
    assert score("synflow", network, vectors()[0]) == pytest.approx(math.log(3 * flow), rel=1e-12)


def test_logsynflow_scales_gradients() -> None:
    network, x = perceptron(bias=False), vectors()[0]
    first, second, third = (layer.weight.detach().abs() for layer in network if isinstance(layer, nn.Linear))
    ones = torch.ones(3, dtype=torch.float64)
    gradients = [
        torch.outer(third.sum(0) @ second, ones),
        torch.outer(third.sum(0), first @ ones),
        torch.outer(torch.ones(4, dtype=torch.float64), second @ first @ ones),
    ]
    expected = sum(float((w * (1 + g).log()).sum()) for w, g in zip((first, second, third), gradients, strict=True))
    assert score("logsynflow", network, x) == pytest.approx(expected, rel=1e-12)


def test_normalisation_is_left_out_and_signs_do_not_matter() -> None:
    network, x = convolutional(), images()[0]
    before = score("synflow", network, x)
    with torch.no_grad():
        for module in network:
            if isinstance(module, nn.BatchNorm2d):
                module.weight.fill_(7.0)
            elif isinstance(module, nn.Conv2d):
                module.weight.neg_()
    assert score("synflow", network, x) == pytest.approx(before, rel=1e-12)


def test_scores_that_float32_cannot_hold() -> None:
    layers = [nn.Linear(50, 50, bias=False, device="meta") for _ in range(40)]
    network = filled(nn.Sequential(*layers).to_empty(device="cpu")).float()
    with torch.no_grad():
        for layer in network:
            layer.weight.mul_(10)
    found = score("synflow", network, torch.zeros(2, 50))
    assert math.log(torch.finfo(torch.float32).max) < found < math.inf
