"""TransNAS-Bench-101's two spaces against their published counts and the networks of its public code."""

from __future__ import annotations

import itertools
import pickle
from collections import defaultdict

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
from torch.nn import functional

import naslab
from naslab.errors import InvalidArchitecture, InvalidSpace, InvalidValue
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.search_spaces.transnas_macro import transnas_macro
from naslab.search_spaces.transnas_micro import transnas_micro
from naslab.testing import check_search_space

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
BUILDERS = {"transnas-micro": transnas_micro, "transnas-macro": transnas_macro}


@pytest.fixture(scope="module")
def micro():
    return naslab.search_space("transnas-micro")


@pytest.fixture(scope="module")
def macro():
    return naslab.search_space("transnas-macro")


@pytest.fixture(scope="module", params=BUILDERS)
def small(request):
    """Sides that are odd after the stem."""
    return BUILDERS[request.param](5, (2, 35, 30), channels=2)


def samples(space, n: int):
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


# ---- published counts and strings --------------------------------------------------------------------------------


def test_4096_cells_and_3256_networks_have_their_own_strings(micro, macro):
    assert (micro.size, macro.size) == (4_096, 3_256)
    for space in (micro, macro):
        strings = [space.to_string(a) for a in space.architectures()]
        assert len(set(strings)) == space.size
        assert [space.from_string(string) for string in strings] == list(space.architectures())


def test_macro_strings_are_those_within_the_published_bounds(macro):
    words = ("".join(word) for n in (4, 5, 6) for word in itertools.product("1234", repeat=n))
    within = (w for w in words if 1 <= sum(d in "34" for d in w) <= 4 and 1 <= sum(d in "24" for d in w) <= 3)
    assert {macro.to_string(a) for a in macro.architectures()} == {f"64-{word}-basic" for word in within}


def test_strings_are_read_as_the_public_readme_explains_them(micro, macro):
    """Its two examples."""
    cell = micro.from_string("64-41414-1_02_333")
    assert dict(zip(EDGES, cell, strict=True)) == {(0, 1): 1, (0, 2): 0, (1, 2): 2, (0, 3): 3, (1, 3): 3, (2, 3): 3}
    shapes = micro.shapes(cell)[0]
    sides = [shapes[f"module{i}/cell2/3"] for i in range(1, 6)]
    assert sides == [(128, 28, 28), (128, 28, 28), (256, 14, 14), (256, 14, 14), (512, 7, 7)]
    shapes = macro.shapes(macro.from_string("64-1234-basic"))[0]
    assert [shapes[f"module{i}"] for i in range(1, 5)] == [(64, 56, 56), (128, 56, 56), (128, 28, 28), (256, 14, 14)]


@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        *(
            ("transnas-micro", bad, "six digits of 0 to 3, such as '64-41414-1_02_333'")
            for bad in ("", "64-41414-1_02_33", "64-41414-1_02_334", "64-41414-10_2_333", "32-41414-1_02_333")
        ),
        *(
            ("transnas-macro", bad, "such as '64-1234-basic'")
            for bad in ("", "64-123-basic", "64-1234567-basic", "64-1235-basic", "64-1234", "32-1234-basic")
        ),
        ("transnas-macro", "64-1122-basic", "0 modules halve the image; allowed: 1 to 4"),
        ("transnas-macro", "64-333334-basic", "6 modules halve the image; allowed: 1 to 4"),
        ("transnas-macro", "64-3331-basic", "0 modules double the channels; allowed: 1 to 3"),
        ("transnas-macro", "64-4222-basic", "4 modules double the channels; allowed: 1 to 3"),
    ],
)
def test_bad_strings_are_refused_in_one_line(name, bad, said):
    with pytest.raises(InvalidArchitecture) as error:
        naslab.search_space(name).from_string(bad)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("build", BUILDERS.values())
@pytest.mark.parametrize("channels", [0, 3, -2, 2.0])
def test_channels_that_the_stem_cannot_halve_are_refused(build, channels):
    with pytest.raises(InvalidValue, match=r"^channels=.* even whole number"):
        build(channels=channels)


