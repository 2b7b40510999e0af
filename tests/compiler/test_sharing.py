"""Widths, kernels and expansions that share tensors: slices against small networks, masks against slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from small import (
    assert_runs_as_extracted,
    batch,
    close,
    gradients,
    one_hot,
    shaken,
    supernet_of,
    weights,
    width_images,
    width_mbconv,
    width_mlp,
    width_vectors,
)
from torch import nn
from toy_spaces import graph_of

from naslab import Choice, SearchSpace, ops
from naslab.compiler import Sparse, compile_network, compile_supernet
from naslab.compiler.primitives import Norm, build
from naslab.errors import InvalidSpace, InvalidValue
from naslab.ops import (
    AvgPool,
    Classifier,
    Conv,
    DilatedConv,
    FactorizedReduction,
    Identity,
    Linear,
    MaxPool,
    MBConv,
    NormReLU,
    PlainConv,
    PooledLinear,
    ReLU,
    ResidualReduction,
    SeparableConv,
    UpsamplingConv,
    Zero,
)

WIDE = Choice("wide", (2, 5, 4))


def between(op: Any, shape: tuple[int, ...] = (3, 5, 5), stem: Any = None, after: Any = None) -> SearchSpace:
    """An operation whose input's and output's widths vary."""
    stem = stem or (Conv(order="conv-bn") if len(shape) > 1 else Linear())
    graph = graph_of(
        ("x", "a", stem),
        ("a", "b", op),
        ("b", "y", after or (Conv(kernel=1) if len(shape) > 1 else Linear())),
        x={"shape": shape},
        a={"width": Choice("a", (3, 6, 4))},
        y={"width": 2},
    )
    if op.sets_width:
        graph.nodes["b"]["width"] = Choice("b", (4, 2, 5))
    return SearchSpace(graph)


def concatenated(op: Any, after: Any = None) -> SearchSpace:
    """The same behind a concatenation of two variable tensors and a fixed one."""
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("x", "b", Conv(kernel=1, order="conv-bn")),
        ("a", "all", Identity()),
        ("x", "all", Identity()),
        ("b", "all", MaxPool()),
        ("all", "relu", ReLU()),
        ("relu", "c", op),
        ("c", "y", after or Conv(kernel=1)),
        x={"shape": (3, 5, 5)},
        a={"width": Choice("a", (2, 4))},
        b={"width": Choice("b", (3, 1))},
        all={"combine": "concat", "inputs": ("a", "x", "b")},
        y={"width": 2},
    )
    if op.sets_width:
        graph.nodes["c"]["width"] = Choice("c", (4, 6))
    return SearchSpace(graph)


def nested_concatenation() -> SearchSpace:
    """A concatenation of concatenations, then a residual sum of them."""
    graph = graph_of(
        ("x", "a", Linear()),
        ("x", "b", Linear()),
        ("a", "ab", Identity()),
        ("b", "ab", Identity()),
        ("ab", "abx", ReLU()),
        ("x", "abx", Identity()),
        ("a", "abx", Identity()),
        ("abx", "sum", Identity()),
        ("abx", "r", ReLU()),
        ("r", "sum", Identity()),
        ("sum", "y", Linear()),
        x={"shape": (3,)},
        a={"width": Choice("a", (2, 4))},
        b={"width": Choice("b", (3, 1))},
        ab={"combine": "concat"},
        abx={"combine": "concat", "inputs": ("ab", "x", "a")},
        y={"width": 2},
    )
    return SearchSpace(graph)


IMAGE_OPS = [
    Conv(kernel=3),
    Conv(kernel=1, order="conv-bn-relu"),
    Conv(kernel=Choice("k", (3, 1, 5))),
    PlainConv(kernel=Choice("k", (3, 5)), stride=2),
    UpsamplingConv(),
    UpsamplingConv(kernel=Choice("k", (3, 5))),
    NormReLU(),
    PooledLinear(),
    DilatedConv(),
    DilatedConv(kernel=Choice("k", (3, 5)), stride=2),
    SeparableConv(),
    SeparableConv(kernel=Choice("k", (3, 5)), stride=2),
    FactorizedReduction(),
    ResidualReduction(),
    MBConv(),
    MBConv(expansion=Choice("e", (1, 3)), kernel=Choice("k", (3, 5))),
    MBConv(expansion=1, squeeze_excitation=Choice("se", (True, False))),
    MBConv(expansion=Choice("e", (3, 2)), squeeze_excitation=True),
    AvgPool(),
    MaxPool(stride=2),
    ReLU(),
    Classifier(),
]
POOLED = (Classifier(), PooledLinear())  # from images to features
SPACES = {
    **{f"between {op}": between(op, after=Linear() if op in POOLED else None) for op in IMAGE_OPS},
    **{f"behind {op}": concatenated(op, after=Linear() if op in POOLED else None) for op in IMAGE_OPS},
    "between linear": between(Linear(), (3,)),
    "mlp": width_mlp(),
    "vectors": width_vectors(),
    "images": width_images(),
    "images, classified": width_images(Classifier()),
    "mbconv": width_mbconv(),
    "concatenations": nested_concatenation(),
}
MASKED = ["between linear", "mlp", "vectors", "images", "concatenations"]
MASKED += [f"{place} {op}" for place in ("between", "behind") for op in IMAGE_OPS if op.masks_width]


def input_of(space: SearchSpace) -> torch.Tensor:
    return batch(*space.graph.nodes["x"]["shape"])


def some(space: SearchSpace, n: int = 4) -> list[tuple[int, ...]]:
    every = list(space.architectures())
    return every if len(every) <= n else [every[i] for i in np.random.default_rng(0).choice(len(every), n, False)]


# ---- slices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("track", [True, False], ids=["running", "batch"])
def test_a_categorical_width_is_the_small_network(name, track):
    """Output, weights after a step, and running statistics."""
    space = SPACES[name]
    net = shaken(supernet_of(space, "categorical", affine=True, track_running_stats=track))
    for a in some(space, 4 if track else 2):
        assert_runs_as_extracted(net, a, a, input_of(space))


@pytest.mark.parametrize("name", SPACES)
def test_so_is_it_in_evaluation(name):
    space = SPACES[name]
    net = shaken(supernet_of(space, "categorical", affine=True, track_running_stats=True)).eval()
    for a in some(space):
        network = net.extract(a)
        assert not network.training
        close(network(input_of(space)), net(input_of(space), a))
        same = compile_network(space, a)
        assert {k: v.shape for k, v in network.state_dict().items()} == {
            k: v.shape for k, v in same.state_dict().items()
        }


def test_linear_layers_by_hand():
    """The first features of every piece of a concatenation, and the first of the output."""
    net, x = shaken(supernet_of(width_vectors(), "categorical")), batch(4)
    p = dict(net.named_parameters())
    shared, other = 2, 3  # options 0 and 1
    a = x @ p["x->a.0.weight"][:shared].T + p["x->a.0.bias"][:shared]
    b = x @ p["x->b.0.weight"][:shared].T + p["x->b.0.bias"][:shared]
    c = x @ p["x->c.0.weight"][:other].T + p["x->c.0.bias"][:other]
    both = torch.cat([a.relu() + b, c.relu()], dim=1).relu()
    w = p["relu->y.0.weight"]
    expected = both @ torch.cat([w[:, :shared], w[:, 6 : 6 + other]], dim=1).T + p["relu->y.0.bias"]
    assert w.shape == (2, 6 + 5)
    close(net(x, {"shared": 0, "other": 1}), expected)


def test_kernels_are_cropped_at_the_centre_and_expansions_at_the_end():
    space = between(MBConv(kernel=Choice("k", (3, 5)), expansion=Choice("e", (2, 4))))
    net = shaken(supernet_of(space, "categorical", affine=True))
    whole = dict(net.get_submodule("a->b.0").named_parameters())
    a = space.architecture([{"k": 0, "e": 0, "a": 2, "b": 1}[c.name] for c in space.choices])
    part = dict(net.extract(a).get_submodule("a->b").named_parameters())
    assert whole["body.depthwise.weight"].shape == (24, 1, 5, 5)
    close(part["body.depthwise.weight"], whole["body.depthwise.weight"][:8, :, 1:4, 1:4])
    close(part["body.expand.weight"], whole["body.expand.weight"][:8, :4])
    close(part["body.project.weight"], whole["body.project.weight"][:2, :8])
    close(part["body.bn2.bias"], whole["body.bn2.bias"][:8])


def test_only_the_prefix_of_running_statistics_moves():
    space = between(Conv(kernel=3))
    net = shaken(supernet_of(space, "categorical", affine=True, track_running_stats=True))
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net(input_of(space), {"a": 2, "b": 1})  # widths 4 of 6, 2 of 5
    for edge, now in (("x->a", 4), ("a->b", 2)):
        for kind in ("running_mean", "running_var"):
            name = f"{edge}.0.bn.{kind}"
            moved = (net.get_buffer(name) != before[name]).tolist()
            assert moved == [i < now for i in range(len(moved))], name
        assert net.get_buffer(f"{edge}.0.bn.num_batches_tracked") == before[f"{edge}.0.bn.num_batches_tracked"] + 1


@pytest.mark.parametrize("op", [Classifier(), SeparableConv(), MBConv(expansion=1)], ids=str)
def test_running_statistics_behind_a_concatenation_move_piece_by_piece(op):
    """Normalisations of the input's own features: largest 4 + 3 + 3, now 2 + 3 + 1."""
    space = concatenated(op, Linear() if op in POOLED else None)
    net = shaken(supernet_of(space, "categorical", affine=True, track_running_stats=True))
    name = next(n for n, b in net.named_buffers() if "relu->c" in n and "mean" in n and b.shape == (10,))
    before = net.get_buffer(name).clone()
    net(input_of(space), {"a": 0, "b": 1, "c": 0})
    moved = (net.get_buffer(name) != before).tolist()
    assert moved == [True] * 2 + [False] * 2 + [True] * 3 + [True] + [False] * 2


