"""DARTS' space against the published counts and networks written by hand."""

from __future__ import annotations

import itertools
from math import comb

import numpy as np
import pytest
import torch
from compiled import (
    assert_costs_are_those_of_modules,
    assert_mixtures_train,
    assert_paths_run_as_extracted,
    batch,
    close,
    shaken,
)
from torch import Tensor, nn
from toy_spaces import looks_uniform

import naslab
from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.search_spaces.darts import PUBLISHED, darts
from naslab.testing import check_search_space

EDGES = [(u, v) for v in (2, 3, 4, 5) for u in range(v)]


@pytest.fixture(scope="module")
def space():
    return naslab.search_space("darts")


@pytest.fixture(scope="module")
def small():
    """A normal and two reduction cells in any order, odd sides on the way."""
    return darts(num_classes=4, input_shape=(2, 6, 6), channels=4, cells=5)


def samples(space, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(n)]


def kept(space, architecture, kind: str, v: int) -> dict[int, int]:
    """Option by input of the edges of a node that are not none."""
    decisions = space.decisions(architecture)
    return {u: k for u in range(v) if (k := decisions[f"{kind}/{u}->{v}"])}


# ---- what there is -----------------------------------------------------------------------------------------------


def test_every_edge_of_both_cells_offers_all_eight_operations(space):
    assert [choice.name for choice in space.choices] == [
        f"{k}/{u}->{v}" for k in ("normal", "reduce") for u, v in EDGES
    ]
    for choice in space.choices:
        assert len(choice.options) == 8
        assert choice.options[0].is_zero
        assert not any(option.is_zero for option in choice.options[1:])
    edges = [op.name for *_, op in space.graph.edges(data="op") if isinstance(op, naslab.Choice)]
    assert [edges.count(choice.name) for choice in space.choices] == [6] * 14 + [2] * 14  # cells share their choices


def test_the_size_is_that_of_an_independent_count(space):
    brute = 1
    for inputs in (2, 3, 4, 5):
        options = np.array(list(itertools.product(range(8), repeat=inputs)))
        brute *= int(((options > 0).sum(axis=1) == 2).sum())
    assert brute == np.prod([comb(n, 2) * 49 for n in (2, 3, 4, 5)])
    assert space.size == brute**2 == 1_037_664_180**2


def test_cells_reduce_after_one_and_two_thirds():
    shapes = darts(channels=16, cells=8).cost_model.shapes
    found = [shapes[f"cell{i}"].largest for i in range(1, 9)]
    assert found == [(64, 32, 32)] * 2 + [(128, 16, 16)] * 3 + [(256, 8, 8)] * 3
    shapes = darts(channels=36, cells=20).cost_model.shapes
    assert [i for i in range(2, 21) if shapes[f"cell{i}"].space < shapes[f"cell{i - 1}"].space] == [7, 14]


@pytest.mark.parametrize("cells", [0, 1, 2])
def test_a_network_needs_cells_of_both_kinds(cells):
    with pytest.raises(InvalidValue, match=f"cells={cells}: at least 3"):
        darts(cells=cells)


# ---- sampling and moves ------------------------------------------------------------------------------------------


def test_every_node_keeps_two_inputs_uniformly(space):
    drawn = samples(space, 2500)
    for kind, v in itertools.product(("normal", "reduce"), (2, 3, 4, 5)):
        nodes = [kept(space, a, kind, v) for a in drawn]
        assert looks_uniform([tuple(node) for node in nodes], list(itertools.combinations(range(v), 2)))
        pairs = list(itertools.product(range(1, 8), repeat=2))
        assert looks_uniform([tuple(node.values()) for node in nodes], pairs)


def test_neighbors_change_an_operation_or_move_an_input(space):
    for a in samples(space, 3):
        # Per node of n inputs: 2 operations with 6 others; 2 inputs moved to n - 2 places with 7 operations.
        assert len(space.neighbors(a)) == 2 * sum(2 * 6 + 2 * (n - 2) * 7 for n in (2, 3, 4, 5))


def test_it_conforms(small):
    check_search_space(small, samples=4)


