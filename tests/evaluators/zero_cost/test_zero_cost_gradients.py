"""Gradients of the loss, against formulas written out."""

from __future__ import annotations

import pytest
import torch
from plain_networks import CLASSES, Empty, convolutional, filled, gradients, images, outputs, score, weights
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.usefixtures("global_randomness")


def test_sums_over_layers_by_hand() -> None:
    network, (x, y) = convolutional(), images()
    pairs = list(zip(gradients(network, x, y), weights(network), strict=True))
    expected = {
        "grad-norm": sum(float(g.square().sum().sqrt()) for g, _ in pairs),
        "plain": sum(float((g * w).sum()) for g, w in pairs),
        "snip": sum(float((g * w).abs().sum()) for g, w in pairs),
    }
    for name, value in expected.items():
        assert score(name, network, x, y) == pytest.approx(value, rel=1e-9)
    assert expected["snip"] > abs(expected["plain"])


def test_snip_is_the_gradient_of_a_mask() -> None:
    network, (x, y) = convolutional(), images()
    masks = [torch.ones_like(w, requires_grad=True) for w in weights(network)]
    names = [name for name, p in network.named_parameters() if p.dim() > 1]
    masked = dict(zip(names, [m * w for m, w in zip(masks, weights(network), strict=True)], strict=True))
    loss = functional.cross_entropy(torch.func.functional_call(network, masked, x), y)
    expected = sum(float(g.abs().sum()) for g in torch.autograd.grad(loss, masks))
    assert score("snip", network, x, y) == pytest.approx(expected, rel=1e-9)


def test_grasp_s_hessian_product_is_a_finite_difference() -> None:
    network, (x, y) = convolutional(), images()
    first = gradients(network, x, y)
    step, own = 1e-6, [w.clone() for w in weights(network)]
    sides = []
    for sign in (1, -1):
        for w, value, g in zip(weights(network), own, first, strict=True):
            w.copy_(value + sign * step * g)
        sides.append(gradients(network, x, y))
    for w, value in zip(weights(network), own, strict=True):
        w.copy_(value)
    products = [(up - down) / (2 * step) for up, down in zip(*sides, strict=True)]
    expected = -sum(float((w * h).sum()) for w, h in zip(own, products, strict=True))
    assert score("grasp", network, x, y) == pytest.approx(expected, rel=1e-5)


def test_fisher_of_one_convolution_by_hand() -> None:
    with Empty():
        network = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    filled(network)
    x, y = images(5)
    y = y % 3
    activations = outputs(network, x, nn.Conv2d)[0]  # (5, 3, 4, 4)
    logits = activations.mean(dim=(2, 3))
    error = (logits.softmax(dim=1) - functional.one_hot(y, 3)) / len(x)  # of the mean cross-entropy, by the logits
    # Every position gets a 16th of its channel's gradient: the sum over positions is the mean activation times it.
    saliency = (logits * error).square().mean(dim=0) / 2
    assert score("fisher", network, x, y) == pytest.approx(float(18 * saliency.sum()), rel=1e-9)


def test_fisher_counts_a_channel_as_often_as_it_has_weights() -> None:
    network, (x, y) = convolutional(), images()
    found, hooks = [], []
    for module in network:
        if isinstance(module, nn.Conv2d | nn.Linear):
            hooks.append(module.register_forward_hook(lambda m, _, out: found.append((m.weight[0].numel(), out))))
    loss = functional.cross_entropy(network(x), y)
    expected = 0.0
    for (count, a), g in zip(found, torch.autograd.grad(loss, [out for _, out in found]), strict=True):
        for channel in range(a.shape[1]):
            per_row = (a[:, channel] * g[:, channel]).reshape(len(x), -1).sum(dim=1)
            expected += count * float((per_row.detach() ** 2).mean()) / 2
    for hook in hooks:
        hook.remove()
    assert [count for count, _ in found] == [18, 45, 6]
    assert score("fisher", network, x, y) == pytest.approx(expected, rel=1e-9)


class Branched(nn.Module):
    """A layer that the logits do not depend on runs, and one does not run."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.idle = nn.Linear(3, CLASSES), nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unused(x)
        return self.used(x)


def test_layers_that_the_loss_does_not_depend_on_count_nothing() -> None:
    with Empty():
        network, alone = Branched(), nn.Linear(3, CLASSES)
    filled(network)
    alone.double().load_state_dict(network.used.state_dict())
    x, y = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), torch.arange(6) % CLASSES
    for name in ("grad-norm", "plain", "snip", "grasp", "fisher"):
        assert score(name, network, x, y) == pytest.approx(score(name, alone, x, y), rel=1e-12)
