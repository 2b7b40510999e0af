"""NATS-Bench's size space against its official records."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import naslab
from naslab.errors import InvalidArchitecture
from naslab.search_spaces.nats_size import nats_size

# Of the official records 0, 11 and 284 (NATS-Bench v1.0): dataset -> (classes, shape), and MACs plus the classifier's
# biases, and parameters, both in millions. The tests of the importer read the same numbers from the records.
DATASETS = {"cifar10": (10, (3, 32, 32)), "cifar100": (100, (3, 32, 32)), "imagenet16-120": (120, (3, 16, 16))}
RECORDED = {
    "cifar10": {
        "8:8:8:8:8": (4.481114, 0.011714),
        "8:8:8:16:32": (6.84065, 0.049202),
        "8:8:40:32:40": (21.827994, 0.144834),
    },
    "cifar100": {
        "8:8:8:8:8": (4.481924, 0.012524),
        "8:8:8:16:32": (6.84362, 0.052172),
        "8:8:40:32:40": (21.831684, 0.148524),
    },
    "imagenet16-120": {
        "8:8:8:8:8": (1.121336, 0.012704),
        "8:8:8:16:32": (1.71404, 0.052832),
        "8:8:40:32:40": (5.461816, 0.149344),
    },
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_costs_are_those_of_the_official_records(dataset):
    classes, shape = DATASETS[dataset]
    space = nats_size(classes, shape)
    for string, (flops, params) in RECORDED[dataset].items():
        cost = space.cost(space.from_string(string))
        assert (round((cost.macs + classes) / 1e6, 6), round(cost.params / 1e6, 6)) == (flops, params)


def test_networks_have_the_parameters_that_the_cost_model_states():
    space = naslab.search_space("nats-size", num_classes=7, input_shape=(3, 8, 8))
    rng = np.random.default_rng(0)
    for architecture in [space.sample(rng) for _ in range(5)]:
        network = naslab.compile_network(space, architecture)
        assert sum(p.numel() for p in network.parameters()) == space.cost(architecture).params
        assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 7)


def test_size_and_strings():
    space = naslab.search_space("nats-size")
    assert (space.size, space.name) == (8**5, "nats-size")
    assert space.to_string((0, 7, 1, 3, 4)) == "8:64:16:32:40"
    assert space.from_string("8:64:16:32:40") == (0, 7, 1, 3, 4)
    for bad in ("8:8:8:8", "8:8:8:8:9", "", "8:8:8:8:8:8", "a:b:c:d:e"):
        with pytest.raises(InvalidArchitecture, match=r"five of 8, 16, \.\.\., 64 joined by ':'"):
            space.from_string(bad)


def test_a_skip_connection_is_a_convolution_where_the_width_changes():
    space = naslab.search_space("nats-size")
    same, other = (
        dict(naslab.compile_network(space, space.from_string(s)).named_modules()) for s in ("8:8:8:8:8", "8:8:16:8:8")
    )
    assert isinstance(same["reduction2->cell3/3"], torch.nn.Identity)
    assert other["reduction2->cell3/3"].conv.weight.shape == (16, 8, 1, 1)
