"""Every kind of decision against sums written by hand, in both forms; above all the gradients of weights of zero."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import CELL, batch, close, cotangent, gradients, one_hot, shaken, supernet_of, two_edges, weights
from torch import Tensor
from toy_spaces import graph_of

from naslab import Choice, SearchSpace
from naslab.compiler import Sparse
from naslab.ops import AvgPool, Conv, Identity, MBConv, Zero

FORMS = ["mixed", "categorical"]
FAST = [True, False]


def parts(net: Any) -> tuple[list[Callable[[Tensor], Any]], list[Callable[[Tensor], Any]], Callable[[Tensor], Tensor]]:
    """The operations of :func:`two_edges` by hand: those of p, those of q, and the fixed one."""

    def average(x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

    p = [lambda x: x * 0, lambda x: x, net.get_submodule("x->y.2"), net.get_submodule("x->y.3")]
    q = [lambda x: x, average, net.get_submodule("a->y.2")]
    return p, q, net.get_submodule("x->a")


def dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("affine", [True, False])
def test_a_mixture_is_the_sum_of_its_options(form, fast, affine):
    net = shaken(supernet_of(two_edges(), form, fast=fast, affine=affine))
    p, q, fixed = parts(net)
    x = batch(2, 4, 4)
    results = []
    for by_hand in (True, False):
        x_, w = x.clone().requires_grad_(), weights(two_edges())
        wp, wq = w["p"].requires_grad_(), w["q"].requires_grad_()
        if by_hand:
            a = fixed(x_)
            y = sum(wp[k] * o(x_) for k, o in enumerate(p)) + sum(wq[k] * o(a) for k, o in enumerate(q))
        else:
            y = net(x_, {"p": wp, "q": wq})
        found = gradients(y, {"x": x_, "p": wp, "q": wq, **dict(net.named_parameters())})
        results.append((y, found))
    close(*results)
    assert results[0][1]["p"].abs().min() == 0  # Zero's
    assert results[0][1]["q"].abs().min() > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fast", FAST)
@pytest.mark.parametrize("zeros", [(), (1,), (0, 1, 3), (0, 1, 2, 3)], ids=str)
def test_dense_weights_of_zero_have_the_gradient_of_their_option(form, fast, zeros):
    """Every option runs: dL/dw_k = <dL/dout, o_k(x)>, whatever w_k is."""
    net = supernet_of(two_edges(), form, fast=fast)
    p, _, _ = parts(net)
    x, w = batch(2, 4, 4), weights(two_edges())
    w["p"][list(zeros)] = 0
    w["p"].requires_grad_()
    y = net(x, w)
    found = gradients(y, {"p": w["p"]})["p"]
    close(found, torch.stack([dot(cotangent(y), o(x)) for o in p]))
    assert found[1:].abs().min() > 1e-6


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("active", [(0,), (1,), (3, 1), (0, 2), (0, 1, 2, 3)], ids=str)
def test_dropped_options_neither_run_nor_get_a_gradient(form, active):
    net = supernet_of(two_edges(), form)
    p, q, fixed = parts(net)
    x, w = batch(2, 4, 4), weights(two_edges())
    w["p"].requires_grad_()
    y = net(x, {"p": Sparse(w["p"], active), "q": 0})
    expected = sum(w["p"][k] * p[k](x) for k in active) + q[0](fixed(x))
    close(y, expected)
    found = gradients(y, {"p": w["p"], **dict(net.named_parameters())})
    g = cotangent(y)
    close(found["p"], torch.stack([dot(g, o(x)) if k in active else torch.zeros(()).double() for k, o in enumerate(p)]))
    for k in (2, 3):
        assert bool(found[f"x->y.{k}.conv.weight"].abs().max()) == (k in active)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("active", [(0,), (1,), (2,), (3, 1), (0, 1, 2, 3)], ids=str)
@pytest.mark.parametrize("hard", [True, False])
def test_gdas_adds_inactive_weights_as_numbers(form, active, hard):
    """dL/dw_k = sum(dL/dout) for what does not run. ``hard``: their value is zero, as in GDAS."""
    net = supernet_of(two_edges(), form)
    p, q, fixed = parts(net)
    x, w = batch(2, 4, 4), weights(two_edges())
    if hard:
        w["p"] = torch.tensor([float(k in active) for k in range(4)], dtype=torch.float64)
    w["p"].requires_grad_()
    y = net(x, {"p": Sparse(w["p"], active, "scalar", hard=hard and len(active) == 1), "q": 1})
    expected = sum(w["p"][k] * (o(x) if k in active else 1) for k, o in enumerate(p)) + q[1](fixed(x))
    close(y, expected)
    g = cotangent(y)
    wanted = [dot(g, o(x)) if k in active else g.sum() for k, o in enumerate(p)]
    close(gradients(y, {"p": w["p"]})["p"], torch.stack(wanted))


def test_a_hard_weight_has_the_second_derivatives_of_the_sum():
    """What runs alone isn't multiplied by its one; differentiated twice it is the sum, all the same."""
    net = supernet_of(two_edges(), "categorical")
    p, q, fixed = parts(net)
    x, w = batch(2, 4, 4), torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    weight = dict(net.named_parameters())["x->y.3.conv.weight"]
    found = []
    for y in (
        net(x, {"p": Sparse(w, (3,), "scalar", hard=True), "q": 1}),
        w[3] * p[3](x) + w[0] + w[1] + w[2] + q[1](fixed(x)),
    ):
        (by_w,) = torch.autograd.grad((y**2).sum(), w, create_graph=True)
        found.append(torch.autograd.grad((by_w * torch.arange(1.0, 5)).sum(), (w, weight)))
    for ours, written_out in zip(*found, strict=True):
        close(ours, written_out)
        assert bool(ours.any())


