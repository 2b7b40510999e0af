"""Codes of ReLUs, correlations of Jacobians and of feature maps, against formulas written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from plain_networks import (
    CLASSES,
    Empty,
    convolutional,
    filled,
    images,
    known,
    outputs,
    perceptron,
    score,
    together,
    vectors,
)
from torch import Tensor, nn

from naslab.evaluators.zero_cost.activations import epe_nas, jacob_cov
from naslab.evaluators.zero_cost.options import Options
from naslab.evaluators.zero_cost.shared import agreement

pytestmark = pytest.mark.usefixtures("global_randomness")


def jacobian(network: nn.Module, x: Tensor) -> np.ndarray:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(network(leaf).sum(), leaf)[0].flatten(1).numpy()


def test_agreement_is_the_size_of_the_code_minus_the_hamming_distance() -> None:
    activations = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(0)).relu()
    codes = (activations.flatten(1) > 0).numpy()
    expected = [[60 - int((one != other).sum()) for other in codes] for one in codes]
    assert agreement(activations).tolist() == expected


def test_naswot_is_the_log_determinant_of_the_kernel() -> None:
    network, (x, _) = convolutional(), images()
    codes = [(out > 0).double().flatten(1) for out in outputs(network, x, nn.ReLU)]
    kernel = sum(c @ c.T + (1 - c) @ (1 - c).T for c in codes)
    expected = float(torch.linalg.slogdet(kernel)[1])
    assert score("naswot", network, x) == pytest.approx(expected, rel=1e-9)
    assert score("nwot", network, x) == pytest.approx(expected, rel=1e-9)


def test_functional_relus_are_seen() -> None:
    class Functional(nn.Module):
        def __init__(self, network: nn.Sequential) -> None:
            super().__init__()
            self.layers = nn.ModuleList([layer for layer in network if isinstance(layer, nn.Linear)])

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.layers[0](x))
            return self.layers[2](torch.relu_(self.layers[1](x)))  # type: ignore[no-any-return]

    network, (x, _) = perceptron(), vectors()
    for name in ("naswot", "swap"):
        assert score(name, Functional(network).double(), x) == score(name, network, x) > 0


class Dead(nn.Module):
    """Takes ReLUs of one tensor three times; one of them leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 40), nn.Linear(40, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        torch.relu(hidden)
        return self.last(torch.relu(hidden) + torch.relu(hidden)) + self.last(torch.relu(-hidden))  # type: ignore[no-any-return]


def test_dead_relus_count_for_nwot_and_not_for_naswot() -> None:
    with Empty():
        network = Dead()
    filled(network)
    x = vectors()[0]
    hidden = network.first(x).detach()

    def log_determinant(*tensors: Tensor) -> float:
        codes = [(each > 0).double() for each in tensors]
        return float(torch.linalg.slogdet(sum(c @ c.T + (1 - c) @ (1 - c).T for c in codes))[1])

    assert score("naswot", network, x) == pytest.approx(log_determinant(hidden, hidden, -hidden), rel=1e-9)
    assert score("nwot", network, x) == pytest.approx(log_determinant(hidden, hidden, hidden, -hidden), rel=1e-9)


def test_two_rows_with_one_code_are_the_worst() -> None:
    x = vectors()[0]
    assert score("naswot", perceptron(), torch.cat([x, x[:1]])) == -math.inf


def test_jacob_cov_by_hand() -> None:
    network, (x, _) = convolutional(), images()
    values = np.linalg.eigvalsh(np.corrcoef(jacobian(network, x))) + 1e-5
    assert score("jacob-cov", network, x) == pytest.approx(float(-(np.log(values) + 1 / values).sum()), rel=1e-6)


def test_jacob_cov_of_uncorrelated_rows() -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    found = known(perceptron().float(), x, None, "jacob-cov")
    uncorrelated = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    found.__dict__["jacobian"] = uncorrelated
    assert jacob_cov(found) == pytest.approx(-3 * (math.log(1 + 1e-5) + 1 / (1 + 1e-5)), rel=1e-12)
    found.__dict__["jacobian"] = torch.ones(3, 4)
    assert jacob_cov(found) == -math.inf


def test_epe_nas_by_hand() -> None:
    network, (x, y) = convolutional(), images(12)
    rows, expected = jacobian(network, x), 0.0
    for label in set(y.tolist()):
        members = rows[(y == label).numpy()]
        pairs = itertools.product(range(len(members)), repeat=2)
        expected += abs(sum(math.log(abs(np.corrcoef(members[i], members[j])[0, 1]) + 1e-5) for i, j in pairs))
    assert score("epe-nas", network, x, y) == pytest.approx(expected, rel=1e-6)


def test_epe_nas_of_more_than_a_hundred_classes_compares_classes() -> None:
    with Empty():
        network = nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 101))
    filled(network)
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.tensor([0, 0, 0, 77, 77, 100, 100, 5])
    rows, sums = jacobian(network, x), []
    for members in ([0, 1, 2], [3, 4], [5, 6]):
        sums.append(np.log(np.abs(np.corrcoef(rows[members])) + 1e-5).sum() / len(members))
    expected = sum(abs(a - b) for a, b in itertools.product(sums, repeat=2)) / 3
    assert epe_nas(known(network, x, y, "epe-nas")) == pytest.approx(expected, rel=1e-6)


def test_swap_counts_patterns_across_rows() -> None:
    network, (x, y) = convolutional(), images()
    found = known(network, x, y)
    with found.drawn("normal", "swap").installed():
        codes = torch.cat([(out > 0).flatten(1) for out in outputs(network, x, nn.ReLU)], dim=1)
    expected = len({tuple(column) for column in codes.T.tolist()})
    assert 1 < expected < codes.shape[1]
    assert score("swap", network, x) == expected


def test_swap_looks_at_sixteen_rows() -> None:
    network, x = convolutional(), images(20)[0]
    assert score("swap", network, x) == score("swap", network, x[:16])


@pytest.mark.parametrize("size", [0, 16, 64])
def test_meco_is_the_sum_of_smallest_eigenvalues(size: int) -> None:
    network, x = convolutional(), images()[0]
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
    found = known(network, x, None, options=Options(size=size))
    shown = x[:1]
    if size:
        shown = x.new_empty((1, x.shape[1], size, size)).normal_(generator=found.generator("meco"))
    maps = [out[0].flatten(1) for out in outputs(network, shown, *kinds)]
    expected = sum(float(torch.linalg.eigvalsh(torch.nan_to_num(torch.corrcoef(each)))[0]) for each in maps)
    assert expected > 0.01
    assert together(found, "meco")["meco"] == pytest.approx(expected, rel=1e-6)
    if size == 64:
        assert score("meco", network, x) == pytest.approx(expected, rel=1e-6)  # the default


def test_meco_sees_more_channels_than_a_small_image_has_pixels() -> None:
    """64 channels over 8 x 8 pixels: their centred correlations are singular, and such maps count nothing."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1, bias=False, device="meta"), nn.ReLU()).to_empty(device="cpu")
    with torch.no_grad():
        network[0].weight.normal_(generator=generator)
    x = torch.empty(2, 1, 8, 8).normal_(generator=generator)
    small, large = (together(known(network, x, None, options=Options(size=s)), "meco")["meco"] for s in (0, 64))
    assert abs(small) < 1e-9 < large


def test_meco_takes_correlations_with_a_constant_channel_as_zero() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x * torch.tensor([1.0, 0.0], dtype=x.dtype).view(1, 2, 1, 1)).mean(dim=(2, 3))

    assert score("meco", Constant(), images()[0]) == 0.0