@pytest.mark.parametrize("name", ["mlp", "vectors", "images", "mbconv", "behind " + str(SeparableConv())])
def test_unused_parts_get_no_gradient(name):
    """Exactly zero or none, biases included, where the small network has no such weight."""
    space = SPACES[name]
    net = shaken(supernet_of(space, "categorical", affine=True))
    a = tuple(min(range(s), key=space.choices[i].options.__getitem__) for i, s in enumerate(space.sizes))
    y = net(input_of(space), a)
    found = gradients(y, dict(net.named_parameters()))
    used = sum(int((g != 0).sum()) for g in found.values())
    small, total = space.cost(a).params, sum(p.numel() for p in net.parameters())
    assert 0 < used <= small < total


def test_weights_outside_the_slice_do_not_matter():
    """Set to NaN, they change nothing and receive nothing."""
    space = width_images()
    net = shaken(supernet_of(space, "categorical", affine=True))
    x, a = input_of(space), space.architecture([{"a": 0, "b": 1, "c": 0}[c.name] for c in space.choices])
    expected = net(x, a)
    with torch.no_grad():
        net.get_parameter("x->a.0.conv.weight")[2:] = torch.nan
        net.get_parameter("x->a.0.bn.bias")[2:] = torch.nan
        net.get_parameter("x->b.0.conv.weight")[1:] = torch.nan
        net.get_parameter("all->c.0.conv.weight")[2:] = torch.nan
        net.get_parameter("all->c.0.conv.weight")[:, [2, 3, 5, 6]] = torch.nan
        net.get_parameter("all->c.0.bn.weight")[2:] = torch.nan
        net.get_parameter("c->y.0.conv.weight")[:, 2:] = torch.nan
    close(net(x, a), expected)
    found = gradients(net(x, a), dict(net.named_parameters()))
    assert not found["all->c.0.conv.weight"][2:].any()
    assert not found["all->c.0.conv.weight"][:, [2, 3, 5, 6]].any()
    assert found["all->c.0.conv.weight"][:2][:, [0, 1, 4]].all()
    assert not found["x->a.0.bn.bias"][2:].any()