# ---- genotypes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_genotypes_round_trip(space, name):
    architecture = space.from_string(PUBLISHED[name])
    written = space.to_string(architecture)
    assert space.from_string(written) == architecture
    Genotype = dict  # DARTS' notation is Python: what it says if it is run
    given, again = (eval(text, {"Genotype": Genotype, "range": range}) for text in (PUBLISHED[name], written))
    for kind in ("normal", "reduce"):
        pairs = [sorted(given[kind][i : i + 2], key=lambda pair: pair[1]) for i in (0, 2, 4, 6)]
        assert again[kind] == [pair for node in pairs for pair in node]
        assert list(given[f"{kind}_concat"]) == again[f"{kind}_concat"] == [2, 3, 4, 5]


def test_random_genotypes_round_trip(space):
    drawn = samples(space, 200, seed=1)
    assert [space.from_string(space.to_string(a)) for a in drawn] == drawn


def test_a_genotype_says_what_its_network_does(space):
    resolved = space.resolve(space.from_string(PUBLISHED["DARTS_V2"]))
    ops = {edge: resolved.edges[edge]["op"] for edge in resolved.edges}
    assert repr(ops["cell1/0", "cell1/2"]) == "SeparableConv(kernel=3, stride=1)"
    assert repr(ops["cell1/2", "cell1/5"]) == "DilatedConv(kernel=3, stride=1, dilation=2)"
    assert ops["cell1/2", "cell1/3"].is_zero
    assert repr(ops["cell3/0", "cell3/2"]) == "MaxPool(kernel=3, stride=2)"
    assert ops["cell3/2", "cell3/3"].is_identity


V2 = PUBLISHED["DARTS_V2"]


@pytest.mark.parametrize(
    "string",
    [
        "DARTS_V2 = " + V2,
        "2019-01-01 12:00:00 genotype = " + V2 + "\n",
        V2.replace("], normal_concat", "],\n  normal_concat"),
        # NAS-Bench-301's compact form: pairs of input and operation
        "(((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)), "
        "((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)))",
    ],
)
def test_other_notations_are_read(space, string):
    assert space.from_string(string) == space.from_string(V2)


