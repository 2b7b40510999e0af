"""Convolutional neural fabrics: the trellis, its paths, and chain networks written by hand inside it."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import torch
from compiled import (
    assert_costs_are_those_of_modules,
    assert_mixtures_train,
    assert_paths_run_as_extracted,
    batch,
    close,
    seeded,
    shaken,
)
from torch import Tensor, nn
from torch.nn import functional
from toy_spaces import looks_uniform

import naslab
from naslab.compiler import compile_supernet
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.search_spaces.fabric import fabric
from naslab.testing import check_search_space


@pytest.fixture(scope="module")
def small():
    """Four layers, three scales."""
    return fabric(num_classes=4, input_shape=(2, 4, 4), channels=3, layers=4)


def samples(space, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


def trellis(space, architecture) -> nx.DiGraph:
    """The edges that are on, read from the choices' names."""
    graph = nx.DiGraph()
    graph.add_nodes_from(f"{layer}/{scale}" for layer in range(1, space.layers + 1) for scale in range(space.scales))
    for choice, option in zip(space.choices, architecture, strict=True):
        if option:
            graph.add_edge(*choice.name.split("->"))
    return graph


def every_path(space, architecture) -> list[list[str]]:
    output = f"{space.layers}/{space.scales - 1}"
    return list(nx.all_simple_paths(trellis(space, architecture), "1/0", output))


# ---- the trellis -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layers", "side", "scales"), [(2, 2, 2), (4, 4, 3), (8, 32, 6), (3, 28, 3), (2, 5, 1)])
def test_edges_join_neighbouring_scales_of_neighbouring_layers(layers, side, scales):
    space = naslab.search_space("fabric", input_shape=(3, side, side), channels=4, layers=layers)
    expected = {f"{end}/{s}->{end}/{s + 1}" for end in (1, layers) for s in range(scales - 1)}
    for layer in range(1, layers):
        for s, t in itertools.product(range(scales), repeat=2):
            if abs(s - t) <= 1:
                expected.add(f"{layer}/{s}->{layer + 1}/{t}")
    assert {choice.name for choice in space.choices} == expected
    assert space.size == 2 ** len(expected)
    shapes = space.cost_model.shapes
    for layer, scale in itertools.product(range(1, layers + 1), range(scales)):
        assert shapes[f"{layer}/{scale}/sum"].largest == (4, side // 2**scale, side // 2**scale)


def test_sides_need_not_be_equal():
    space = fabric(input_shape=(3, 8, 4), channels=2, layers=2)
    assert [space.cost_model.shapes[f"2/{s}/sum"].largest for s in range(3)] == [(2, 8, 4), (2, 4, 2), (2, 2, 1)]


@pytest.mark.parametrize("layers", [1, 0])
def test_a_fabric_has_a_first_and_a_last_layer(layers):
    with pytest.raises(InvalidValue, match=f"layers={layers}: at least 2"):
        fabric(layers=layers)


# ---- paths -------------------------------------------------------------------------------------------------------


def test_the_number_of_paths_is_that_of_an_enumeration(small):
    whole = (1,) * len(small.choices)
    found = []
    for architecture in [whole, (0,) * len(whole), *samples(small, 40)]:
        found.append(small.paths(architecture))
        assert found[-1] == len(every_path(small, architecture))
        assert (found[-1] > 0) == small.is_connected(architecture)
    assert len(set(found)) > 5


@pytest.mark.parametrize(("layers", "side"), [(2, 2), (4, 4), (8, 32)])
def test_the_whole_fabric_has_a_path_for_every_walk_over_scales(layers, side):
    space = fabric(input_shape=(1, side, side), channels=1, layers=layers)
    near = (
        np.eye(space.scales, dtype=int) + np.eye(space.scales, k=1, dtype=int) + np.eye(space.scales, k=-1, dtype=int)
    )
    assert space.paths((1,) * len(space.choices)) == np.linalg.matrix_power(near, layers - 1).sum()


def test_a_chain_is_a_single_path_and_every_path_is_a_chain(small):
    chains = set()
    for scales in itertools.product(range(3), repeat=4):
        if all(abs(s - t) <= 1 for s, t in itertools.pairwise(scales)):
            chain = small.chain(scales)
            (path,) = every_path(small, chain)
            assert sum(chain) == len(path) - 1
            places = [tuple(map(int, place.split("/"))) for place in path]
            crossed = [(u, v) for u, v in itertools.pairwise(places) if u[0] < v[0]]
            assert [s for (_, s), _ in crossed] + [crossed[-1][1][1]] == list(scales)
            chains.add(chain)
    assert len(chains) == small.paths((1,) * len(small.choices))


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        ((0, 0, 0), "give 4 numbers from 0 to 2"),
        ((0, 0, 0, 3), "give 4 numbers from 0 to 2"),
        ((0, -1, 0, 0), "give 4 numbers from 0 to 2"),
        ((0, 2, 1, 1), "neighbouring layers differ by at most one scale"),
    ],
)
def test_what_is_no_chain_is_refused(small, scales, said):
    with pytest.raises(InvalidValue) as error:
        small.chain(scales)
    assert said in str(error.value)


def test_the_same_chain_elsewhere_in_the_trellis_shares_its_key(small):
    # Down, same, same, down in both: within the first layer and across layers, or the other way round.
    assert small.canonical(small.chain((0, 1, 1, 1))) == small.canonical(small.chain((1, 1, 1, 2)))
    assert small.canonical(small.chain((0, 1, 1, 1))) != small.canonical(small.chain((0, 0, 1, 1)))


# ---- strings, samples --------------------------------------------------------------------------------------------


