"""NAS-Bench-Macro against its public table and the network of its public code."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from compiled import (
    assert_costs_are_those_of_modules,
    assert_mixtures_train,
    assert_paths_run_as_extracted,
    batch,
    close,
    shaken,
)

import naslab
from naslab.errors import InvalidArchitecture
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.search_spaces.nasbench_macro import nasbench_macro
from naslab.testing import check_search_space

# Of nas-bench-macro_cifar10.json (xiusu/NAS-Bench-Macro): parameters and "flops", which are multiply-accumulates.
PUBLISHED = {
    "00000000": (387_882, 7_713_280),
    "02012100": (890_666, 47_327_744),
    "11111221": (2_181_386, 65_012_224),
    "22212220": (1_985_514, 85_164_544),  # the most accurate
}
# Of "architecture parameters flops" of all 6,561 in the order of their strings, a line each.
SHA256 = "ab358efb6c1b66fadb564c105b6d550cd4e2e81642e497d8a1bc639e61cb2e2e"


@pytest.fixture(scope="module")
def space():
    return naslab.search_space("nasbench-macro")


@pytest.fixture(scope="module")
def small():
    return nasbench_macro(5, (2, 9, 8), channels=2)


def samples(space, n: int):
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


def test_all_costs_are_those_of_the_public_table(space):
    costs = {space.to_string(a): space.cost(a) for a in space.architectures()}
    assert len(costs) == space.size == 6_561
    assert {name: (costs[name].params, costs[name].macs) for name in PUBLISHED} == PUBLISHED
    listed = "".join(f"{name} {costs[name].params} {costs[name].macs}\n" for name in sorted(costs))
    assert hashlib.sha256(listed.encode()).hexdigest() == SHA256


def published_network(string: str) -> str:
    """As the benchmark trained it: in each stage identities behind the first layer come last."""
    stages = string[:2], string[2:5], string[5:]
    return "".join(s[0] + s[1:].replace("0", "") + "0" * s[1:].count("0") for s in stages)


def test_keys_are_as_many_as_networks_were_trained(space):
    trained: dict[str, set[str]] = {}
    for a in samples(space, 400):
        trained.setdefault(published_network(space.to_string(a)), set()).add(space.canonical(a))
    assert all(len(keys) == 1 for keys in trained.values())
    assert len({key for keys in trained.values() for key in keys}) == len(trained) > 300
    strings = map(space.to_string, space.architectures())
    assert len(set(map(published_network, strings))) == 9 * 21 * 21 == 3_969


@pytest.mark.slow
def test_there_are_3969_keys(space):
    assert len({space.canonical(a) for a in space.architectures()}) == 3_969


def test_it_conforms(small):
    check_search_space(small, samples=10)


@pytest.mark.parametrize("bad", ["", "0201210", "020121000", "02012103", "0201210x", "-2012100"])
def test_bad_strings_are_refused_in_one_line(space, bad):
    with pytest.raises(InvalidArchitecture, match="allowed are 8 digits of 0, 1 and 2, such as '02012100'"):
        space.from_string(bad)


def test_costs_are_those_of_the_modules(small):
    assert_costs_are_those_of_modules(small, samples(small, 50))


def test_a_path_of_the_supernet_is_the_network_taken_from_it(small):
    assert_paths_run_as_extracted(small, samples(small, 50))


def test_the_mixture_of_all_architectures_trains(small):
    gradients = assert_mixtures_train(small)
    assert len(gradients) == 8


def test_a_network_computes_what_the_public_one_does(small):
    """Layer by layer; blocks with equal shapes add what they are given."""
    string = "02012100"
    network = shaken(naslab.compile_network(small, small.from_string(string))).eval()
    part, x, last = network.get_submodule, batch(small), "image"
    for name in ("stem", *(f"layer{i}" for i in range(1, 9)), "features", "logits"):
        digit = string[int(name[5:]) - 1] if name.startswith("layer") else None
        strided = name in ("layer1", "layer3", "layer6")
        if digit == "0" and not strided:
            assert f"{last}->{name}" not in dict(network.named_modules())
        elif digit in ("1", "2"):
            block = part(f"{last}->{name}")
            kernel = block.body.depthwise
            assert (kernel.kernel_size[0], kernel.stride[0]) == ((3, 5)[int(digit) - 1], 1 + strided)
            assert kernel.in_channels == (3, 6)[int(digit) - 1] * x.shape[1]
            x = block.body(x) if strided else x + block.body(x)
        else:
            x = part(f"{last}->{name}")(x)
        last = name
    close(network(batch(small)), x)
    assert network.get_submodule("layer8->features").conv.out_channels == 1280


def test_a_search_by_a_score_of_untrained_networks_keeps_a_limit():
    space = nasbench_macro(10, (1, 8, 8), channels=4)
    limit = int(np.median([space.cost(a).params for a in samples(space, 50)]))
    scores = ZeroCost(space, proxies=["naswot"], batch=16)
    task = naslab.Task("nasbench-macro/naswot", naslab.Problem(space), lambda: scores, scores)
    limited = task.constrained(naslab.Constraint.parse({"params": limit}))
    result = naslab.search(limited, "regularized-evolution", budget=25, seed=0)
    asked = [step.query.architecture for step in result.trace.steps]
    assert max(space.cost(a).params for a in asked) <= limit
    best = max(result.trace.steps, key=lambda step: step.evaluation.score)
    assert result.architecture == best.query.architecture


def test_a_picture_names_every_layer(space):
    ax = space.draw(space.from_string("02012100"))
    texts = [text.get_text() for text in ax.texts]
    assert texts[:8] == ["Identity", "MB6_K5", "Identity", "MB3_K3", "MB6_K5", "MB3_K3", "Identity", "Identity"]
    assert texts[8:11] == ["stem\n32", "layer1\n64", "layer2\n64"]
    assert ax.get_title("left") == "nasbench-macro: 47.3 M MACs"