def test_weight_decay_shrinks_the_unused_part_as_documented():
    space = width_mlp()
    net = supernet_of(space, "categorical")
    before = net.get_parameter("x->hidden1.0.weight").detach().clone()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.5)
    net(batch(3), (0, 0)).sum().backward()
    optimiser.step()
    after = net.get_parameter("x->hidden1.0.weight").detach()
    close(after[2:], before[2:] * 0.95)
    assert (after[:2] - before[:2] * 0.95).abs().max() > 1e-6


def test_a_zero_where_the_width_is_decided():
    """What is zero has the width of the moment."""
    graph = graph_of(
        ("x", "a", Linear()),
        ("a", "b", Choice("c", (Zero(), ReLU()))),
        ("b", "sum", Identity()),
        ("a", "sum", Choice("d", (Zero(), Identity()))),
        ("sum", "all", Choice("e", (Zero(), Identity()))),
        ("b", "all", Choice("c", (Zero(), ReLU()))),
        ("all", "y", Linear()),
        x={"shape": (3,)},
        a={"width": Choice("w", (2, 4))},
        all={"combine": "concat"},
        y={"width": 2},
    )
    space = SearchSpace(graph)
    net = shaken(supernet_of(space, "categorical"))
    for a in space.architectures():
        close(net(batch(3), a), net.extract(a)(batch(3)))
        close(net.view("mixed")(batch(3), one_hot(space, a)), net(batch(3), a))


