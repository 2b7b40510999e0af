"""The spaces of mobile networks: sizes, notations, networks and supernets, and a search of each."""

from __future__ import annotations

import json
import math
import re
from functools import partial

import numpy as np
import pytest
import torch
from compiled import assert_costs_are_those_of_modules, assert_paths_run_as_extracted, batch, close, seeded, shaken

import naslab
from naslab import SearchSpace, compile_network, compile_supernet
from naslab.analysis.style import figure_of, render
from naslab.errors import InvalidSpace, NaslabError
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.search_spaces.block_strings import mobile_network
from naslab.search_spaces.published_mobile import published_network
from naslab.space import Architecture
from naslab.testing import check_search_space

NAMES = ("mnasnet", "proxylessnas", "mobilenetv3", "fbnet")
MIXED = ("proxylessnas", "mobilenetv3", "fbnet")  # mnasnet chooses widths inside
FBNET_C = (
    "k3_e1|k3_e6|skip|k3_e1|k3_e1|k5_e6|k5_e3|k5_e6|k3_e6|k5_e6|k5_e3|k5_e6|k5_e6|k5_e6|k5_e6|k5_e6|k5_e3|"
    "k5_e6|k5_e6|k5_e6|k5_e6|k3_e6"
)


def small(name: str, **options: object) -> SearchSpace:
    """The whole space, narrow and on small images."""
    return naslab.search_space(name, **{"num_classes": 5, "input_shape": (3, 32, 32), "width": 0.1, **options})


def drawn(space: SearchSpace, count: int) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng, over="networks") for _ in range(count)]


# ---- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("mnasnet", {"blocks": ((16, 1, 3), (24, 2, 3), (40, 2, 3), (80, 2, 3), (160, 2, 3))}, 432**5),
        ("mnasnet", {}, 192 * 336 * 432**4 * 192),  # blocks of one and two layers have no skip at their smallest
        ("proxylessnas", {}, 6**6 * 7**15),
        ("mobilenetv3", {}, 7371**5),
        ("mobilenetv3", {"resolutions": range(128, 225, 4)}, 7371**5 * 25),
        ("fbnet", {}, 9**22),
    ],
)
def test_sizes_are_those_published(name: str, options: dict, size: int) -> None:
    assert naslab.search_space(name, **options).size == size


# ---- costs -------------------------------------------------------------------------------------------------------


def as_blocks(space: SearchSpace, architecture: Architecture) -> tuple[str, dict]:
    """The network of an architecture as a block string, and what stands around the blocks."""
    parts = space.to_string(architecture).split("|")
    if space.name == "mnasnet":
        return parts[0], {"activation": "relu"}
    if space.name == "mobilenetv3":
        config = json.loads(parts[0])
        found = ["k3s1e1 16 relu"]
        words = (24, 2, " relu"), (40, 2, " se relu"), (80, 2, ""), (112, 1, " se"), (160, 2, " se")
        for stage, (width, stride, rest) in enumerate(words):
            for i in range(4 * stage, 4 * stage + config["d"][stage]):
                first = stride if i == 4 * stage else 1
                found.append(f"k{config['ks'][i]}s{first}e{config['e'][i]} {width}{rest}")
        return "; ".join(found), {"activation": "hard-swish", "stem": 16, "head": 960, "features": 1280}
    found, before = [] if space.name == "fbnet" else ["k3s1e1 16"], 16
    for choice, part in zip(space.choices, parts, strict=True):
        stage, layer = (int(each[5:]) for each in choice.name.split("/"))
        proxyless = ((24, 2), (40, 2), (80, 2), (96, 1), (192, 2), (320, 1))
        fbnet = ((16, 1), (24, 2), (32, 2), (64, 2), (112, 1), (184, 2), (352, 1))
        width, stride = (fbnet if space.name == "fbnet" else proxyless)[stage - 1]
        stride = stride if layer == 1 else 1
        if part == "skip" and (stride, before) != (1, width):
            found.append(f"k1s{stride} {width}")
        elif part not in ("skip", "Zero"):
            kernel, expansion = re.match(r"(?:k|[357]x)([357])_(?:e|MBConv)([136])", part).groups()
            found.append(f"k{kernel}s{stride}e{expansion} {width}{' g2' if part.endswith('g2') else ''}")
        before = width
    around = {"activation": "relu", "stem": 16, "head": 1984} if space.name == "fbnet" else {}
    return "; ".join(found), around


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_costs_what_its_block_string_does(name: str) -> None:
    space = naslab.search_space(name)
    for architecture in drawn(space, 50):
        blocks, around = as_blocks(space, architecture)
        one, other = space.cost(architecture), mobile_network(blocks, **around).cost(())
        assert (one.params, one.macs) == (other.params, other.macs)