# ---- keys --------------------------------------------------------------------------------------------------------


def classes(keys) -> set[frozenset[int]]:
    rows = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return set(map(frozenset, rows.values()))


def assert_keys_refine_those_of_nasbench201(space, architectures) -> set[frozenset[int]]:
    """Whose keys are tested numerically, and whose first four operations these are. Returns which share a key."""
    keys = [space.canonical(a) for a in architectures]
    other = naslab.search_space("nasbench201")
    keeping = classes(other.canonical(a) for a in architectures)
    assert classes(key.split(" | ")[0] for key in keys) == keeping
    merged = classes(keys)
    assert len(merged) > len(keeping)  # a skip that halves is a convolution
    assert all(any(group <= wider for wider in keeping) for group in merged)
    return merged


def test_cells_that_keep_the_shape_share_keys_as_those_of_nasbench201_do(micro):
    assert_keys_refine_those_of_nasbench201(micro, samples(micro, 400))


@pytest.mark.slow
def test_there_are_1376_different_cells(micro):
    assert len(assert_keys_refine_those_of_nasbench201(micro, list(micro.architectures()))) == 1_376


def test_skips_that_halve_are_not_contracted(micro):
    direct, twice = map(micro.from_string, ("64-41414-0_00_100", "64-41414-1_00_010"))
    assert micro.canonical(direct) == micro.canonical(twice)  # one convolution either way
    shared, two = map(micro.from_string, ("64-41414-1_01_033", "64-41414-1_10_033"))
    assert micro.canonical(shared).split(" | ")[0] == micro.canonical(two).split(" | ")[0]
    assert micro.canonical(shared) != micro.canonical(two)


@pytest.mark.slow
def test_all_macro_networks_are_different(macro):
    assert len({macro.canonical(a) for a in macro.architectures()}) == macro.size


# ---- networks ----------------------------------------------------------------------------------------------------


def conv(x: int, y: int, kernel: int) -> int:
    """Parameters of a convolution and its normalisation."""
    return kernel**2 * x * y + 2 * y


def published_params(string: str) -> int:
    """The parameters of the public code's ``MacroNet(string)``, with its head for 75 classes."""
    channels, skeleton, cell = string.split("-")
    c = int(channels)
    total = conv(3, c // 2, 3) + conv(c // 2, c, 3)
    for kind in skeleton:
        out, stride = c * (1 + (kind in "24")), 1 + (kind in "34")
        for before, step in ((c, stride), (out, 1)):
            if cell == "basic":
                total += conv(before, out, 3) + conv(out, out, 3) + (step > 1 or before != out) * conv(before, out, 1)
                continue
            for (u, _), digit in zip(EDGES, cell.replace("_", ""), strict=True):
                width, strided = (before, step) if u == 0 else (out, 1)
                convolved = {"0": 0, "1": strided > 1, "2": True, "3": True}[digit]
                total += convolved * conv(width, out, 3 if digit == "3" else 1)
        c = out
    return total + (c + 1) * 75


@pytest.mark.parametrize("name", BUILDERS)
def test_parameters_are_those_of_the_public_network(name):
    space = naslab.search_space(name)
    for a in samples(space, 200):
        assert space.cost(a).params == published_params(space.to_string(a))


def test_it_conforms(small):
    check_search_space(small, samples=10)


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 20))


def test_paths_of_the_micro_supernet_are_the_networks_taken_from_it():
    space = transnas_micro(5, (2, 19, 14), channels=2)
    assert_paths_run_as_extracted(space, samples(space, 20))
    assert len(assert_mixtures_train(space)) == 6


@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_macro_widths_have_no_supernet(macro, form):
    with pytest.raises(InvalidSpace, match=r"^the widths of space 'transnas-macro' are derived .* supernets"):
        naslab.compile_supernet(macro, form)


def test_spaces_can_be_pickled(small):
    again = pickle.loads(pickle.dumps(small))
    a = small.sample(np.random.default_rng(1))
    assert (again.to_string(a), again.cost(a)) == (small.to_string(a), small.cost(a))


