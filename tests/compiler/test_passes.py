"""Each pass alone: on equals off, forward and gradients, and it does something."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pytest
import torch
from small import batch, close, dag, gradients, nested, shaken, supernet_of, toy, weights, width_images, width_vectors
from torch import fx, nn
from torch.autograd import gradcheck, gradgradcheck
from toy_spaces import graph_of

import naslab
from naslab import Choice, SearchSpace, ops
from naslab.compiler import compile_supernet, passes
from naslab.compiler.fused import DepthwiseAverage, normalised_convolutions, summed_convolutions, weighted_sum
from naslab.compiler.primitives import BatchNorm, Norm, build
from naslab.ops import AvgPool, Classifier, Conv, Identity, ReLU


def nasbench201():
    return naslab.search_space("nasbench201", channels=4, cells_per_stage=1, input_shape=(3, 8, 8))


SPACES = {
    "toy": toy,
    "dag": dag,
    "nested": nested,
    "nasbench201": nasbench201,
    "width-images": width_images,
    "width-vectors": width_vectors,
}
EVERY = list(dict.fromkeys([*passes.PASSES, passes.batch_convolutions]))


def input_of(space: SearchSpace) -> torch.Tensor:
    return batch(*space.graph.nodes[space.order[0]]["shape"])


def rewritten(net: Any, *applied: Any) -> fx.GraphModule:
    """The plain graph after some passes; it shares the supernet's modules."""
    plain = net.graph_module
    module = fx.GraphModule(plain, copy.deepcopy(plain.graph))
    for one in applied:
        one(module)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    return module


def kinds(module: fx.GraphModule) -> Counter[Any]:
    """How often each function or kind of module is called."""
    found: Counter[Any] = Counter()
    for node in module.graph.nodes:
        if node.op == "call_module":
            found[type(module.get_submodule(str(node.target)))] += 1
        elif node.op != "placeholder":
            found[node.target] += 1
    return found


def convolutions(found: Counter[Any]) -> int:
    return sum(n for kind, n in found.items() if isinstance(kind, type) and issubclass(kind, nn.Conv2d))


def assert_same(net: Any, module: Any, other: Any, x: torch.Tensor) -> None:
    results = []
    for run in (module, other):
        x_, w = x.clone().requires_grad_(), weights(net.space)
        wanted = {"x": x_, **{f"w {k}": v.requires_grad_() for k, v in w.items()}, **dict(net.named_parameters())}
        y = run(x_, w, {})
        results.append((y.contiguous(), gradients(y.contiguous(), wanted)))
    assert results[0][1]["x"].abs().max() > 0
    close(*results)


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("affine", [True, False])
def test_each_pass_alone_changes_nothing(one, name, affine):
    space = SPACES[name]()
    net = shaken(supernet_of(space, fast=False, affine=affine))
    keys = list(net.state_dict())
    assert_same(net, rewritten(net, one), rewritten(net), input_of(space))
    assert list(net.state_dict()) == keys


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("order", ["stated", "reversed", "every"])
@pytest.mark.parametrize("affine", [True, False])
def test_passes_together_change_nothing(name, order, affine):
    space = SPACES[name]()
    net = shaken(supernet_of(space, fast=False, affine=affine))
    applied = {"stated": passes.PASSES, "reversed": EVERY[::-1], "every": EVERY}[order]
    assert_same(net, rewritten(net, *applied), rewritten(net), input_of(space))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("training", [True, False])
def test_fast_is_slow_with_running_statistics(name, training):
    """Statistics too: a scaled normalisation gathers them as a plain one does."""
    space = SPACES[name]()
    one, other = (
        shaken(supernet_of(space, fast=fast, affine=True, track_running_stats=True)).train(training)
        for fast in (True, False)
    )
    assert list(one.state_dict()) == list(other.state_dict())
    x, w = input_of(space), weights(space)
    close(one(x, w), other(x, w))
    close(one.state_dict(), other.state_dict())
    moved = shaken(supernet_of(space, affine=True, track_running_stats=True)).state_dict()
    buffers = [k for k in moved if "running" in k]
    assert any(not torch.equal(moved[k], one.state_dict()[k]) for k in buffers) == (training and bool(buffers))


@pytest.mark.parametrize("fast", [True, False])
def test_edge_weights_and_passes(fast):
    space = toy()
    net = shaken(supernet_of(space, fast=fast, affine=True))
    e = {c.name: torch.tensor(0.3 * i + 0.1, dtype=torch.float64) for i, c in enumerate(space.choices)}
    w = weights(space)
    scaled = {name: w[name] * e[name] for name in w}
    close(net(input_of(space), w, e), net(input_of(space), scaled))


# ---- each does something -----------------------------------------------------------------------------------------


