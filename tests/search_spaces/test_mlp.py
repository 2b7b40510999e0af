"""Perceptrons against the published parameter counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import naslab
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.search_spaces.mlp import WIDTHS

# TabNAS (Yang et al. 2022): in, out, hidden widths, parameters.
REFERENCES = {
    "criteo": (1027, 1, "32-144-24", 41_153),
    "criteo-5-layer": (1027, 1, "48-240-24-256-8", 75_353),
    "volkert": (180, 10, "48-160-32-144", 27_882),
    "aloi": (128, 1000, "64-192-48-32", 64_568),
    "connect-4": (84, 3, "32-22-4-20", 3_701),
}


@pytest.mark.parametrize(("inputs", "outputs", "hidden", "params"), REFERENCES.values(), ids=REFERENCES.keys())
def test_parameter_counts_are_the_published(inputs, outputs, hidden, params):
    widths = [(int(width), 1000) for width in hidden.split("-")]
    space = naslab.search_space("mlp", in_features=inputs, out_features=outputs, widths=widths)
    architecture = space.from_string(hidden)
    assert architecture == (0,) * len(widths)
    assert space.cost(architecture).params == params
    assert space.cost_model.values("params", [architecture])[0] == params


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_costs_of_random_networks(depth):
    space = naslab.search_space("mlp", in_features=7, out_features=3, depth=depth)
    assert space.sizes == (20,) * depth
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture = space.sample(rng)
        layers = [7, *(WIDTHS[i] for i in architecture), 3]
        pairs = list(itertools.pairwise(layers))
        cost = space.cost(architecture)
        assert cost.macs == sum(a * b for a, b in pairs)
        assert cost.params == sum((a + 1) * b for a, b in pairs)
        assert cost.activation_bytes == 4 * (2 * sum(layers[1:-1]) + 3)  # every hidden layer and its ReLU


def test_the_cost_model_is_a_chain():
    space = naslab.search_space("mlp", depth=5)
    scopes = {factor.scope for factor in space.cost_model.factors["params"]}
    assert {scope for scope in scopes if len(scope) == 2} == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert max(len(scope) for scope in scopes) == 2


def test_widths_may_differ_by_layer():
    space = naslab.search_space("mlp", widths=[(8, 16), (4,), (32, 64, 128)])
    assert space.sizes == (2, 1, 3)
    assert space.to_string((1, 0, 2)) == "16-4-128"
    assert [choice.name for choice in space.choices] == ["width1", "width2", "width3"]


def test_widths_may_be_numpy_integers_and_ranges():
    assert naslab.search_space("mlp", widths=np.array([8, 16])).to_string((0, 1, 0)) == "8-16-8"
    assert naslab.search_space("mlp", widths=range(3, 6), depth=1).to_string((2,)) == "5"


def test_strings_round_trip_for_all():
    space = naslab.search_space("mlp", widths=(8, 16, 24, 32))
    strings = [space.to_string(a) for a in space.architectures()]
    assert len(set(strings)) == 64
    assert [space.from_string(s) for s in strings] == list(space.architectures())


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "is not a list of 3 widths such as '8-8-8'"),
        ("8-16", "is not a list of 3 widths"),
        ("8-16-8-16", "is not a list of 3 widths"),
        ("8-16-", "is not a list of 3 widths"),
        ("8-16--8", "is not a list of 3 widths"),
        ("8-16-eight", "is not a list of 3 widths"),
        ("8-016-8", "is not a list of 3 widths"),
        ("8-16-17", "width3 is one of (8, 16), not 17"),
    ],
)
def test_bad_strings_are_refused_in_one_line(string, said):
    with pytest.raises(InvalidArchitecture) as error:
        naslab.search_space("mlp", widths=(8, 16)).from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"widths": []},
        {"widths": [()]},
        {"widths": [(8, 16), ()]},
        {"widths": [8, (16,)]},
        {"widths": [8, 8]},
        {"widths": [0, 8]},
        {"widths": [8.5]},
        {"widths": ["8"]},
        {"widths": [(8, "16")]},
        {"depth": 0},
    ],
)
def test_bad_widths_are_refused_in_one_line(options):
    with pytest.raises(InvalidValue) as error:
        naslab.search_space("mlp", **options)
    assert next(iter(options)) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"in_features": 0}, {"out_features": 0}])
def test_a_network_has_inputs_and_outputs(options):
    with pytest.raises(InvalidSpace):
        naslab.search_space("mlp", **options)


def test_canonical_and_encodings_see_the_widths():
    space = naslab.search_space("mlp", widths=(8, 16), depth=2)
    every = list(space.architectures())
    assert len({space.canonical(a) for a in every}) == 4
    assert len({space.encode(a, "path").tobytes() for a in every}) == 4
    assert len({space.encode(a, "adjacency").operations.tobytes() for a in every}) == 4
    assert all(space.is_connected(a) for a in every)
