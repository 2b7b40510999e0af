"""A population computes, and learns, what its members do one at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import CELL, batch, seeded, shaken, width_mlp, width_vectors
from torch import Tensor, fx, nn
from torch.nn import functional
from toy_spaces import depth, graph_of

import naslab
from naslab import Architecture, Choice, SearchSpace, ops
from naslab.compiler.network import compile_network
from naslab.compiler.population import Population, stack_networks
from naslab.compiler.stacking import StackedLinear
from naslab.errors import InvalidSpace
from naslab.ops import AvgPool, Classifier, Conv, Identity, Linear, MaxPool, ReLU, Zero
from naslab.search_spaces.nasbench201 import NASBench201
from naslab.search_spaces.pocket_cell import pocket_cell

NONE, SKIP, CONV1, CONV3, POOL = range(5)
DEAD = (NONE,) * 6
DISCONNECTED = (NONE, CONV3, CONV1, NONE, SKIP, NONE)  # but constants flow: node 1 is zero, convolved, normalised
CONV_OF_ZERO = (NONE, SKIP, CONV3, POOL, CONV1, SKIP)
EVERY_OPERATION = (CONV3, CONV1, POOL, SKIP, CONV3, CONV1)
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.05),
    "fused sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=1e-3, fused=True),
    "fused adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.05, fused=True),
}
BATCHES = 20


def small_cells() -> NASBench201:
    return pocket_cell(num_classes=4, input_shape=(1, 4, 4), channels=3)


def compiled(space: SearchSpace, architectures: Sequence[Architecture], **options: Any) -> list[fx.GraphModule]:
    return [
        shaken(compile_network(space, a, generator=seeded(i), **options).double(), seed=100 + i)
        for i, a in enumerate(architectures)
    ]


def drawn(space: SearchSpace, count: int, seed: int) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def learnt(model: nn.Module, x: Tensor, labels: Tensor, optimizer: str, steps: int = BATCHES) -> Tensor:
    """Losses of every step, ``(steps,)`` or ``(steps, P)``; the model is trained by their sum."""
    stepper, losses = OPTIMIZERS[optimizer](model.parameters()), []
    for step in range(steps):
        logits = model(x[step])
        if logits.dim() == 2:
            loss = functional.cross_entropy(logits, labels[step])
        else:
            loss = torch.stack([functional.cross_entropy(member, labels[step]) for member in logits.unbind(1)])
        stepper.zero_grad()
        loss.sum().backward()
        stepper.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def rows_for(space: SearchSpace, steps: int = BATCHES, n: int = 8) -> tuple[Tensor, Tensor]:
    """Batches of noise with labels."""
    shapes = space.cost_model.shapes
    x = torch.randn(steps, n, *shapes[space.order[0]].largest, dtype=torch.float64, generator=seeded(1))
    return x, torch.randint(shapes[space.order[-1]].largest[0], (steps, n), generator=seeded(2))


def alone(networks: Sequence[nn.Module], x: Tensor) -> Tensor:
    return torch.stack([network(x) for network in networks], dim=1)


def assert_learns_as_alone(space: SearchSpace, architectures: Sequence[Architecture], optimizer: str) -> Population:
    networks = compiled(space, architectures)
    population = stack_networks(space, architectures, networks)
    x, labels = rows_for(space)
    together = learnt(population, x, labels, optimizer)
    each = torch.stack([learnt(network, x, labels, optimizer) for network in networks], dim=1)
    assert together.shape == each.shape == (BATCHES, len(architectures))
    assert not torch.equal(each[0], each[-1])  # something was learnt
    torch.testing.assert_close(together, each, rtol=0, atol=1e-8)
    population.eval()
    with torch.inference_mode():
        judged = alone([network.eval() for network in networks], x[0])
        torch.testing.assert_close(population(x[0]), judged, rtol=0, atol=1e-7)
    return population


# ---- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_cells_learn_as_alone(optimizer: str) -> None:
    space = small_cells()
    special = [DEAD, DISCONNECTED, CONV_OF_ZERO, EVERY_OPERATION]
    assert_learns_as_alone(space, special + drawn(space, 5, seed=list(OPTIMIZERS).index(optimizer)), optimizer)


@pytest.mark.parametrize(
    "architectures",
    [
        [DEAD],
        [CONV_OF_ZERO],
        [DISCONNECTED, DISCONNECTED],
        [(NONE, NONE, NONE, CONV3, CONV1, SKIP), (NONE, NONE, CONV3, NONE, CONV3, CONV1)],  # nobody has node 1
        [EVERY_OPERATION] * 3,
        [(POOL,) * 6, (SKIP,) * 6, (POOL,) * 6],
        [(CONV3, NONE, SKIP, NONE, NONE, CONV1), (NONE, CONV3, SKIP, NONE, NONE, CONV1)],
    ],
    ids=["dead", "conv of zero", "twice disconnected", "a node nobody has", "equal", "no weights", "other sources"],
)
def test_special_populations_learn_as_alone(architectures: list[Architecture]) -> None:
    assert_learns_as_alone(small_cells(), architectures, "sgd")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_perceptrons_of_very_different_widths_learn_as_alone(optimizer: str) -> None:
    space = naslab.search_space("mlp", in_features=7, out_features=3, depth=3, widths=(1, 2, 3, 8, 40, 128))
    different = [(0, 5, 0), (5, 0, 5), (0, 0, 0), (5, 5, 5), (1, 2, 3)]
    assert_learns_as_alone(space, different + drawn(space, 5, seed=3), optimizer)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_full_skeleton_learns_as_alone(optimizer: str) -> None:
    space = naslab.search_space("nasbench201", num_classes=4, input_shape=(2, 8, 8), channels=2, cells_per_stage=1)
    chosen = [DISCONNECTED, CONV_OF_ZERO, EVERY_OPERATION, *drawn(space, 2, seed=4)]
    assert_learns_as_alone(space, chosen, optimizer)


def test_the_order_of_members_is_that_of_the_architectures() -> None:
    space = small_cells()
    architectures = drawn(space, 6, seed=5)
    networks, x = compiled(space, architectures), batch(1, 4, 4)
    population = stack_networks(space, architectures, networks)
    assert len(set(architectures)) == 6
    torch.testing.assert_close(population(x), alone(networks, x))


def test_networks_keep_their_parameters() -> None:
    space = small_cells()
    networks = compiled(space, [EVERY_OPERATION, CONV_OF_ZERO])
    before = [{name: tensor.clone() for name, tensor in net.state_dict().items()} for net in networks]
    population = stack_networks(space, [EVERY_OPERATION, CONV_OF_ZERO], networks)
    learnt(population, *rows_for(space, steps=2), "sgd", steps=2)
    for net, state in zip(networks, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_padding_stays_zero_and_the_rest_is_what_is_learnt_alone() -> None:
    space = naslab.search_space("mlp", in_features=5, out_features=3, depth=3, widths=(1, 4, 30))
    architectures = [(0, 2, 1), (2, 0, 0), (1, 1, 2)]
    for optimizer in OPTIMIZERS:
        networks = compiled(space, architectures)
        population = stack_networks(space, architectures, networks)
        x, labels = rows_for(space)
        learnt(population, x, labels, optimizer)
        stacked = [module for module in population.modules() if isinstance(module, StackedLinear)]
        for member, network in enumerate(networks):
            learnt(network, x, labels, optimizer)
            layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
            for layer, stack in zip(layers, stacked, strict=True):
                for tensor, whole in ((layer.weight, stack.weight[member]), (layer.bias[None], stack.bias[member])):
                    padded = functional.pad(tensor, (0, whole.shape[1] - tensor.shape[1], 0, len(whole) - len(tensor)))
                    torch.testing.assert_close(whole, padded, rtol=0, atol=1e-9)
                    assert (whole[padded == 0] == 0).all()  # exactly
    assert stacked[1].weight.shape == (3, 30, 30)


@pytest.mark.parametrize(
    ("space", "architectures"),
    [
        (small_cells(), [CONV_OF_ZERO, EVERY_OPERATION, DISCONNECTED, (CONV3, SKIP, POOL, CONV1, NONE, CONV3)]),
        (naslab.search_space("mlp", in_features=3, widths=(2, 9)), [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1)]),
    ],
    ids=["cells", "perceptrons"],
)
def test_a_member_that_is_lost_leaves_the_others_alone(space: SearchSpace, architectures: list[Architecture]) -> None:
    x, labels = rows_for(space)
    whole = learnt(stack_networks(space, architectures, compiled(space, architectures)), x, labels, "sgd")
    broken = compiled(space, architectures)
    with torch.no_grad():
        for parameter in broken[1].parameters():
            parameter.fill_(math.nan)
    losses = learnt(stack_networks(space, architectures, broken), x, labels, "sgd")
    assert losses[:, 1].isnan().all()
    others = [0, 2, 3]
    assert torch.equal(losses[:, others], whole[:, others])  # to the bit
    assert whole.isfinite().all()


# ---- any space -------------------------------------------------------------------------------------------------------


def image_space(op: Any, second: Any = ReLU(), **nodes: dict[str, Any]) -> SearchSpace:  # noqa: B008
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")), ("a", "b", op), ("b", "c", second), ("c", "y", Classifier()),
        x={"shape": (2, 4, 4)}, y={"width": 3}, **nodes,
    )  # fmt: skip
    return SearchSpace(graph, name="image")


def poolings() -> SearchSpace:
    """Pooling of the maximum, activations, strides, separable and dilated convolutions away from the input."""
    body = (Zero(), MaxPool(), AvgPool(), ReLU(), ops.SeparableConv(), ops.DilatedConv(), Conv(order="conv-bn-relu"))
    smaller = (MaxPool(stride=2), AvgPool(stride=2), Conv(stride=2), ops.ResidualReduction())
    graph = graph_of(
        ("x", "stem", Conv(order="conv-bn")),
        ("stem", "a", Choice("1", body)),
        ("stem", "b", Choice("2", (Identity(), *body))),
        ("a", "b", Choice("3", (Conv(), *body))),
        ("b", "half", Choice("4", smaller)),
        ("half", "y", Classifier()),
        x={"shape": (2, 5, 5)},
        stem={"width": 3},
        y={"width": 3},
    )
    return SearchSpace(graph, name="poolings")


def two_widths() -> SearchSpace:
    """Layers of one kind that lead to one node from nodes of different widths."""
    pair = (Zero(), Linear())
    graph = graph_of(
        ("x", "a", Linear()),
        ("x", "b", Linear()),
        ("a", "y", Choice("a", pair)),
        ("b", "y", Choice("b", pair)),
        ("x", "y", Choice("x", pair)),
        x={"shape": (4,)},
        a={"width": 3},
        b={"width": 5},
        y={"width": 3},
    )
    return SearchSpace(graph, name="two-widths")


def convolved_input() -> SearchSpace:
    """Only some members read the input by one kind of convolution."""
    convs = (Conv(kernel=1), Conv(kernel=3), Conv(order="conv-bn"))
    graph = graph_of(
        ("x", "a", Choice("a", (Zero(), *convs))),
        ("x", "b", Choice("b", convs)),
        ("a", "b", Choice("ab", CELL)),
        ("b", "y", Classifier()),
        x={"shape": (2, 4, 4)},
        y={"width": 3},
    )
    return SearchSpace(graph, name="convolved-input")


def inner_choices() -> SearchSpace:
    """An option that contains a choice, and one choice for two edges."""
    convs = Choice("op", (Identity(), Conv(kernel=Choice("kernel", (1, 3, 5)))))
    return image_space(convs, second=Choice("op", (AvgPool(), Conv(kernel=Choice("kernel", (3, 1, 1))))))


SPACES = {
    "cells": small_cells,
    "poolings": poolings,
    "depth": depth,
    "two-widths": two_widths,
    "convolved-input": convolved_input,
    "mlp": width_mlp,
    "inner-choices": inner_choices,
}


def covering(space: SearchSpace) -> list[Architecture]:
    """Every option of every choice, connected."""
    sizes = [len(choice.options) for choice in space.choices]
    rows = [tuple((i + place) % size for place, size in enumerate(sizes)) for i in range(max(sizes))]
    stepped = list(dict.fromkeys(map(space.normal, rows)))
    return [a for a in stepped + drawn(space, 5, seed=7) if space.is_connected(a)]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("statistics", [True, False], ids=["tracked", "untracked"])
def test_outputs_and_gradients_are_those_of_the_members(name: str, affine: bool, statistics: bool) -> None:
    space = SPACES[name]()
    options = {"affine": affine, "track_running_stats": statistics}
    architectures = covering(space)
    assert len(architectures) > 2
    networks = compiled(space, architectures, **options)
    population = stack_networks(space, architectures, networks)
    shape = space.cost_model.shapes[space.order[0]].largest
    for mode in (True, False):
        population.train(mode)
        ours, theirs = (batch(*shape).requires_grad_() for _ in range(2))
        y, expected = population(ours), alone([network.train(mode) for network in networks], theirs)
        torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
        (y.sin().sum() + y.square().sum()).backward()
        (expected.sin().sum() + expected.square().sum()).backward()
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-10)


def test_what_compiling_did_not_cut_counts_as_well() -> None:
    space = small_cells()
    architectures = [CONV_OF_ZERO, EVERY_OPERATION, (NONE, SKIP, CONV3, SKIP, NONE, NONE)]
    networks, x = compiled(space, architectures, cut=False), batch(1, 4, 4)
    torch.testing.assert_close(stack_networks(space, architectures, networks)(x), alone(networks, x))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 6), min_size=1, max_size=6))
def test_any_population_of_cells(architectures: list[Architecture]) -> None:
    space = pocket_cell(num_classes=3, input_shape=(1, 4, 4), channels=2)
    networks = compiled(space, architectures)
    population = stack_networks(space, architectures, networks)
    x, labels = rows_for(space, steps=2)
    together = learnt(population, x, labels, "sgd", steps=2)
    each = torch.stack([learnt(network, x, labels, "sgd", steps=2) for network in networks], dim=1)
    torch.testing.assert_close(together, each, rtol=0, atol=1e-8)


def test_members_that_agree_are_computed_without_copies() -> None:
    space = small_cells()
    alike, copied = [(CONV3,) * 6] * 2, [EVERY_OPERATION, (SKIP, CONV1, POOL, SKIP, CONV3, CONV1)]
    tensors = {}
    for name, architectures in (("alike", alike), ("copied", copied)):
        population = stack_networks(space, architectures, compiled(space, architectures))
        seen, todo = set(), [population(batch(1, 4, 4)).grad_fn]
        while todo:
            function = todo.pop()
            if function is not None and function not in seen:
                seen.add(function)
                todo += [source for source, _ in function.next_functions]
        tensors[name] = sum("_Gathered" in type(function).__name__ for function in seen)
    assert tensors["alike"] == 0 < tensors["copied"]


# ---- what has no stacked form ----------------------------------------------------------------------------------------


def input_space(op: Any) -> SearchSpace:
    graph = graph_of(("x", "a", op), ("a", "y", Classifier()), x={"shape": (4, 4, 4)}, y={"width": 3})
    return SearchSpace(graph, name="input")


def optional_wide_layer() -> SearchSpace:
    """A layer that only some have, between nodes whose width varies."""
    width = {"width": Choice("width", (2, 6))}
    graph = graph_of(
        ("x", "a", Linear()), ("a", "b", Choice("layer", (Identity(), Linear()))), ("b", "y", Linear()),
        x={"shape": (4,)}, a=width, b=width, y={"width": 3},
    )  # fmt: skip
    return SearchSpace(graph, name="optional")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (width_vectors(), "node 'both' concatenates: train its networks one by one"),
        (image_space(ops.MBConv()), "InvertedBottleneck has no stacked form: train its networks one by one"),
        (image_space(ops.FactorizedReduction()), "ShiftedReduction has no stacked form"),
        (image_space(Conv(), b={"width": Choice("b", (2, 4))}), "of several widths have no stacked form"),
        (image_space(Conv(), a={"width": Choice("a", (2, 4))}), "of several widths have no stacked form"),
        (optional_wide_layer(), "node 'b': networks that differ in widths and operations have no stacked form"),
        (input_space(ops.SeparableConv()), r"Conv2d\(4, 4, .*groups=4, .*\) has no stacked form"),
        (input_space(ops.DilatedConv()), r"Conv2d\(4, 4, .*groups=4, .*\) has no stacked form"),
        (input_space(Identity()), r"Identity\(\) of the input has no stacked form"),
        (input_space(AvgPool()), r"AvgPool\(.*\) of the input has no stacked form"),
        (input_space(ReLU()), r"ReLU\(\) of the input has no stacked form"),
        (input_space(ops.ResidualReduction()), "a residual block at the input has no stacked form"),
    ],
)
def test_what_has_no_stacked_form_is_refused(space: SearchSpace, message: str) -> None:
    architectures = list(itertools.islice(space.architectures(), 60))
    with pytest.raises(InvalidSpace, match=message):
        stack_networks(space, architectures, compiled(space, architectures))


def test_a_classifier_of_the_input_is_refused() -> None:
    graph = graph_of(("x", "y", Classifier()), x={"shape": (4, 4, 4)}, y={"width": 3})
    space = SearchSpace(graph, name="classifier")
    with pytest.raises(InvalidSpace, match="a normalisation of the input has no stacked form"):
        stack_networks(space, [()], compiled(space, [()]))


def test_a_network_that_is_exactly_zero_is_refused() -> None:
    options = Choice("layer", (Zero(), Linear()))
    space = SearchSpace(graph_of(("x", "y", options), x={"shape": (4,)}, y={"width": 4}), name="zero")
    assert stack_networks(space, [(1,), (1,)], compiled(space, [(1,), (1,)]))(batch(4)).shape == (4, 2, 4)
    for architectures in ([(0,)], [(0,), (1,)]):
        with pytest.raises(InvalidSpace, match="a network whose output is exactly zero has no stacked form"):
            stack_networks(space, architectures, compiled(space, architectures))