def test_one_relu_and_one_pooling_per_tensor():
    net = compile_supernet(nasbench201(), fast=False)
    before, after = kinds(rewritten(net)), kinds(rewritten(net, passes.share_subexpressions))
    # A cell has 12 convolutions and 6 poolings of three tensors.
    assert before[nn.ReLU] == 3 * 12
    assert before[nn.AvgPool2d] == 3 * 6
    assert after[nn.ReLU] == 3 * 3
    assert after[nn.AvgPool2d] == 3 * 3
    assert convolutions(after) == convolutions(before)


def test_relus_are_really_called_less():
    space, called = nasbench201(), []
    for fast in (True, False):
        net, count = supernet_of(space, fast=fast), []
        for part in net.modules():
            if isinstance(part, nn.ReLU):
                part.register_forward_hook(lambda *_, count=count: count.append(1))
        net(input_of(space), weights(space))
        called.append(len(count))
    assert called == [9 + 4, 36 + 4]  # four in the two residual reductions, which are not looked into


def test_poolings_of_different_geometry_are_not_shared():
    poolings = (AvgPool(), AvgPool(kernel=5), AvgPool(), AvgPool(stride=1))
    space = SearchSpace(graph_of(("x", "y", Choice("c", poolings)), x={"shape": (2, 6, 6)}))
    net = supernet_of(space, fast=False)
    assert kinds(rewritten(net, passes.share_subexpressions))[nn.AvgPool2d] == 2
    assert_same(net, rewritten(net, passes.share_subexpressions), rewritten(net), input_of(space))


def test_average_poolings_become_convolutions():
    net = compile_supernet(nasbench201(), fast=False)
    after = kinds(rewritten(net, passes.pool_by_convolution))
    assert (after[nn.AvgPool2d], after[DepthwiseAverage]) == (0, 18)


def test_weights_are_folded_into_normalisations():
    net = compile_supernet(nasbench201(), fast=False)
    before, after = kinds(rewritten(net)), kinds(rewritten(net, passes.fold_weights))
    assert (before[torch.mul], after[torch.mul]) == (3 * 24, 3 * 12)
    assert before[BatchNorm] == after[BatchNorm]


def test_a_normalisation_that_is_used_twice_is_not_folded():
    """Its plain output is needed as well."""
    net = compile_supernet(toy(), fast=False)
    module = rewritten(net)
    norm = next(n for n in module.graph.nodes if str(n.target).endswith("bn"))
    output = next(n for n in module.graph.nodes if n.op == "output")
    with module.graph.inserting_before(output):
        output.args = ((output.args[0], module.graph.call_function(torch.neg, (norm,))),)
    module.recompile()
    net.double()
    expected = module(input_of(toy()), weights(toy()), {})
    passes.fold_weights(module)
    module.recompile()
    close(module(input_of(toy()), weights(toy()), {}), expected)


def test_sums_are_fused():
    net = compile_supernet(nasbench201(), fast=False)
    before, after = kinds(rewritten(net)), kinds(rewritten(net, passes.fuse_sums))
    assert before[torch.add] > 30
    assert (after[torch.add], after[torch.mul], after[weighted_sum]) == (0, 0, 9)


def test_convolutions_of_one_input_are_batched():
    space = nasbench201()
    net = supernet_of(space, fast=False)
    both = (passes.share_subexpressions, passes.fold_weights, passes.batch_convolutions)
    before, after = kinds(rewritten(net)), kinds(rewritten(net, *both))
    # From node 0 three edges, from node 1 two: of each kernel one call instead.
    assert convolutions(before) - convolutions(after) == 3 * 2 * (3 + 2)
    assert after[normalised_convolutions] == 3 * 2 * 2
    assert_same(net, rewritten(net, *both), rewritten(net), input_of(space))


def test_stacked_convolutions_are_added_before_they_are_cut():
    space = nasbench201()
    net = supernet_of(space, fast=False)
    stacking = (passes.share_subexpressions, passes.fold_weights, passes.batch_convolutions)
    before, after = kinds(rewritten(net, *stacking)), kinds(rewritten(net, *stacking, passes.add_stacked))
    # The 1x1 and the 3x3 convolutions of one node lead to the same nodes: one sum of both, an addition less per edge.
    assert (after[normalised_convolutions], after[summed_convolutions]) == (0, 3 * 2)
    assert before[torch.add] - after[torch.add] == 3 * (3 + 2)
    assert_same(net, rewritten(net, *stacking, passes.add_stacked), rewritten(net), input_of(space))


