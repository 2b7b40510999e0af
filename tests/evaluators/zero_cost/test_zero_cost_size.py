"""What is counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_networks import convolutional, images, perceptron, score, seeded, vectors, weights

import naslab
from naslab.compiler.network import compile_network
from naslab.evaluators.zero_cost.catalogue import PROXIES
from naslab.search_spaces.pocket_cell import pocket_cell

pytestmark = pytest.mark.usefixtures("global_randomness")


def test_parameters_and_multiplications_of_a_network_by_hand() -> None:
    x, _ = images()
    assert score("params", convolutional(), x) == 2 * 5 * 9 + 2 * 5 + (5 * 9 + 1) * 6 + 2 * 6 + (6 + 1) * 4
    assert score("flops", convolutional(), x) == 2 * 5 * 9 * 36 + 5 * 6 * 9 * 9 + 6 * 4
    assert score("flops", perceptron(), vectors()[0]) == 3 * 7 + 7 * 6 + 6 * 4
    assert score("depth", convolutional(), x) == 3


def test_the_norm_is_summed_layer_by_layer() -> None:
    network = convolutional()
    expected = sum(float(weight.square().sum().sqrt()) for weight in weights(network))
    assert score("l2-norm", network, images()[0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["nasbench201", "pocket-cell"])
def test_sizes_are_the_cost_model_s(name: str) -> None:
    space = naslab.search_space(name)
    x = torch.zeros(2, *space.graph.nodes[space.order[0]]["shape"])
    rng = np.random.default_rng(0)
    for architecture in [space.sample(rng) for _ in range(3)]:
        network = compile_network(space, architecture, cut=False)
        assert score("params", network, x) == space.cost(architecture).params
        assert score("flops", network, x) == score("az-complexity", network, x) == space.cost(architecture).macs


def test_equal_cells_are_equally_large_unless_dead_branches_count() -> None:
    space, x = pocket_cell(), torch.zeros(2, 1, 8, 8)
    one, other = (3, 0, 0, 0, 1, 0), (0, 3, 0, 0, 0, 1)  # a convolution to node 1 or to node 2, a skip to node 3
    dead = (3, 3, 0, 0, 1, 0)  # node 2 goes nowhere
    assert len({space.canonical(a) for a in (one, other, dead)}) == 1
    for name in ("params", "flops", "depth"):

        def measured(a: tuple[int, ...], cut: bool, name: str = name) -> float:
            return PROXIES[name](compile_network(space, a, cut=cut), x)

        assert measured(one, False) == measured(other, False) == measured(dead, True) < measured(dead, False)


def test_synflow_of_equal_cells_is_equal_under_equal_weights() -> None:
    space, x = pocket_cell(), torch.zeros(2, 1, 8, 8)
    one, other = (3, 0, 0, 0, 1, 0), (0, 3, 0, 0, 0, 1)
    first, second = (PROXIES["synflow"](compile_network(space, a, generator=seeded(1)), x) for a in (one, other))
    third = PROXIES["synflow"](compile_network(space, other, generator=seeded(2)), x)
    assert first == pytest.approx(second, rel=1e-12)
    assert abs(first - third) > 1e-3
