"""BANANAS' ensemble."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import naslab
from naslab.errors import InvalidValue
from naslab.evaluators.predictors.bananas import BANANAS, Perceptrons
from naslab.evaluators.predictors.layers import built

SPACE = naslab.search_space("nasbench201")


def drawn(count: int):
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(count)]


def test_each_member_is_a_perceptron_of_its_own():
    net = built(lambda: Perceptrons(3, 5, width=4, layers=2), torch.Generator().manual_seed(0))
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    found = net(torch.from_numpy(x[:, :3]), torch.from_numpy(x[:, 3:])).detach().numpy()
    for member in range(3):
        y = x
        for i, layer in enumerate(net.layers):
            y = (np.maximum(y, 0) if i else y) @ layer.weight[member].detach().numpy()  # biases begin at zero
        np.testing.assert_allclose(found[:, member], y[:, 0], atol=1e-5)
    assert abs(found[:, 0] - found[:, 1]).max() > 1e-3


def test_mean_and_deviation_are_those_of_the_members():
    cells = drawn(30)
    made = BANANAS(SPACE, epochs=3)
    made.fit(cells, range(30), rng=np.random.default_rng(0))
    outputs = made.model(*made._tensors(cells, None)).detach().double().numpy()
    mean, deviation = made.predict(cells)
    np.testing.assert_allclose(mean, outputs.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(deviation, outputs.std(axis=1), atol=1e-6)


def test_at_most_so_many_paths_are_read():
    made = BANANAS(SPACE, paths=7, epochs=1)
    made.fit(drawn(30), range(30), rng=np.random.default_rng(0))
    assert made._inputs(drawn(3))[0].shape == (3, 7)


def test_an_empty_ensemble_is_refused():
    with pytest.raises(InvalidValue, match="at least one member"):
        BANANAS(SPACE, members=0)
