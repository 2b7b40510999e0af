"""Resolution, stride and combination as choices: networks have the shapes and costs that are stated, in every form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small import seeded
from torch.utils.flop_counter import FlopCounterMode
from toy_spaces import graph_of

from naslab.compiler import compile_network, compile_supernet
from naslab.compiler.population import stack_networks
from naslab.datasets import Rows
from naslab.errors import InvalidSpace, InvalidValue
from naslab.evaluators.one_shot import OneShot
from naslab.evaluators.training import TrainingEvaluator
from naslab.evaluators.zero_cost.evaluator import ZeroCost
from naslab.ops import AvgPool, Conv, Identity, Linear, MaxPool, PlainConv, PooledLinear, Zero
from naslab.space import Choice, Recipe, SearchSpace
from naslab.testing import check_search_space

VECTOR = {"shape": (5,)}
RECIPE = Recipe(epochs=1, batch=32, learning_rate=0.1)


def resolution() -> SearchSpace:
    side = Choice("resolution", (8, 12))
    return SearchSpace(
        graph_of(
            ("x", "a", Conv(stride=2)),
            ("a", "b", Choice("op", (Zero(), Conv(), AvgPool()))),
            ("a", "c", Conv(kernel=Choice("kernel", (1, 3)))),
            ("b", "c", Identity()),
            ("c", "y", PooledLinear()),
            x={"shape": (3, side, side)},
            a={"width": Choice("width", (2, 4))},
            c={"width": Choice("width", (2, 4))},
            y={"width": 5},
        ),
        name="resolution",
    )


def stride() -> SearchSpace:
    later = Choice("later", (1, 2))
    return SearchSpace(
        graph_of(
            ("x", "a", Conv(stride=Choice("first", (1, 2)))),
            ("a", "b", Choice("op", (Zero(), Conv(stride=later)))),
            ("a", "c", MaxPool(stride=later)),
            ("b", "d", Identity()),
            ("c", "d", Conv()),
            ("d", "y", PooledLinear()),
            x={"shape": (3, 9, 9)},  # odd: sizes are rounded up
            a={"width": Choice("width", (3, 6))},
            b={"width": 4},
            d={"width": 4},
            y={"width": 5},
        ),
        name="stride",
    )


def combination(how) -> SearchSpace:
    return SearchSpace(
        graph_of(
            ("x", "a", Conv()),
            ("x", "b", PlainConv(kernel=1)),
            ("a", "c", Choice("left", (Zero(), Conv(), Identity()))),
            ("b", "c", Choice("right", (Conv(), Zero(), MaxPool()))),
            ("c", "d", Conv()),
            ("d", "y", PooledLinear()),
            x={"shape": (3, 6, 6)},
            a={"width": 4},
            b={"width": 4},
            c={"combine": how},
            d={"width": 4},
            y={"width": 5},
        ),
        name="combination",
    )


HOW = Choice("how", ("sum", "product", "concat", "mean"))
CASES = {
    "resolution": resolution,
    "stride": stride,
    "product": lambda: combination("product"),
    "mean": lambda: combination("mean"),
    "concat": lambda: combination("concat"),
    "chosen": lambda: combination(HOW),
}


def drawn(space: SearchSpace) -> list:
    rng = np.random.default_rng(0)
    return sorted({space.sample(rng) for _ in range(50)})


@pytest.mark.parametrize("name", CASES)
def test_networks_cost_what_is_stated_and_agree_with_the_supernet(name):
    space = CASES[name]()
    check_search_space(space, samples=10)
    how = {"affine": True, "track_running_stats": True}
    supernet = compile_supernet(space, "categorical", generator=seeded(), **how).eval()
    for a in drawn(space):
        network = compile_network(space, a, cut=False).eval()
        x = torch.randn(2, *space.input_shape(a), generator=seeded(1))
        assert sum(p.numel() for p in network.parameters()) == space.cost(a).params
        with FlopCounterMode(display=False) as counter:
            network(x[:1])
        assert counter.get_total_flops() == 2 * space.cost(a).macs
        lean = compile_network(space, a)
        if space.is_connected(a):
            assert sum(p.numel() for p in lean.parameters()) == space.cost(a, "reachable").params
        extracted = supernet.extract(a)
        expected = extracted(x)
        torch.testing.assert_close(supernet(x, a), expected, rtol=1e-5, atol=1e-5)
        lean.load_state_dict(extracted.state_dict())
        torch.testing.assert_close(lean.eval()(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["product", "mean", "concat"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_mixture_of_one_option_is_that_option(name, fast):
    space = CASES[name]()
    mixed = compile_supernet(space, "mixed", generator=seeded(), fast=fast).eval()
    x = torch.randn(2, 3, 6, 6, generator=seeded(1))
    for a in drawn(space):
        hot = [torch.eye(size)[option] for option, size in zip(a, space.sizes, strict=True)]
        torch.testing.assert_close(mixed(x, hot), mixed.extract(a)(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", [3.0, 1.0]), ("product", [2.0, -2.0]), ("mean", [1.5, 0.5]), ("concat", [1.0, 2.0, 2.0, -1.0])],
)
def test_what_nodes_compute(how, expected):
    edges = ("x", "y", Identity()), ("x", "z", Linear()), ("z", "y", Identity())
    space = SearchSpace(graph_of(*edges, x={"shape": (2,)}, y={"combine": how}))
    network = compile_network(space, ())
    with torch.no_grad():
        parameters = dict(network.named_parameters())
        parameters["x->z.weight"].copy_(torch.tensor([[2.0, 0.0], [0.0, -0.5]]))
        parameters["x->z.bias"].zero_()
        assert network(torch.tensor([[1.0, 2.0]])).tolist() == [expected]


@pytest.mark.parametrize(
    ("how", "left", "right", "connected"),
    [("product", 0, 0, False), ("product", 1, 0, True), ("mean", 0, 0, True), ("mean", 0, 1, False)],
)
def test_a_zero_makes_a_product_zero_and_counts_in_a_mean(how, left, right, connected):
    space = combination(how)
    a = (left, right)
    assert space.is_connected(a) is connected
    network = compile_network(space, a)
    x = torch.randn(2, 3, 6, 6, generator=seeded(1))
    assert bool((network.eval()(x)[0] != network(2 * x)[0]).any()) is connected
    if how == "product" and not connected:
        assert {name for name, _ in network.named_children()} <= {"c->d", "d->y"}


def test_keys_tell_combinations_and_resolutions_apart():
    keys = {combination(how).canonical((1, 0)) for how in HOW.options}
    assert len(keys) == 4
    chosen = combination(HOW)
    names = [choice.name for choice in chosen.choices]
    order = {name: names.index(name) for name in names}
    for k, how in enumerate(HOW.options):
        a = [0] * 3
        a[order["how"]], a[order["left"]] = k, 1
        assert chosen.canonical(tuple(a)) == combination(how).canonical((1, 0))
    space = resolution()
    at = [choice.name for choice in space.choices].index("resolution")
    assert len({space.canonical(tuple(int(i == at) * k for i in range(4))) for k in (0, 1)}) == 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: compile_supernet(resolution(), "mixed"), "node 'a' has a size that is a choice"),
        (lambda: compile_supernet(stride(), "mixed"), "node 'a' has a size that is a choice"),
        (lambda: compile_supernet(combination(HOW), "mixed"), "node 'c' is combined by choice 'how'"),
        (lambda: combination("add"), "node 'c': combine='add'. Known: concat, mean, product, sum."),
        (lambda: combination(Choice("how", ("sum", "max"))), "node 'c': combine='max'"),
        (
            lambda: SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR, y={"width": 3, "combine": HOW})),
            "node 'y' states a width and choice 'how' may concatenate",
        ),
        (
            lambda: SearchSpace(graph_of(("x", "y", Linear()), x={"shape": (Choice("n", (4, 0)),)})),
            "is not made of positive numbers",
        ),
        (
            lambda: SearchSpace(
                graph_of(
                    ("x", "a", Conv(stride=Choice("s", (1, 2)))), ("x", "y", Conv(kernel=1)), ("a", "y", Identity()),
                    x={"shape": (3, Choice("r", (1, 8)), 4)}, a={"width": 3}, y={"width": 3},
                )
            ),
            "does not fit: (3, 1, 4) from 'x', (3, 1, 2) from 'a' (where 'r' is option 0, 's' is option 1)",
        ),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_in_a_line(build, message):
    with pytest.raises(InvalidSpace) as caught:
        build()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_combination_is_decided_by_an_index():
    supernet = compile_supernet(combination(HOW), "categorical", generator=seeded())
    with pytest.raises(InvalidValue, match="choice 'how' is a width, a size or a combination"):
        supernet(torch.zeros(2, 3, 6, 6), {"how": torch.ones(4), "left": 0, "right": 0})


@pytest.mark.parametrize("name", ["resolution", "mean"])
def test_networks_that_cannot_be_stacked_are_refused(name):
    space = CASES[name]()
    several = drawn(space)[:2]
    with pytest.raises(InvalidSpace, match="train its networks one by one"):
        stack_networks(space, several, [compile_network(space, a) for a in several])


@pytest.mark.parametrize("evaluator", ["training", "zero-cost", "one-shot"])
def test_what_shows_all_networks_the_same_rows_refuses_a_size_that_is_a_choice(evaluator):
    space = resolution()
    rng = np.random.default_rng(0)
    rows = Rows(rng.standard_normal((64, 3, 12, 12)).astype(np.float32), rng.integers(5, size=64))
    made = {
        "training": lambda: TrainingEvaluator(space, rows, rows, RECIPE),
        "zero-cost": lambda: ZeroCost(space, rows),
        "one-shot": lambda: OneShot(space, rows, rows, RECIPE),
    }
    with pytest.raises(InvalidValue, match=r"Choice\('resolution'\) is the input's size: .* shape=\(3, 12, 12\)$"):
        made[evaluator]()