def test_a_micro_network_computes_what_the_public_one_does():
    space = transnas_micro(5, (2, 35, 30), channels=2)
    a = space.from_string("2-41414-1_12_313")
    network = shaken(naslab.compile_network(space, a)).eval()
    part, last = network.get_submodule, "stem"
    x = part("half stem->stem")(part("image->half stem")(batch(space)))
    for number, kind in enumerate("41414", start=1):
        for cell in (1, 2):
            halves = kind == "4" and cell == 1
            features = [x, 0, 0, 0]
            for (u, v), option in zip(EDGES, a, strict=True):
                given = features[u]
                if option == 1 and halves and u == 0:
                    skip, relu = part(f"module{number}/cell{cell}/{u}->{v}"), functional.relu(given)
                    shifted = functional.pad(relu, (0, 1, 0, 1))[:, :, 1:, 1:]
                    given = skip.norm(torch.cat([skip.even(relu), skip.odd(shifted)], 1))
                elif option > 1:
                    op = part(f"module{number}/cell{cell}/{u}->{v}")
                    assert op.conv.kernel_size[0] == {2: 1, 3: 3}[option]
                    assert op.conv.stride[0] == (2 if halves and u == 0 else 1)
                    given = op.bn(op.conv(functional.relu(given)))
                features[v] = features[v] + given
            last, x = f"module{number}/cell{cell}/3", features[3]
    close(network(batch(space)), part(f"{last}->logits").linear(x.mean((2, 3))))


def test_a_macro_network_computes_what_the_public_one_does():
    space = transnas_macro(5, (2, 35, 30), channels=2)
    network = shaken(naslab.compile_network(space, space.from_string("2-12341-basic"))).eval()
    part = network.get_submodule
    x, last = part("half stem->stem")(part("image->half stem")(batch(space))), "stem"
    for number, kind in enumerate("12341", start=1):
        name = f"module{number}"
        first, second = part(f"{last}->{name}/inside"), part(f"{name}/inside->{name}/block1")
        assert first.conv.stride[0] == (2 if kind in "34" else 1)
        assert second.conv.out_channels == x.shape[1] * (2 if kind in "24" else 1)
        shortcut = x if kind == "1" else part(f"{last}->{name}/block1")(x)
        x = shortcut + second(first(x))
        x, last = part(f"{name}/block1->{name}")(x), name
    close(network(batch(space)), part("module6->logits").linear(x.mean((2, 3))))  # the sixth is not there


# ---- searches and pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDERS.values())
def test_a_search_by_a_score_of_untrained_networks_keeps_a_limit(build):
    space = build(10, (1, 16, 16), channels=4)
    limit = int(np.median([space.cost(a).params for a in samples(space, 50)]))
    scores = ZeroCost(space, proxies=["naswot"], batch=8)
    task = naslab.Task(f"{space.name}/naswot", naslab.Problem(space), lambda: scores, scores)
    limited = task.constrained(naslab.Constraint.parse({"params": limit}))
    result = naslab.search(limited, "regularized-evolution", budget=15, seed=0)
    asked = [step.query.architecture for step in result.trace.steps]
    assert max(space.cost(a).params for a in asked) <= limit
    best = max(result.trace.steps, key=lambda step: step.evaluation.score)
    assert result.architecture == best.query.architecture


def test_a_picture_names_every_operation(micro):
    ax = micro.draw(micro.from_string("64-41414-1_02_333"))
    texts = [text.get_text() for text in ax.texts]
    assert sorted(texts) == sorted(["skip", "conv1x1", *["conv3x3"] * 3, "0", "1", "2", "3"])
    assert ax.get_title("left").startswith("64-41414-1_02_333: ")


def test_a_picture_names_every_module(macro):
    ax = macro.draw(macro.from_string("64-1234-basic"))
    texts = [text.get_text() for text in ax.texts]
    sides = ["stem\n64 x 56", "module1\n64 x 56", "module2\n128 x 56", "module3\n128 x 28", "module4\n256 x 14"]
    assert sorted(texts) == sorted(["1", "2", "3", "4", *sides])
    assert ax.get_title("left").startswith("64-1234-basic: ")