def test_stacked_convolutions_that_lead_elsewhere_are_left_alone():
    graph = nx.DiGraph()
    graph.add_node("x", shape=(4, 8, 8))
    for node, kernel in (("a", 1), ("b", 1), ("c", 3), ("d", 3)):
        graph.add_node(node, width=4)
        graph.add_edge("x", node, op=Choice(f"to {node}", (Conv(kernel=kernel), Identity())))
    graph.add_node("y", width=4)
    for node in "abcd":
        graph.add_edge(node, "y", op=Conv(kernel=1))
    net = supernet_of(SearchSpace(graph), fast=False)
    every = (passes.share_subexpressions, passes.fold_weights, passes.batch_convolutions, passes.add_stacked)
    found = kinds(rewritten(net, *every))
    assert (found[normalised_convolutions], found[summed_convolutions]) == (2, 0)
    assert_same(net, rewritten(net, *every), rewritten(net), input_of(net.space))


def test_images_are_channels_last_from_the_input_on():
    net = supernet_of(nasbench201(), fast=False)
    for applied, expected in (((), False), ((passes.channels_last,), True)):
        seen = []
        module = rewritten(net, *applied)
        handle = net.get_submodule("stage3/cell1/2->3.3.conv").register_forward_hook(
            lambda _, args, __, seen=seen: seen.append(args[0].is_contiguous(memory_format=torch.channels_last))
        )
        module(input_of(net.space), weights(net.space), {})
        handle.remove()
        assert seen == [expected]


def test_vectors_have_no_channels():
    net = compile_supernet(width_vectors(), fast=False)
    assert len(rewritten(net, passes.channels_last).graph.nodes) == len(rewritten(net).graph.nodes)


# ---- what passes must leave alone --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Odd(ops.Operation):
    """A third party's operation that looks like one a pass rewrites."""

    kind: str = "relu"

    def output_shape(self, shape: ops.Shape, width: int | None) -> ops.Shape:
        return (4, 2, 2) if self.kind == "image" else shape