def test_fbnet_c_lies_in_the_space_and_mobilenetv3_around_it() -> None:
    fbnet = naslab.search_space("fbnet")
    assert fbnet.cost(fbnet.from_string(FBNET_C)) == published_network("fbnet-c").cost(())
    indices = [0, 3, 8, 0, 0, 7, 6, 7, 3, 7, 6, 7, 7, 7, 7, 7, 6, 7, 7, 7, 7, 3]  # HW-NAS-Bench's way of writing it
    assert fbnet.from_string(str(indices)) == fbnet.from_string(FBNET_C)


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_costs_are_those_of_the_modules(name: str, count: int) -> None:
    space = small(name)
    assert_costs_are_those_of_modules(space, drawn(space, count))


# ---- notations, keys, moves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [{}, {"resolutions": (32, 48)}])
@pytest.mark.parametrize("name", NAMES)
def test_it_conforms(name: str, options: dict, count: int) -> None:
    check_search_space(small(name, **options), samples=count)


@pytest.mark.parametrize(
    ("name", "string"),
    [
        (
            "mnasnet",
            "r1 k3s1e1 16; r3 k5s2e3 24 se.25; r3 k3s2 40 pool; r4 k5s2e6 64; r2 k3s1e6 96 noskip; "
            "r4 k5s2e6 160 se.25 pool; r2 k3s1e6 320",
        ),
        ("proxylessnas", "|".join(["7x7_MBConv6", *["3x3_MBConv3", "Zero", "5x5_MBConv3", "5x5_MBConv6"] * 5])),
        ("mobilenetv3", json.dumps({"ks": [7, 5, 3, 3] * 5, "e": [6, 4, 3, 3] * 5, "d": [2] * 5})),
        ("fbnet", FBNET_C),
    ],
)
def test_official_strings_are_read_and_written(name: str, string: str) -> None:
    space = naslab.search_space(name)
    assert space.to_string(space.from_string(string)) == string


def test_what_is_not_there_is_not_looked_at() -> None:
    space = naslab.search_space("mobilenetv3", resolutions=(128, 160))
    config = {"ks": [7, 5, None, 9] * 5, "e": [6, 4, "x", 3] * 5, "d": [2] * 5, "r": [160]}
    read = space.from_string(json.dumps(config))
    assert json.loads(space.to_string(read)) == {**config, "ks": [7, 5, 3, 3] * 5, "e": [6, 4, 3, 3] * 5}
    assert space.input_shape(read) == (3, 160, 160)