@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_partial_channels_with_a_choice_of_kernels(form):
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "y", Conv(kernel=Choice("k", (1, 3)))),
        x={"shape": (3, 4, 4)},
        a={"width": 4},
        y={"width": 4},
    )
    space = SearchSpace(graph)
    net, x = supernet_of(space, form, partial_channels=2), batch(3, 4, 4)
    for k in (0, 1):
        y = net(x, (k,))
        assert y.shape == (4, 4, 4, 4)
        close(y, net(x, one_hot(space, (k,))))
    w = weights(space)["k"]
    a, y = net.get_submodule("x->a")(x), net(x, [w])
    close(y[:, 1::2], a[:, 2:])
    kernel = net.get_parameter("a->y.0.conv.weight")
    by_hand = 0
    for weight, part, padding in ((w[0], kernel[:, :, 1:2, 1:2], 0), (w[1], kernel, 1)):
        z = nn.functional.conv2d(a[:, :2].relu(), part, padding=padding)
        by_hand = by_hand + weight * nn.functional.batch_norm(z, None, None, training=True)
    close(y[:, ::2], by_hand)


def test_mixed_attributes_of_one_choice_share_the_largest():
    space = SearchSpace(graph_of(("x", "y", Conv(kernel=Choice("k", (1, 5, 3)))), x={"shape": (2, 5, 5)}))
    net, x, w = shaken(supernet_of(space, affine=True)), batch(2, 5, 5), weights(space)["k"]
    assert [tuple(p.shape) for p in net.parameters()] == [(2, 2, 5, 5), (2,), (2,)]
    y = net(x, [w])
    close(y, sum(w[k] * net.extract((k,))(x) for k in range(3)))
    expected = sum(w[k] * net.view("categorical")(x, (k,)) for k in range(3))
    close(gradients(y, dict(net.named_parameters())), gradients(expected, dict(net.named_parameters())))


# ---- masks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("fast", [True, False])
def test_masking_is_slicing_where_the_operation_says_so(name, fast):
    space = SPACES[name]
    net = shaken(supernet_of(space, fast=fast, affine=True))
    for a in some(space):
        assert_runs_as_extracted(net, a, one_hot(space, a), input_of(space))
        close(net(input_of(space), one_hot(space, a)), net.view("categorical")(input_of(space), a))


def test_a_mixed_width_by_hand():
    """The mask is the weighted sum of the widths' masks."""
    space = width_mlp()
    net, x, w = shaken(supernet_of(space)), batch(3), weights(space)
    p = dict(net.named_parameters())
    reach = {"width1": (2, 5, 3), "width2": (1, 4)}
    masks = {
        name: sum(w[name][k] * (torch.arange(max(sizes)) < size) for k, size in enumerate(sizes))
        for name, sizes in reach.items()
    }
    one = ((x @ p["x->hidden1.0.weight"].T + p["x->hidden1.0.bias"]) * masks["width1"]).relu()
    two = ((one @ p["hidden1/relu->hidden2.0.weight"].T + p["hidden1/relu->hidden2.0.bias"]) * masks["width2"]).relu()
    close(net(x, w), two @ p["hidden2/relu->y.0.weight"].T + p["hidden2/relu->y.0.bias"])