class Counted(nn.ReLU):
    """Gives something else every time."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x) * self.calls


@build.register
def _(op: Odd, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    made = {
        "relu": Counted,
        "pool": lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False, divisor_override=2),
        "circular": lambda: nn.Conv2d(shape[0], out[0], 3, padding=1, padding_mode="circular", bias=False),
        "image": lambda: nn.Unflatten(1, (4, 2, 2)),
    }
    return made[op.kind]()


@pytest.mark.parametrize("kind", ["relu", "pool", "circular"])
def test_third_partys_variants_are_left_alone(kind):
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Odd(kind), Odd(kind)))), x={"shape": (2, 4, 4)}))
    if kind == "relu":
        net = compile_supernet(space, fast=False)
        assert kinds(rewritten(net, passes.share_subexpressions))[Counted] == 2
        return
    net = supernet_of(space, fast=False)
    assert_same(net, rewritten(net, *EVERY), rewritten(net), input_of(space))
    # Two places with different values:
    inner = SearchSpace(graph_of(("x", "y", Choice("c", (Odd(kind), Conv()))), x={"shape": (2, 4, 4)}))
    net = supernet_of(inner, fast=False)
    assert_same(net, rewritten(net, *EVERY), rewritten(net), input_of(inner))


def test_a_vector_that_becomes_an_image():
    graph = graph_of(("x", "image", Odd("image")), ("image", "y", Choice("c", (Conv(), AvgPool()))), x={"shape": (16,)})
    net, slow = (supernet_of(SearchSpace(graph), fast=fast) for fast in (True, False))
    close(net(batch(16), weights(net.space)), slow(batch(16), weights(net.space)))


def test_relus_of_different_tensors_stay_apart():
    graph = graph_of(
        ("x", "a", ReLU()),
        ("x", "b", Conv(order="conv-bn")),
        ("a", "y", Choice("c", (ReLU(), Identity()))),
        ("b", "y", Choice("d", (ReLU(), Identity()))),
        x={"shape": (2, 4, 4)},
    )
    net = compile_supernet(SearchSpace(graph), fast=False)
    assert kinds(rewritten(net, passes.share_subexpressions))[nn.ReLU] == 3


# ---- the fused functions -----------------------------------------------------------------------------------------

COUNTS = [(0, 1), (0, 3), (1, 1), (1, 2), (2, 0), (3, 2)]


@pytest.mark.parametrize(("n_plain", "n_terms"), COUNTS)
@pytest.mark.parametrize("layout", ["vectors", "images", "channels last", "strided"])
def test_a_weighted_sum_and_its_first_and_second_derivatives(n_plain, n_terms, layout):
    def tensor(seed: int) -> torch.Tensor:
        x = batch(*{"vectors": (3,), "strided": (3, 4)}.get(layout, (2, 2, 3)), n=2, seed=seed)
        if layout == "channels last":
            x = x.contiguous(memory_format=torch.channels_last)
        return (x[..., ::2] if layout == "strided" else x).requires_grad_()

    plain, terms = [tensor(i) for i in range(n_plain)], [tensor(10 + i) for i in range(n_terms)]
    given = [w.clone().requires_grad_() for w in batch(max(1, n_terms), n=1)[0][:n_terms]]

    def fused(*tensors: torch.Tensor) -> torch.Tensor:
        return weighted_sum(tensors[:n_plain], tensors[n_plain + n_terms :], tensors[n_plain : n_plain + n_terms])

    inputs = (*plain, *terms, *given)
    close(fused(*inputs), sum(plain) + sum(w * t for w, t in zip(given, terms, strict=True)))
    assert gradcheck(fused, inputs)
    if n_terms:
        assert gradgradcheck(fused, inputs)


def test_a_weighted_sum_leaves_its_inputs_alone():
    plain, term = batch(3), batch(3, seed=1)
    before = plain.clone(), term.clone()
    for arguments in (
        ([plain], [torch.tensor(2.0)], [term]),
        ([plain, term], [], []),
        ([], [torch.tensor(2.0)], [term]),
    ):
        weighted_sum(*arguments).add_(1)
    close((plain, term), before)


@pytest.mark.parametrize("frozen", ["plain", "terms", "weights"])
def test_what_needs_no_gradient_gets_none(frozen):
    parts = {"plain": batch(3), "terms": batch(3, seed=1), "weights": torch.tensor(0.5, dtype=torch.float64)}
    for name, tensor in parts.items():
        tensor.requires_grad_(name != frozen)
    weighted_sum([parts["plain"]], [parts["weights"]], [parts["terms"]]).sum().backward()
    assert {name for name, tensor in parts.items() if tensor.grad is None} == {frozen}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("sides", [(4, 4), (5, 7)])
def test_a_pooling_by_convolution_is_the_pooling(stride, kernel, sides):
    pool = nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
    fast = DepthwiseAverage(pool)
    for n in (1, 3):  # the second time from what it kept
        x = batch(3, *sides, n=n).requires_grad_()
        one, other = fast(x), pool(x)
        close(one, other)
        close(gradients(one, {"x": x}), gradients(other, {"x": x}))
    torch.testing.assert_close(fast(batch(2, 9, 9).float()), pool(batch(2, 9, 9).float()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batched_convolutions_give_their_parts_in_order(dtype):
    x, kernels = batch(3, 5, 5), [batch(3, 3, 3, n=n, seed=n) for n in (2, 4, 1)]
    scales = [torch.tensor(-0.5, dtype=dtype), None, torch.tensor(0.0, dtype=dtype)]
    parts = normalised_convolutions(x, kernels, scales, 2, 1, 1, 1e-3)
    for part, kernel, scale in zip(parts, kernels, scales, strict=True):
        y = nn.functional.conv2d(x, kernel, stride=2, padding=1)
        y = (y - y.mean((0, 2, 3), keepdim=True)) / torch.sqrt(y.var((0, 2, 3), correction=0, keepdim=True) + 1e-3)
        close(part, y if scale is None else scale * y)


@pytest.mark.parametrize("options", [{"affine": True}, {"track_running_stats": True}], ids=str)
def test_normalisations_with_parameters_or_statistics_are_not_batched(options):
    net = supernet_of(nasbench201(), fast=False, **options)
    both = (passes.share_subexpressions, passes.fold_weights, passes.batch_convolutions)
    assert kinds(rewritten(net, *both))[normalised_convolutions] == 0


@pytest.mark.parametrize("affine", [True, False])
def test_second_derivatives_of_a_whole_supernet(affine):
    """DARTS' second order goes through every fused function."""
    space = SearchSpace(
        graph_of(
            ("x", "a", Choice("c", (Identity(), AvgPool(), Conv(kernel=1), Conv(kernel=1)))),
            ("a", "y", Classifier()),
            x={"shape": (2, 3, 3)},
            y={"width": 2},
        )
    )
    results = []
    for fast in (True, False):
        net, w = shaken(supernet_of(space, fast=fast, affine=affine)), weights(space)["c"].requires_grad_()
        loss = net(batch(2, 3, 3), [w]).square().sum()
        first = torch.autograd.grad(loss, [w, *net.parameters()], create_graph=True)
        penalty = sum(g.square().sum() for g in first)
        results.append(torch.autograd.grad(penalty, [w, *net.parameters()]))
    close(*results)
    assert all(g.abs().max() > 0 for g in results[0])


def test_the_code_of_a_fast_supernet_is_legible():
    code = compile_supernet(toy(), affine=True).graph_module.code
    assert re.search(r'x_a_3_conv = getattr\(getattr\(self, "x->a"\), "3"\)\.conv\(x_a_2_relu\)', code), code