@pytest.mark.parametrize(
    ("name", "string", "said"),
    [
        ("mnasnet", "r1 k3s1e1 16", "has 1 blocks, not 7; example: r1 k3s1 12; "),
        ("mnasnet", "k3", "block 'k3' of 'k3': not a block such as"),
        ("mnasnet", "; ".join(["r1 k3s2e1 16"] * 7), "block1: Block(kernel=3, stride=2"),
        ("mnasnet", "; ".join(["r1 k7s1e1 16"] * 7), "block1/kernel is 7; allowed: 3, 5"),
        ("mnasnet", "; ".join(["r1 k3s1e2 16"] * 7), "block1/op is 2.0; allowed: no expansion, 1, 3, 6"),
        ("proxylessnas", "3x3_MBConv3", "has 1 parts, not 21; example: 3x3_MBConv3|"),
        ("proxylessnas", "|".join(["Zero"] * 21), "stage1/layer1 'Zero'. Known: 3x3_MBConv3, "),
        ("fbnet", FBNET_C.replace("k3_e1|", "k3_e2|"), "stage1/layer1 'k3_e2'. Did you mean 'k3_e"),
        ("fbnet", "[0, 1", "is not a list of numbers such as [0, 8, ...]"),
        ("fbnet", "[" * 100_000, "is not a list of numbers such as [0, 8, ...]"),
        ("fbnet", "[0, 1]", "has 2 entries; space 'fbnet' has 22 choices"),
        ("mobilenetv3", "k3", "is not a configuration such as {"),
        ("mobilenetv3", json.dumps({"ks": [3] * 20, "e": [6] * 19, "d": [2] * 5}), "is not a configuration such as {"),
        ("mobilenetv3", json.dumps({"ks": [3] * 20, "e": [6] * 20, "d": [5] * 5}), "stage1/depth '5'. Known: 2, 3, 4"),
        ("mobilenetv3", json.dumps({"ks": [[]] * 20, "e": [6] * 20, "d": [2] * 5}), "stage1/layer1/kernel '[]'."),
    ],
)
def test_what_is_no_network_of_the_space_is_one_line(name: str, string: str, said: str) -> None:
    with pytest.raises(NaslabError) as error:
        naslab.search_space(name).from_string(string)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_side_of_the_input_comes_first() -> None:
    for name in ("mnasnet", "proxylessnas", "fbnet"):
        space = small(name, resolutions=(32, 48))
        plain, last = small(name), space.sample(np.random.default_rng(0))
        side = space.input_shape(last)[1]
        rest = space.to_string(last).split("; " if name == "mnasnet" else "|", 1)
        assert rest[0] == f"r{side}"
        assert plain.from_string(rest[1]) == last[1:]
    with pytest.raises(NaslabError, match="'r64' is no side of the input; allowed: r32, r48"):
        small("mnasnet", resolutions=(32, 48)).from_string("r64; r1 k3s1e1 16")


@pytest.mark.parametrize("sides", [(32, 32), ("32",), (0,)])
def test_sides_that_make_no_choice_are_refused(sides: tuple) -> None:
    with pytest.raises(NaslabError, match=r"resolutions=.*: give different sides in pixels"):
        small("fbnet", resolutions=sides)


@pytest.mark.parametrize("blocks", [((16, 1),), ((16, 1, 0),), (("16", 1, 1),), ((16, 1, 10**9),)])
def test_blocks_that_make_no_network_are_refused(blocks: tuple) -> None:
    with pytest.raises(NaslabError, match=r"blocks=.*: give width, stride and layers|layers=1000000000: give a whole"):
        small("mnasnet", blocks=blocks)


@pytest.mark.parametrize(
    ("name", "one", "other", "same"),
    [
        # What is left out leaves no trace: the same layer in another place of its stage.
        ("proxylessnas", ["3x3_MBConv3", "Zero", "7x7_MBConv6"], ["3x3_MBConv3", "7x7_MBConv6", "Zero"], True),
        ("proxylessnas", ["3x3_MBConv3", "Zero", "7x7_MBConv6"], ["7x7_MBConv6", "3x3_MBConv3", "Zero"], False),
        ("fbnet", ["k3_e1", "k3_e3", "skip", "k5_e1_g2"], ["k3_e1", "k3_e3", "k5_e1_g2", "skip"], True),
        ("fbnet", ["k3_e1", "k3_e3", "k3_e1_g2"], ["k3_e1", "k3_e3", "k3_e1"], False),
    ],
)
def test_keys_are_those_of_what_is_computed(name: str, one: list[str], other: list[str], same: bool) -> None:
    space = naslab.search_space(name)
    rest = space.to_string(space.first).split("|")
    keys = {space.canonical(space.from_string("|".join([*start, *rest[len(start) :]]))) for start in (one, other)}
    assert len(keys) == (1 if same else 2)


