"""Dropping paths: rates, schedules, expectations, reproducible draws, in both forms."""

from __future__ import annotations

import copy
import itertools
import pickle

import pytest
import torch
from small import CELL, batch, close, one_hot, seeded, supernet_of, toy, weights
from torch import Tensor
from toy_spaces import graph_of

from naslab import Choice, SearchSpace
from naslab.compiler import DropPath, MixedOp
from naslab.errors import InvalidValue
from naslab.ops import AvgPool, Conv, Identity, Zero

FORMS = ["mixed", "categorical"]
KINDS = {"operations": DropPath.operations, "scheduled": DropPath.scheduled}


def chain() -> SearchSpace:
    """Four sites in a row, at depths 1/4 to 1."""
    names = ["x", "a", "b", "c", "y"]
    options = (Identity(), AvgPool())
    edges = [(u, v, Choice(v, options)) for u, v in itertools.pairwise(names)]
    return SearchSpace(graph_of(*edges, x={"shape": (2, 4, 4)}))


@pytest.mark.parametrize(("rate", "paths"), [(0.5, 1), (0.5, 4), (0.01, 12), (0.0, 3)])
def test_benders_rate_is_the_probability_that_all_of_a_node_are_dropped(rate, paths):
    drop = DropPath.operations(rate, seeded())
    assert drop.probability(0.3, paths) == pytest.approx(rate ** (1 / paths) if rate else 0)
    assert drop.probability(0.3, paths) ** paths == pytest.approx(rate)
    drop.progress = 0.5
    assert drop.probability(1.0, paths) == pytest.approx(rate ** (1 / paths) / 2 if rate else 0)


@pytest.mark.parametrize(
    ("progress", "depth", "expected"), [(0, 1, 0), (1, 0, 0), (1, 1, 0.4), (0.5, 1, 0.2), (0.5, 0.5, 0.1)]
)
def test_the_scheduled_rate_grows_with_depth_and_progress(progress, depth, expected):
    drop = DropPath.scheduled(0.4, seeded())
    drop.progress = progress
    assert drop.probability(depth, 5) == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_a_rate_that_is_none_is_refused(kind, rate):
    with pytest.raises(InvalidValue, match=f"rate {rate}"):
        KINDS[kind](rate, seeded())


@pytest.mark.parametrize("kind", KINDS)
def test_the_expectation_stays(kind):
    """Mean over 4000 draws within five standard errors of the input."""
    drop, n = KINDS[kind](0.3, seeded()), 4000
    rows = [drop(torch.ones(1, 2), 0.8, 2, False)[0] for _ in range(n)]
    p = drop.probability(0.8, 2)
    mean = torch.stack(rows).mean(dim=0)
    assert abs(mean[0] - 1) < 5 * (p / (1 - p) / n) ** 0.5
    values = torch.cat(rows).unique().tolist()
    assert values == pytest.approx([0, 1 / (1 - p)])


@pytest.mark.parametrize(("kind", "numbers"), [("operations", 1), ("scheduled", 2)])
def test_one_form_drops_batches_the_other_examples(kind, numbers):
    drop = KINDS[kind](0.5, seeded())
    seen = {len(drop(torch.ones(32, 3, 2, 2), 1.0, 1, False).unique()) for _ in range(8)}
    assert seen == {numbers}
    y = DropPath.scheduled(0.5, seeded())(torch.ones(32, 3, 2, 2), 1.0, 1, False)
    assert all(len(example.unique()) == 1 for example in y)


@pytest.mark.parametrize(("kind", "kept"), [("operations", False), ("scheduled", True)])
def test_the_scheduled_form_never_drops_identities(kind, kept):
    drop, x = KINDS[kind](0.6, seeded()), torch.ones(16, 2)
    outputs = [drop(x, 1.0, 1, True) for _ in range(8)]
    assert all(torch.equal(y, x) for y in outputs) == kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["progress 0", "rate 0", "evaluation"])