@pytest.mark.parametrize("form", FORMS)
def test_numbers_alone_have_the_shape_of_the_node(form):
    """GDAS with Zero active on every edge into a node: nothing but numbers arrives."""
    halved = (Zero(), Conv(stride=2))
    graph = graph_of(("x", "a", Choice("c", halved)), ("a", "y", Conv(kernel=1)), x={"shape": (2, 5, 5)})
    net = shaken(supernet_of(SearchSpace(graph), form, affine=True)).eval()
    w = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)
    y = net(batch(2, 5, 5), {"c": Sparse(w, (0,), "scalar")})
    a = torch.full((4, 2, 3, 3), 0.5, dtype=torch.float64, requires_grad=True)
    expected = net.get_submodule("a->y")(a)
    close(y, expected)
    (inner,) = torch.autograd.grad(expected, a, cotangent(expected))
    close(gradients(y, {"c": w})["c"], torch.stack([torch.zeros(()).double(), inner.sum()]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("kernel", "expansion"),
    [
        ("dense", "dense"),
        ("dense", 1),
        (2, "dense"),
        (Sparse, "dense"),
        ("scalar", "dense"),
        ("scalar", "scalar"),
        (Sparse, "scalar"),
        ("scalar", 0),
    ],
    ids=str,
)
def test_weights_of_two_choices_at_one_site_multiply(form, kernel, expansion):
    op = MBConv(kernel=Choice("kernel", (1, 5, 3)), expansion=Choice("expansion", (3, 1)))
    space = SearchSpace(graph_of(("x", "y", op), x={"shape": (2, 4, 4)}, y={"width": 3}))
    net = shaken(supernet_of(space, form, affine=True))
    x, w = batch(2, 4, 4), weights(space)
    k, e = w["kernel"].requires_grad_(), w["expansion"].requires_grad_()
    active = {"kernel": {0, 1}, "expansion": {1}}

    def decided(kind: Any, name: str) -> Any:
        if kind is Sparse or kind == "scalar":
            return Sparse(w[name], tuple(active[name]), "drop" if kind is Sparse else "scalar")
        return w[name] if kind == "dense" else kind

    def factor(kind: Any, name: str, i: int) -> tuple[Any, bool]:
        """Its weight (None: it takes no part), and whether it runs."""
        if isinstance(kind, int):
            return (1.0 if i == kind else None), True
        if kind == "dense":
            return w[name][i], True
        runs = i in active[name]
        return (w[name][i] if runs or kind == "scalar" else None), runs

    expected: Any = 0
    for i, j in itertools.product(range(3), range(2)):
        (wi, runs_i), (wj, runs_j) = factor(kernel, "kernel", i), factor(expansion, "expansion", j)
        if wi is None or wj is None:
            continue
        alone = net.extract((i, j))(x) if runs_i and runs_j else 1.0
        expected = expected + wi * wj * alone
    y = net(x, {"kernel": decided(kernel, "kernel"), "expansion": decided(expansion, "expansion")})
    close(y, expected)
    wanted = {"kernel": k, "expansion": e}
    close(gradients(y, wanted), gradients(expected, wanted))


@pytest.mark.parametrize("form", FORMS)
def test_decisions_by_name_or_in_order_are_one(form):
    space = two_edges()
    net, x, w = supernet_of(space, form), batch(2, 4, 4), weights(space)
    close(net(x, [w[c.name] for c in space.choices]), net(x, w))
    close(net(x, (2, 1)), net(x, {"q": 1, "p": 2}))


@pytest.mark.parametrize("form", FORMS)
def test_an_index_beside_weights(form):
    space = two_edges()
    net, x, w = supernet_of(space, form), batch(2, 4, 4), weights(space)
    close(net(x, {"p": 3, "q": w["q"]}), net(x, {"p": one_hot(space, (3, 0))["p"], "q": w["q"]}))


@pytest.mark.parametrize("form", FORMS)
def test_tied_choices_share_the_decision_and_have_weights_of_their_own(form):
    kinds = Choice("tied", CELL)
    space = SearchSpace(graph_of(("x", "a", kinds), ("a", "y", kinds), x={"shape": (2, 4, 4)}))
    assert space.sizes == (5,)
    net = supernet_of(space, form)
    first, second = (dict(net.get_submodule(edge).named_parameters()) for edge in ("x->a", "a->y"))
    assert list(first) == list(second)
    assert not any(torch.equal(first[name], second[name]) for name in first if "conv" in name)
    x = batch(2, 4, 4)
    close(net(x, [3]), net.get_submodule("a->y.3")(net.get_submodule("x->a.3")(x)))
    w = torch.tensor([0, 0, 0, 0.5, 0], dtype=torch.float64, requires_grad=True)
    y = net(x, [w])
    inner = net.get_submodule("x->a.3")(x)
    close(y, 0.5 * net.get_submodule("a->y.3")(0.5 * inner))
    assert gradients(y, {"w": w})["w"].bool().tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("form", FORMS)
def test_places_of_one_choice_may_offer_different_options(form):
    """Where numbers are tied, each place shares the tensors of its own largest."""
    op = MBConv(kernel=Choice("size", (3, 5)), expansion=Choice("size", (4, 2)))
    space = SearchSpace(graph_of(("x", "y", op), x={"shape": (2, 4, 4)}, y={"width": 3}))
    net, x = shaken(supernet_of(space, form)), batch(2, 4, 4)
    assert net.get_submodule("x->y.0.body.depthwise").weight.shape == (8, 1, 5, 5)
    for k in (0, 1):
        assert net.extract((k,)).get_submodule("x->y.body.depthwise").weight.shape == ([8, 4][k], 1, *[[3, 5][k]] * 2)
        close(net(x, [k]), net.extract((k,))(x))
    w = weights(space)["size"]
    close(net(x, [w]), sum(w[k] * net.extract((k,))(x) for k in (0, 1)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("affine", [True, False])
def test_weights_of_another_precision(form, dtype, affine):
    space = two_edges()
    net = supernet_of(space, form, affine=affine).to(torch.float32)
    x = batch(2, 4, 4).float()
    w = {name: tensor.to(dtype).requires_grad_() for name, tensor in weights(space).items()}
    y = net(x, w)
    assert y.dtype == torch.float32
    plain = {name: tensor.detach().float().requires_grad_() for name, tensor in w.items()}
    other = net(x, plain)
    torch.testing.assert_close(y, other, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(gradients(y, w).values(), gradients(other, plain).values(), strict=True):
        assert found.dtype == dtype
        torch.testing.assert_close(found, wanted.to(dtype), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_edge_weights_scale_whole_edges(form):
    space = two_edges()
    net = supernet_of(space, form)
    p, q, fixed = parts(net)
    x, w = batch(2, 4, 4), weights(space)
    edge = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    y = net(x, w, {"q": edge})
    first = sum(w["p"][k] * o(x) for k, o in enumerate(p))
    second = sum(w["q"][k] * o(fixed(x)) for k, o in enumerate(q))
    close(y, first + edge * second)
    close(gradients(y, {"e": edge})["e"], dot(cotangent(y), second))
    close(net(x, w, {}), net(x, w))
    close(net(x, (0, 0), {"p": edge, "q": edge}), edge * fixed(x))  # an edge of zero has nothing to scale


@pytest.mark.parametrize("form", FORMS)
def test_average_pooling_and_identity_under_zero_sum_weights(form):
    """Weights may be negative and cancel."""
    graph = graph_of(("x", "y", Choice("c", (Identity(), AvgPool(), Identity()))), x={"shape": (2, 4, 4)})
    net, x = supernet_of(SearchSpace(graph), form), batch(2, 4, 4)
    close(net(x, [torch.tensor([2.0, 0, -2], dtype=torch.float64)]), torch.zeros_like(x))