# ---- networks and supernets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_categorical_extracted_and_alone_are_one(name: str, count: int) -> None:
    space = small(name)
    supernet = shaken(compile_supernet(space, "categorical", generator=seeded(), affine=True, track_running_stats=True))
    x = batch(space)
    for architecture in drawn(space, count):
        alone = compile_network(space, architecture).double()
        alone.load_state_dict(supernet.extract(architecture).state_dict())
        close(alone.eval()(x), supernet.eval()(x, architecture))


@pytest.mark.parametrize("count", [1, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MIXED)
def test_both_forms_of_a_supernet_are_one(name: str, count: int) -> None:
    space = small(name)
    assert_paths_run_as_extracted(space, drawn(space, count))


def test_a_mixture_of_mnasnets_widths_is_refused() -> None:
    with pytest.raises(InvalidSpace, match=r"widths depend on 'block1/width'.*use choices='categorical'"):
        compile_supernet(small("mnasnet", blocks=((16, 1, 1), (24, 2, 2))), "mixed")


def test_channels_are_shuffled_between_groups() -> None:
    """Two groups, expansion 1: the depthwise convolution reads channels 0, 2, 1, 3; half of the output two of them."""
    space = mobile_network("k1s1e1 4 g2 noskip", stem=4, head=None, num_classes=4, input_shape=(3, 4, 4))
    network = compile_network(space, (), generator=seeded()).eval()
    (block,) = [module for name, module in network.named_modules() if name.endswith("layer1")]
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.fill_(1.0)
        for module in block.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias.zero_()
        x = torch.tensor([1.0, 2.0, 4.0, 0.5]).reshape(1, 4, 1, 1)
        torch.testing.assert_close(block(x).flatten(), torch.tensor([5.0, 5.0, 2.5, 2.5]), rtol=1e-4, atol=1e-4)


# ---- pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_a_box_for_every_layer(name: str) -> None:
    space = naslab.search_space(name)
    architecture = drawn(space, 1)[0]
    blocks, around = as_blocks(space, architecture)
    layers = sum(int(b.split()[0][1:]) if b.startswith("r") else 1 for b in blocks.split("; "))
    ax = space.draw(architecture)
    assert len(ax.patches) == layers + (4 if "features" in around else 3)  # stem, head, classifier
    assert f"{space.cost(architecture).macs / 1e6:,.1f} M MACs" in ax.get_title(loc="left")
    assert len(render(figure_of(ax), "png")) > 1000


# ---- searches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [*((name, "regularized-evolution[population=3,sample=2]") for name in NAMES), ("fbnet", "tabnas[selection=best]")],
)
def test_it_is_searched_under_limits_with_a_proxy_as_score(name: str, optimizer: str) -> None:
    space = small(name)
    costs = [space.cost(architecture) for architecture in drawn(space, 100)]
    limits = {metric: int(np.quantile([getattr(c, metric) for c in costs], 0.3)) for metric in ("params", "macs")}
    reward = partial(ZeroCost, space, None, ("synflow",), batch=4)
    task = naslab.Task(f"{name}/noise", naslab.Problem(space), reward, reward(), metric="synflow", unit="")
    found = naslab.search(task, optimizer, budget=6, seed=0, max=limits)
    assert found.architecture is not None
    assert math.isfinite(found.score)
    assert all(getattr(space.cost(found.architecture), metric) <= limit for metric, limit in limits.items())