def test_an_index_for_one_width_and_weights_for_another():
    space = width_mlp()
    net, x, w = supernet_of(space), batch(3), weights(space)
    expected = net(x, {"width1": one_hot(space, (2, 0))["width1"], "width2": w["width2"]})
    close(net(x, {"width1": 2, "width2": w["width2"]}), expected)


def test_an_index_for_an_operation_beside_weights_for_a_width():
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "b", Choice("op", (Zero(), Identity(), Conv()))),
        ("b", "y", Conv(kernel=1)),
        x={"shape": (3, 4, 4)},
        a={"width": Choice("w", (2, 4))},
        b={"width": Choice("w", (2, 4))},
        y={"width": 2},
    )
    space = SearchSpace(graph)
    for affine in (True, False):
        net, w = supernet_of(space, affine=affine), weights(space)["w"]
        for k in range(3):
            hot = one_hot(space, space.architecture([{"op": k, "w": 0}[c.name] for c in space.choices]))["op"]
            close(net(batch(3, 4, 4), {"op": k, "w": w}), net(batch(3, 4, 4), {"op": hot, "w": w}))


@pytest.mark.parametrize(
    "op",
    [op for op in IMAGE_OPS if not op.masks_width],
    ids=str,
)
@pytest.mark.parametrize("place", [between, concatenated])
def test_a_mixed_width_is_refused_where_masking_is_not_slicing(op, place):
    space = place(op, after=Linear() if op in POOLED else None)
    edge = "a->b" if place is between else "relu->c"
    kind = type(op).__name__
    with pytest.raises(InvalidSpace, match=rf"edge '{edge}'.*'a'.*{kind}.*choices='categorical'"):
        compile_supernet(space)
    assert compile_supernet(space, "categorical").form == "categorical"
    with pytest.raises(InvalidSpace, match=edge):
        compile_supernet(space, "categorical").view("mixed")


@dataclass(frozen=True)
class Tilt(ops.Operation):
    """A third party's operation; it does not say that masking is slicing."""


class TiltModule(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(dim=1, keepdim=True)


@build.register
def _(op: Tilt, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return TiltModule()


def test_a_third_partys_operation_is_sliced_unless_it_declares_masking():
    space = between(Tilt(), (3,))
    with pytest.raises(InvalidSpace, match=r"'a->b'.*Tilt\(\)"):
        compile_supernet(space)
    net = supernet_of(space, "categorical")
    for a in space.architectures():
        assert_runs_as_extracted(net, a, a, batch(3))


def test_one_operation_of_a_site_that_cannot_be_masked_is_enough():
    with pytest.raises(InvalidSpace, match=r"'a->b'.*MBConv"):
        compile_supernet(between_choice())


def between_choice() -> SearchSpace:
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "y", Choice("op", (Conv(), MBConv()))),
        x={"shape": (3, 4, 4)},
        a={"width": Choice("w", (2, 4))},
        y={"width": 2},
    )
    graph.edges["a", "y"]["name"] = "a->b"
    return SearchSpace(graph)


def test_a_width_inside_a_width_has_no_mixed_form():
    graph = graph_of(("x", "y", Linear()), x={"shape": (3,)}, y={"width": Choice("w", (2, Choice("v", (3, 5))))})
    space = SearchSpace(graph)
    with pytest.raises(InvalidSpace, match=r"'y'.*categorical"):
        compile_supernet(space)
    net = supernet_of(space, "categorical")
    for a in space.architectures():
        assert_runs_as_extracted(net, a, a, batch(3))


@pytest.mark.parametrize(
    ("decision", "form"),
    [
        (torch.ones(3), "categorical"),
        (Sparse(torch.ones(3), (0,)), "categorical"),
        (Sparse(torch.ones(3), (0, 1)), "mixed"),
    ],
)
def test_a_width_has_no_sparse_mixture_and_no_categorical_one(decision, form):
    net = compile_supernet(width_mlp(), form)
    with pytest.raises(InvalidValue, match="'width1'"):
        net(torch.zeros(2, 3), {"width1": decision, "width2": 0 if form == "categorical" else torch.ones(2)})