def test_strings_list_the_edges_layer_by_layer(small):
    assert small.to_string(small.chain((0, 1, 2, 1))) == "00/0010000/0000010/0000100/01"
    drawn = samples(small, 50)
    assert [small.from_string(small.to_string(a)) for a in drawn] == drawn


@pytest.mark.parametrize(
    "string",
    ["", "11", "11/1111111/1111111/1111111/1", "11/1111111/1111111/111111111/", "11/1111111/1111111/1111111/1x"],
)
def test_bad_strings_are_refused_in_one_line(small, string):
    with pytest.raises(InvalidArchitecture) as error:
        small.from_string(string)
    assert "such as '11/1111111/1111111/1111111/11', all edges on" in str(error.value)


def test_samples_are_uniform():
    tiny = fabric(input_shape=(1, 2, 2), channels=1, layers=2)
    assert looks_uniform(samples(tiny, 1000), list(tiny.architectures()))
    assert tiny.size == 64


def test_it_conforms(small):
    check_search_space(small, samples=5)


# ---- networks ----------------------------------------------------------------------------------------------------


class Chain(nn.Module):
    """A plain convolutional network: ``same``, ``down`` and ``up``, each followed by normalisation and ReLU."""

    def __init__(self, steps: list[str], inputs: int, channels: int, classes: int, affine: bool) -> None:
        super().__init__()
        self.steps = ["same", *steps]
        self.kernels = nn.ParameterList(
            torch.randn(channels, channels if i else inputs, 3, 3, generator=seeded(20 + i), dtype=torch.float64) / 5
            for i in range(len(self.steps))
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels, affine=affine, track_running_stats=False) for _ in self.steps
        )
        self.linear = nn.Linear(channels, classes)
        shaken(self)

    def forward(self, x: Tensor) -> Tensor:
        for step, kernel, norm in zip(self.steps, self.kernels, self.norms, strict=True):
            if step == "up":
                wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
                wide[:, :, ::2, ::2] = x
                x = wide
            x = norm(functional.conv2d(x, kernel, stride=2 if step == "down" else 1, padding=1)).relu()
        return self.linear(x.mean((2, 3)))


def edges_and_steps(space, scales) -> tuple[list[str], list[str]]:
    """The edges of a chain in the order of the data, and what each does to the image."""
    (path,) = every_path(space, space.chain(scales))
    edges = [f"{u}->{v}" for u, v in itertools.pairwise(path)]
    change = [int(v[-1]) - int(u[-1]) for u, v in itertools.pairwise(path)]
    return edges, [{0: "same", 1: "down", -1: "up"}[c] for c in change]


def put(chain: Chain, edges: list[str], state: dict[str, Tensor], suffix: str) -> None:
    """Write the chain's numbers into a fabric's (in place)."""
    places = ["1/0", *(edge.split("->")[1] for edge in edges)]
    names = ["image->1/0/sum", *(edge + "/sum" for edge in edges)]
    for i, (step, kernel) in enumerate(zip(chain.steps, chain.kernels, strict=True)):
        weight = kernel.detach()
        if step == "up":  # stored as that of a transposed convolution
            weight = weight.transpose(0, 1).flip(2, 3)
        state[f"{names[i]}{suffix if i else ''}.weight"].copy_(weight)
        for key, value in chain.norms[i].state_dict().items():
            last = i == len(places) - 1
            norm = f"{places[i]}/sum->logits.norm" if last else f"{places[i]}/sum->{places[i]}.bn"
            state[f"{norm}.{key}"].copy_(value)
    for key, value in chain.linear.state_dict().items():
        state[f"{places[-1]}/sum->logits.linear.{key}"].copy_(value)


CHAINS = [(0, 0, 0, 0), (2, 2, 2, 2), (0, 1, 0, 1), (1, 2, 1, 0), (2, 1, 0, 0)]


@pytest.mark.parametrize("scales", CHAINS)
def test_a_chain_network_is_embedded_exactly(small, scales):
    edges, steps = edges_and_steps(small, scales)
    chain = Chain(steps, 2, 3, 4, affine=True)
    network = naslab.compile_network(small, small.chain(scales), track_running_stats=False).double()
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in chain.parameters())
    with torch.no_grad():
        put(chain, edges, dict(network.named_parameters()), "")
    close(network(batch(small)), chain(batch(small)))


@pytest.mark.parametrize("scales", CHAINS)
def test_so_it_is_in_the_supernet_and_in_the_whole_fabric_with_all_other_kernels_zero(small, scales):
    edges, steps = edges_and_steps(small, scales)
    chain = Chain(steps, 2, 3, 4, affine=False)
    supernet = compile_supernet(small, "mixed", generator=seeded()).double()
    state = dict(supernet.named_parameters())
    with torch.no_grad():
        put(chain, edges, state, ".1")
    close(supernet(batch(small), small.chain(scales)), chain(batch(small)))
    whole = (1,) * len(small.choices)
    assert not torch.allclose(supernet(batch(small), whole), chain(batch(small)))
    with torch.no_grad():
        for choice in small.choices:
            if choice.name not in edges:
                state[f"{choice.name}/sum.1.weight"].zero_()
    close(supernet(batch(small), whole), chain(batch(small)))


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, [*samples(small, 3), (1,) * len(small.choices), small.chain((0, 1, 0, 1))])


def test_a_path_of_the_supernet_is_the_network_taken_from_it(small):
    whole = (1,) * len(small.choices)
    assert_paths_run_as_extracted(small, [*samples(small, 3), whole, small.chain((2, 1, 1, 2))])


def test_the_mixture_of_all_edges_trains(small):
    gradients = assert_mixtures_train(small)
    assert all(gradient[0] == 0 and gradient[1] != 0 for gradient in gradients.values())