def test_nothing_is_dropped(kind, form, how):
    space = toy()
    plain = supernet_of(space, form)
    drop = KINDS[kind](0.0 if how == "rate 0" else 0.7, seeded())
    net = supernet_of(space, form, drop_path=drop)
    x, w = batch(2, 4, 4), weights(space)
    assert list(net.state_dict()) == list(plain.state_dict())
    if how == "evaluation":
        net.eval()
        plain.eval()
    drop.progress = 0.0 if how == "progress 0" else 1.0
    state = drop.generator.get_state()
    close(net(x, w), plain(x, w))
    close(net(x, (3, 1, 4)), plain(x, (3, 1, 4)))
    assert torch.equal(drop.generator.get_state(), state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_draws_come_from_the_generator(kind, form):
    space, x = toy(), batch(2, 4, 4)
    before = torch.get_rng_state()
    one, same, other = (supernet_of(space, form, drop_path=KINDS[kind](0.5, seeded(s))) for s in (1, 1, 2))
    results = [[net(x, weights(space)) for _ in range(4)] for net in (one, same, other)]
    close(results[0], results[1])
    assert any((a - b).abs().max() > 1e-6 for a, b in zip(results[0], results[2], strict=True))
    assert any((a - results[0][0]).abs().max() > 1e-6 for a in results[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_and_the_site_alone_drop_the_same(kind):
    """With generators in the same state: options are drawn in order in all of them."""
    space = SearchSpace(graph_of(("x", "y", Choice("c", CELL)), x={"shape": (2, 4, 4)}))
    x, w = batch(2, 4, 4, n=8), weights(space)
    results = []
    for form, alone in (("mixed", False), ("mixed", True), ("categorical", False)):
        net = supernet_of(space, form, drop_path=KINDS[kind](0.5, seeded(3)))
        site = net.get_submodule("x->y")
        assert (type(site) is MixedOp) == (form == "mixed")
        results.append([site(x, w) if alone else net(x, w) for _ in range(4)])
    close(results[0], results[1])
    close(results[0], results[2])


@pytest.mark.parametrize("fast", [True, False])
def test_a_mixture_by_hand(fast):
    """Bender's form on one node: k = 4 options that carry something, one draw each."""
    space = SearchSpace(graph_of(("x", "y", Choice("c", CELL)), x={"shape": (2, 4, 4)}))
    net = supernet_of(space, drop_path=DropPath.operations(0.2, seeded(3)), fast=fast)
    x, w = batch(2, 4, 4), weights(space)["c"]
    pool = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    outputs = [x, net.get_submodule("x->y.2")(x), net.get_submodule("x->y.3")(x), pool]
    g, p = seeded(3), 0.2 ** (1 / 4)
    for _ in range(5):
        kept = [float(torch.rand(1, generator=g)) >= p for _ in outputs]
        expected = sum(w[k] * y * (keep / (1 - p)) for k, (y, keep) in enumerate(zip(outputs, kept, strict=True), 1))
        close(net(x, [w]), expected + torch.zeros_like(x))


def test_paths_are_all_options_into_a_node():
    """Zero, which carries nothing, does not count; edges without a choice do."""
    net = supernet_of(toy(), "categorical")
    assert {name: net.get_submodule(name).site.paths for name in ("x->a", "x->y", "a->y")} == {
        "x->a": 4,
        "x->y": 8,
        "a->y": 8,
    }
    graph = graph_of(
        ("x", "a", Conv()), ("x", "y", Conv()), ("a", "y", Choice("c", (Zero(), AvgPool()))), x={"shape": (2, 4, 4)}
    )
    assert supernet_of(SearchSpace(graph)).get_submodule("a->y").site.paths == 2


@pytest.mark.parametrize("form", FORMS)
def test_what_is_deeper_is_dropped_more(form):
    space = chain()
    drop = DropPath.scheduled(0.8, seeded())
    net = supernet_of(space, form, drop_path=drop)
    assert [net.get_submodule(e).site.depth for e in ("x->a", "a->b", "b->c", "c->y")] == [0.25, 0.5, 0.75, 1]
    x = torch.ones(4000, 2, 4, 4, dtype=torch.float64)
    for position, depth in enumerate((0.25, 0.5, 0.75, 1)):
        a = [0, 0, 0, 0]
        a[position] = 1  # one pooling, which keeps ones, among identities, which are never dropped
        y = net(x, one_hot(space, tuple(a)) if form == "mixed" else tuple(a))
        p = 0.8 * depth
        dropped = (y[:, 0, 0, 0] == 0).double().mean()
        if form == "categorical":
            assert abs(dropped - p) < 5 * (p * (1 - p) / len(x)) ** 0.5
        else:
            assert y.mean() == pytest.approx(1, abs=5 * (p / (1 - p) / len(x)) ** 0.5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
def test_a_copy_has_a_generator_of_its_own_in_the_same_state(form, way):
    space, x = toy(), batch(2, 4, 4)
    net = supernet_of(space, form, drop_path=DropPath.operations(0.5, seeded()))
    net(x, weights(space))
    net.drop_path.progress = 0.7
    copied = way(net)
    assert copied.drop_path.progress == 0.7
    ours = [net(x, weights(space)) for _ in range(4)]
    close([copied(x, weights(space)) for _ in range(4)], ours)
    copied.drop_path.progress = 0.0
    assert net.drop_path.progress == 0.7
    close(copied(x, (3, 3, 3)), copied.extract((3, 3, 3))(x))  # the copy's sites ask the copy's own


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_what_was_kept(form):
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Identity(), AvgPool()))), x={"shape": (2, 4, 4)}))
    net = supernet_of(space, form, drop_path=DropPath.scheduled(0.5, seeded(2)))
    x: Tensor = torch.ones(64, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    y = net(x, [torch.tensor([0.0, 1.0], dtype=torch.float64)])
    y.sum().backward()
    kept = y.detach()[:, 0, 0, 0] != 0
    assert 10 < kept.sum() < 54
    assert torch.equal(x.grad.flatten(1).any(dim=1), kept)
    close(x.grad[kept].sum(dim=(1, 2, 3)), torch.full((int(kept.sum()),), 64.0, dtype=torch.float64))
