"""AZ-NAS, part by part, and blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plain_networks import known, seeded

import naslab
from naslab.compiler.network import compile_network
from naslab.evaluators.zero_cost.az_nas import (
    _closeness,
    _entropy,
    _norm,
    aggregate,
    expressivity,
    progressivity,
    trainability,
)
from naslab.evaluators.zero_cost.blocks import block_outputs, cut_nodes
from naslab.evaluators.zero_cost.shared import Pass
from naslab.search_spaces.pocket_cell import pocket_cell

pytestmark = pytest.mark.usefixtures("global_randomness")
POCKET = pocket_cell(channels=4)


def looked_at(architecture: tuple[int, ...], cut: bool = False) -> Pass:
    network = compile_network(POCKET, architecture, cut=cut)
    return known(network, torch.randn(6, 1, 8, 8, generator=seeded()), None, blocks=cut_nodes(POCKET))


def test_nasbench201_has_a_stem_and_seventeen_blocks() -> None:
    nodes = cut_nodes(naslab.search_space("nasbench201"))
    assert len(nodes) == 18
    assert nodes[:2] == ("stem", "stage1/cell1/3")
    assert nodes[6] == "reduction1"
    assert nodes[-1] == "stage3/cell5/3"


@pytest.mark.parametrize("cut", [False, True])
def test_blocks_are_what_the_network_computes(cut: bool) -> None:
    found = looked_at((3, 2, 4, 1, 3, 2), cut)
    x = found.gaussian("x")
    with found.values.installed(), torch.no_grad():
        outputs = block_outputs(found, x, "it")
        logits = found.network(x)
        assert outputs is not None
        assert torch.equal(found.network.get_submodule("image->stem")(x), outputs[0])
        assert torch.equal(found.network.get_submodule("cell2/3->logits")(outputs[-1]), logits)
    assert [tuple(out.shape[1:]) for out in outputs] == [(4, 8, 8), (4, 8, 8), (4, 4, 4), (8, 4, 4), (8, 4, 4)]


def test_the_entropy_of_independent_equal_channels_is_the_logarithm_of_their_number() -> None:
    signs = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    features = signs.view(3, 4, 1).permute(1, 0, 2)[..., None]  # 4 rows of 3 channels of one pixel
    assert _entropy(features) == pytest.approx(math.log(3), abs=1e-6)
    assert _entropy(features[:, :1].expand(4, 3, 1, 1)) == pytest.approx(0.0, abs=1e-5)  # one direction


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_trainability_of_a_scaling_is_best_at_one(scale: float) -> None:
    first = torch.randn(5, 1, 4, 4, generator=seeded()).requires_grad_()
    (found,) = _closeness([_norm(first, first * -scale, seeded())])
    assert found == pytest.approx(2 - scale - 1 / (scale + 1e-6), abs=1e-5)


def test_trainability_of_a_halved_image_unshuffles_pixels() -> None:
    first = torch.randn(50, 1, 8, 8, generator=seeded()).requires_grad_()
    picked = first[:, :, ::2, ::2] * 2  # one of the four pixels arrives, doubled
    assert _closeness([_norm(first, picked, seeded())]) == pytest.approx([2 - 2 - 0.5], abs=1e-5)


def test_an_identity_is_minus_infinite() -> None:
    first = torch.randn(2, 3, 4, 4, generator=seeded()).requires_grad_()
    for same in (first, first * 1.0):
        assert _closeness([_norm(first, same, seeded())]) == [-math.inf]
    assert trainability(looked_at((1, 0, 0, 0, 1, 0))) == -math.inf
    assert math.isfinite(expressivity(looked_at((1, 0, 0, 0, 1, 0))))


def test_parts_are_sums_and_minima_over_blocks() -> None:
    found = looked_at((3, 2, 4, 1, 3, 2))
    with found.drawn("kaiming", "az").installed(), torch.no_grad():
        outputs = block_outputs(found, found.gaussian("az/input"), "it")
    assert outputs is not None
    entropies = []
    for out in outputs:
        rows = out.permute(0, 2, 3, 1).reshape(-1, out.shape[1]).double()
        values = np.linalg.eigvalsh(np.cov(rows.numpy().T))
        shares = values[values > 1e-9] / values.sum()
        entropies.append(-(shares * np.log(shares)).sum())
    assert expressivity(found) == pytest.approx(sum(entropies), rel=1e-4)
    assert progressivity(found) == pytest.approx(min(np.diff(entropies)), abs=1e-4)


def test_the_aggregate_sums_logarithms_of_ranks() -> None:
    parts = [[3.0, -math.inf], [1.0, 2.0], [2.0, 2.0]]
    expected = [
        math.log(3 / 3) + math.log(1 / 3),
        math.log(1 / 3) + math.log(2.5 / 3),
        math.log(2 / 3) + math.log(2.5 / 3),
    ]
    assert aggregate(parts).tolist() == pytest.approx(expected)