@pytest.mark.parametrize(
    ("string", "said"),
    [
        ("", "is not a genotype such as Genotype(normal="),
        ("Genotype", "is not a genotype such as"),
        ("Genotype()", "is not a genotype such as"),
        ("(((0, 3),), ((0, 0),))", "is not a genotype such as"),
        ("(((0, 7),) * 8, ((0, 0),) * 8)", "is not a genotype such as"),
        (f"({((0, 7), (1, 3)) * 4}, {((0, 0), (1, 0)) * 4})", "is not a genotype such as"),
        (f"({((0, 3), (5, 3)) * 4}, {((0, 0), (1, 0)) * 4})", "input 5; allowed: 0 to 1"),
        (f"({((0, 3.0), (1, 3)) * 4}, {((0, 0), (1, 0)) * 4})", "is not a genotype such as"),
        ("__import__('os').system('false')", "is not a genotype such as"),
        (V2.replace("normal=[('sep_conv_3x3', 0)", "normal=[(open('x'), 0)"), "is not a genotype such as"),
        (V2.replace("Genotype(", "Genotype(1, "), "is not a genotype such as"),
        (V2.replace("reduce_concat", "normal_concat"), "is not a genotype such as"),
        (V2 + ")", "is not a genotype such as"),
        ("(" * 10_000, "is not a genotype such as"),
        ("Genotype(normal=" + "-" * 5_000 + "1)", "is not a genotype such as"),
        (V2.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[3, 4, 5]"), "normal_concat is not [2, 3, 4, 5]"),
        (V2.replace("[('sep_conv_3x3', 0), ", "["), "normal is not a list of eight pairs"),
        (V2.replace("[('sep_conv_3x3', 0)", "[('sep_conv_3x3', '0')"), "normal is not a list of eight pairs"),
        (V2.replace("[('sep_conv_3x3', 0)", "['sep_conv_3x3'"), "normal is not a list of eight pairs"),
        (V2.replace("dil_conv_3x3", "dil_conv_3x4"), "normal cell, node 5: operation 'dil_conv_3x4'. Did you mean"),
        (V2.replace("dil_conv_3x3", "none"), "normal cell, node 5: operation 'none'. Known: avg_pool_3x3, dil_conv"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "normal cell, node 5: input 5; allowed: 0 to 4"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 0)"), "normal cell, node 5: input 0 twice"),
    ],
)
def test_bad_genotypes_are_refused_in_one_line(space, string, said):
    with pytest.raises(InvalidArchitecture) as error:
        space.from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_architecture_without_two_inputs_is_refused(space):
    architecture = space.from_string(V2)
    with pytest.raises(InvalidArchitecture, match="breaks the rule"):
        space.to_string((0, *architecture[1:]))


# ---- discretisation ----------------------------------------------------------------------------------------------


def test_discretisation_keeps_the_two_strongest_inputs_whatever_none_weighs(space):
    rng = np.random.default_rng(2)
    weights = {choice.name: rng.dirichlet(np.ones(8)) for choice in space.choices}
    found = space.decisions(space.discretise(weights))
    for kind, v in itertools.product(("normal", "reduce"), (2, 3, 4, 5)):
        strengths = [weights[f"{kind}/{u}->{v}"][1:].max() for u in range(v)]
        for u in range(v):
            beaten_by = sum(other > strengths[u] for other in strengths)
            expected = 1 + int(weights[f"{kind}/{u}->{v}"][1:].argmax()) if beaten_by < 2 else 0
            assert found[f"{kind}/{u}->{v}"] == expected


def test_one_hot_weights_discretise_to_their_architecture(space):
    for architecture in samples(space, 20, seed=3):
        options = zip(space.choices, architecture, strict=True)
        assert space.discretise({choice.name: torch.eye(8)[k] for choice, k in options}) == architecture


def test_of_equals_the_first_is_kept(space):
    found = space.decisions(space.discretise({choice.name: [1.0] * 8 for choice in space.choices}))
    assert {name for name, option in found.items() if option} == {
        f"{kind}/{u}->{v}" for kind in ("normal", "reduce") for v in (2, 3, 4, 5) for u in (0, 1)
    }
    assert set(found.values()) == {0, 1}


# ---- keys --------------------------------------------------------------------------------------------------------


def test_nodes_that_could_swap_places_share_a_key(space):
    base = space.decisions(space.from_string(V2))

    def key(**nodes: dict[int, int]) -> str:
        decisions = {**base, **{f"normal/{u}->{v}": 0 for u, v in EDGES}}
        for v, inputs in nodes.items():
            decisions |= {f"normal/{u}->{v[1:]}": option for u, option in inputs.items()}
        return space.canonical(tuple(decisions.values()))

    one, other = {0: 4, 1: 1}, {0: 6, 1: 5}
    rest = {"n4": {0: 4, 1: 4}}
    assert key(n2=one, n3=other, **rest, n5={2: 1, 3: 7}) == key(n2=other, n3=one, **rest, n5={3: 1, 2: 7})
    assert key(n2=one, n3=other, **rest, n5={2: 1, 3: 7}) != key(n2=other, n3=one, **rest, n5={2: 1, 3: 7})


# ---- networks ----------------------------------------------------------------------------------------------------


class Hand(nn.Module):
    """DARTS' final network, written from the paper's appendix A.1: modules in the order in which they are used."""

    def __init__(self, genotype: dict, inputs: int, channels: int, cells: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(inputs, 3 * channels, 3, 1, 1, bias=False), nn.BatchNorm2d(3 * channels))
        self.parts, self.wiring = nn.ModuleList(), []
        older = newer = 3 * channels
        was_reduction = False
        for i in range(cells):
            reduction = i in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduction else 1
            first = Halved(older, channels) if was_reduction else self.conv1(older, channels)
            parts = [first, self.conv1(newer, channels)]
            kind = "reduce" if reduction else "normal"
            pairs = [sorted(genotype[kind][j : j + 2], key=lambda pair: pair[1]) for j in (0, 2, 4, 6)]
            for name, u in itertools.chain(*pairs):
                parts.append(self.operation(name, channels, 2 if reduction and u < 2 else 1))
            self.parts.append(nn.ModuleList(parts))
            self.wiring.append([u for node in pairs for _, u in node])
            older, newer, was_reduction = newer, 4 * channels, reduction
        self.linear = nn.Linear(newer, classes)

    @staticmethod
    def conv1(a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.ReLU(), nn.Conv2d(a, b, 1, bias=False), nn.BatchNorm2d(b))

    @staticmethod
    def operation(name: str, c: int, stride: int) -> nn.Module:
        kind, _, size = name.rpartition("_")
        if kind == "skip":
            return nn.Identity() if stride == 1 else Halved(c, c)
        k = int(size[0])
        if kind == "max_pool":
            return nn.MaxPool2d(3, stride, 1)
        if kind == "avg_pool":
            return nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        layers: list[nn.Module] = []
        dilation = 2 if kind == "dil_conv" else 1
        for s in (stride,) if kind == "dil_conv" else (stride, 1):
            padding = dilation * (k // 2)
            layers += [
                nn.ReLU(),
                nn.Conv2d(c, c, k, s, padding, dilation, groups=c, bias=False),
                nn.Conv2d(c, c, 1, bias=False),
                nn.BatchNorm2d(c),
            ]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        older = newer = self.stem(x)
        for parts, wiring in zip(self.parts, self.wiring, strict=True):
            states = [parts[0](older), parts[1](newer)]
            for i in range(0, 8, 2):
                states.append(parts[2 + i](states[wiring[i]]) + parts[3 + i](states[wiring[i + 1]]))
            older, newer = newer, torch.cat(states[2:], 1)
        return self.linear(newer.mean((2, 3)))


class Halved(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(a, b // 2, 1, 2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.norm(torch.cat([self.one(x), self.two(x[:, :, 1:, 1:])], 1))


def by_hand(string: str, *sizes: int) -> Hand:
    genotype = eval(string, {"Genotype": dict, "range": range})
    return Hand(genotype, *sizes)


@pytest.mark.parametrize(("name", "millions"), [("DARTS_V1", 3.2), ("DARTS_V2", 3.3), ("PC_DARTS", 3.6)])
def test_published_networks_have_their_parameters(name, millions):
    space = darts(channels=36, cells=20)
    with torch.device("meta"):
        expected = sum(parameter.numel() for parameter in by_hand(PUBLISHED[name], 3, 36, 20, 10).parameters())
    params = space.cost(space.from_string(PUBLISHED[name])).params
    assert params == expected
    assert round(params / 1e6, 1) == millions
    if name == "DARTS_V2":
        assert params == 3_349_342  # as DARTS' own script prints it


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("which", ["DARTS_V1", "DARTS_V2", "PC_DARTS", 0, 1])
def test_a_network_computes_what_one_written_by_hand_does(which, training):
    space = darts(num_classes=4, input_shape=(2, 8, 8), channels=4, cells=5)
    string = PUBLISHED[which] if isinstance(which, str) else space.to_string(samples(space, 2)[which])
    network = shaken(naslab.compile_network(space, space.from_string(string))).train(training)
    hand = by_hand(string, 2, 4, 5, 4).double().train(training)
    ours, theirs = network.state_dict(), hand.state_dict()
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()]
    hand.load_state_dict(dict(zip(theirs, ours.values(), strict=True)))
    close(network(batch(space)), hand(batch(space)))


def test_the_network_to_search_in_has_the_published_number_of_parameters(space):
    """DARTS' script prints 1.930618 million; only its stem's normalisation has a weight and a bias for 48 channels."""
    supernet = naslab.compile_supernet(space, "mixed")
    assert sum(parameter.numel() for parameter in supernet.parameters()) == 1_930_618 - 2 * 48


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 4))


def test_a_path_of_the_supernet_is_the_network_taken_from_it(small):
    assert_paths_run_as_extracted(small, [*samples(small, 2), small.from_string(V2)])


def test_the_mixture_of_all_operations_trains(small):
    gradients = assert_mixtures_train(small)
    assert set(gradients) == {choice.name for choice in small.choices}
    for gradient in gradients.values():
        assert gradient[0] == 0  # none: a mixture's other weights need not sum to one
        assert gradient[1:].abs().min() > 0
