"""One-hot mixture, index, categorical view and extracted network are one; forms share their parameters."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from small import (
    assert_runs_as_extracted,
    batch,
    close,
    cotangent,
    dag,
    gradients,
    nested,
    one_hot,
    seeded,
    shaken,
    supernet_of,
    through_file,
    through_pickle,
    toy,
    two_edges,
    weights,
)
from torch import Tensor
from torch.nn import functional
from toy_spaces import graph_of

import naslab
from naslab import Choice, SearchSpace
from naslab.compiler import CategoricalOp, MixedOp, Sparse, compile_network, compile_supernet
from naslab.errors import InvalidSpace, InvalidValue
from naslab.ops import AvgPool, Classifier, Conv, Identity, MaxPool, Zero

FORMS = ["mixed", "categorical"]


def nasbench201():
    return naslab.search_space("nasbench201", channels=4, cells_per_stage=1, input_shape=(3, 8, 8))


SPACES = {"toy": toy, "dag": dag, "nested": nested, "nasbench201": nasbench201}


def input_of(space) -> Tensor:
    return batch(*space.graph.nodes[space.order[0]]["shape"])


# ---- equality ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", [True, False])
def test_all_architectures_of_a_toy(affine):
    space = toy()
    net = shaken(supernet_of(space, affine=affine))
    other, x = net.view("categorical"), input_of(space)
    for a in space.architectures():
        results = []
        network = net.extract(a)
        for run in (
            lambda x, a=a: net(x, one_hot(space, a)),
            lambda x, a=a: net(x, a),
            lambda x, a=a: other(x, a),
            lambda x, a=a: other(x, one_hot(space, a)),
            network,
        ):
            x_ = x.clone().requires_grad_()
            y = run(x_)
            results.append((y, gradients(y, {"x": x_})["x"]))
        for result in results[1:]:
            close(result, results[0])


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("options", [{"affine": True, "track_running_stats": True}, {}], ids=["affine", "plain"])
@pytest.mark.parametrize("way", ["one-hot", "index", "view"])
def test_one_hot_index_view_and_extracted_network_learn_the_same(name, options, way):
    space = SPACES[name]()
    if name == "nested" and way == "one-hot":
        options = {**options, "track_running_stats": False}  # kernels share statistics, and all of them run
    net = shaken(supernet_of(space, **options))
    rng = np.random.default_rng(0)
    for _ in range(5):  # times six ways: 30 of NAS-Bench-201
        a = space.sample(rng)
        decisions = one_hot(space, a) if way == "one-hot" else a
        assert_runs_as_extracted(net.view("categorical") if way == "view" else net, a, decisions, input_of(space))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "a",
    [(0, 3, 2, 0, 1, 0), (0, 0, 3, 0, 2, 4), (0,) * 6, (3, 0, 0, 1, 0, 0), (0, 2, 3, 0, 2, 4)],
    ids=str,
)
def test_disconnected_cells_and_dead_branches(a, affine, track, training):
    """Running statistics of a supernet are not zero even where the architecture's input is."""
    space = nasbench201()
    net = shaken(supernet_of(space, affine=affine, track_running_stats=track)).train(training)
    x = input_of(space)
    network = net.extract(a)
    assert network.training == training
    close(network(x), net(x, a))
    close(net(x, one_hot(space, a)), net(x, a))


@pytest.mark.parametrize("form", FORMS)
def test_zero_on_an_edge_that_halves_the_image(form):
    halved = (Zero(), Conv(stride=2), MaxPool(stride=2))
    graph = graph_of(
        ("x", "a", Choice("c", halved)),
        ("x", "b", Choice("d", halved)),
        ("a", "all", Identity()),
        ("x", "all", Choice("e", halved)),
        ("b", "all", Choice("f", (Zero(), Conv()))),
        ("all", "y", Conv(kernel=1)),
        x={"shape": (2, 5, 5)},
        all={"combine": "concat"},
    )
    space = SearchSpace(graph)
    net, x = shaken(supernet_of(space, form, affine=True)), input_of(space)
    for a in space.architectures():
        close(net(x, a), net.extract(a)(x))
        close(net(x, one_hot(space, a)), net(x, a))


def test_a_form_called_on_its_sites_alone():
    """Each site is one module of the stated kind, which computes what the graph does."""
    space = SearchSpace(graph_of(("x", "y", nested().graph.edges["x", "a"]["op"]), x={"shape": (2, 4, 4)}))
    net, x, w = shaken(supernet_of(space, affine=True)), batch(2, 4, 4), weights(space)
    for form, kind in (("mixed", MixedOp), ("categorical", CategoricalOp)):
        site = net.view(form).get_submodule("x->y")
        assert type(site) is kind
        close(site(x, w), net(x, w))
    sparse = {**w, "op": Sparse(w["op"], (1,), "scalar")}
    close(net.get_submodule("x->y")(x, sparse), net(x, sparse))


def test_the_mixed_graph_is_written_out_and_the_categorical_one_opaque():
    net = compile_supernet(toy(), fast=False)
    targets = {
        form: [str(n.target) for n in net.view(form).graph_module.graph.nodes if n.op == "call_module"]
        for form in FORMS
    }
    assert targets["categorical"] == ["x->a", "x->y", "a->y"]
    assert {"x->a.2.conv", "x->a.3.bn", "a->y.3.conv"} <= set(targets["mixed"])
    assert not {"x->a", "x->y", "a->y"} & set(targets["mixed"])


@pytest.mark.parametrize("fast", [True, False])
def test_equal_options_run_once_with_the_sum_of_their_weights(fast):
    """A set of inputs as one choice: most of its options keep a given edge."""
    inner = Conv(kernel=Choice("k", (1, 3)))
    graph = graph_of(
        ("x", "y", Choice("inputs", (Conv(), Zero(), Conv(), Identity(), inner))),
        ("x", "a", AvgPool()),
        ("a", "y", Choice("inputs", (Zero(), Identity(), Identity(), Conv(), Identity()))),
        x={"shape": (2, 4, 4)},
    )
    space = SearchSpace(graph)
    net, w = shaken(supernet_of(space, fast=fast)), weights(space)
    w["k"] = w["k"] / w["k"].sum()  # on the second edge, on which it has no place, they do not multiply
    calls = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, *_: calls.append(module))
    y = net(input_of(space), w)
    if not fast:  # the passes put several convolutions into one call
        assert len(calls) == len(set(calls)) == 2
    parts = [net.view("categorical")(input_of(space), {"inputs": i, "k": k}) for i in range(5) for k in range(2)]
    close(y, sum(w["inputs"][i] * w["k"][k] * parts[2 * i + k] for i in range(5) for k in range(2)))


def test_a_network_of_the_space_without_choices():
    graph = graph_of(("x", "a", Conv()), ("a", "y", Classifier()), x={"shape": (2, 4, 4)}, y={"width": 3})
    space = SearchSpace(graph)
    for form in FORMS:
        net = shaken(supernet_of(space, form, affine=True))
        assert_runs_as_extracted(net, (), (), input_of(space))


@pytest.mark.parametrize("form", FORMS)
def test_a_space_of_one_node_is_the_identity(form):
    x = batch(3)
    close(compile_supernet(SearchSpace(graph_of(x={"shape": (3,)})), form)(x, ()), x)


@pytest.mark.parametrize("form", FORMS)
def test_an_option_that_is_only_zero(form):
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Zero(),))), x={"shape": (3,)}))
    net, x = supernet_of(space, form), batch(3)
    for decision in (0, torch.ones(1, dtype=torch.float64)):
        close(net(x, [decision]), torch.zeros_like(x))


@pytest.mark.parametrize("form", FORMS)
def test_identity_options_alone_have_no_parameters(form):
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Zero(), Identity()))), x={"shape": (3,)}))
    net, x = supernet_of(space, form), batch(3)
    assert not list(net.parameters())
    close(net(x, [1]), x)
    close(net.extract((1,))(x), x)
    close(net(x, [torch.tensor([5.0, 2.0], dtype=torch.float64)]), 2 * x)


# ---- two forms, one set of parameters ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPACES)
def test_forms_share_tensors_and_names(name):
    space = SPACES[name]()
    net = compile_supernet(space, affine=True, track_running_stats=True)
    other = net.view("categorical")
    for one, two in zip(net.named_parameters(), other.named_parameters(), strict=True):
        assert one[0] == two[0]
        assert one[1] is two[1]
    assert list(net.state_dict()) == list(other.state_dict())
    assert list(compile_supernet(space, "categorical", affine=True, track_running_stats=True).state_dict()) == list(
        net.state_dict()
    )
    assert list(compile_supernet(space, affine=True, track_running_stats=True, fast=False).state_dict()) == list(
        net.state_dict()
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_view_of_a_view_is_the_original(form):
    net = compile_supernet(toy(), form)
    other = net.view(FORMS[1 - FORMS.index(form)])
    assert net.view(form) is net
    assert other.view(other.form) is other
    assert other.view(form) is net
    assert other is net.view(other.form)


def test_a_view_of_no_form_is_refused():
    with pytest.raises(InvalidValue, match=r"'categoric'.*'categorical'"):
        compile_supernet(toy()).view("categoric")


def test_views_follow_training_and_precision():
    net = supernet_of(nasbench201(), track_running_stats=True)
    other, x, a = net.view("categorical"), input_of(nasbench201()), (3, 2, 1, 4, 3, 3)
    net(x, a)
    net.eval()
    assert not net.view("categorical").training
    assert not net.view("categorical").extract(a).training
    close(other(x[:2], a), other(x, a)[:2])
    net.train().float()
    assert net.view("categorical").training
    assert other(x.float(), a).dtype == torch.float32


def test_training_one_form_trains_the_other():
    space, x = toy(), batch(2, 4, 4)
    net = supernet_of(space)
    other, before = net.view("categorical"), net.view("categorical")(x, (3, 3, 3)).detach()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    net(x, weights(space)).square().sum().backward()
    optimiser.step()
    after = other(x, (3, 3, 3))
    assert (after - before).abs().max() > 1e-3
    close(after, net.extract((3, 3, 3))(x))


# ---- copies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", [copy.deepcopy, through_pickle, through_file], ids=lambda w: w.__name__)
def test_copies_are_equal_and_their_own(name, form, way):
    space = SPACES[name]()
    net = shaken(supernet_of(space, form, affine=True)).eval()
    x, w, a = input_of(space), weights(space), space.normal(tuple(min(3, size - 1) for size in space.sizes))
    expected = net(x, w), net(x, a)
    copied = way(net)
    assert not copied.training
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in net.parameters()}
    close((copied(x, w), copied(x, a)), expected)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(-0.5)
    changed = copied(x, a)
    assert (changed - expected[1]).abs().max() > 1e-3
    close(copied.extract(a)(x), changed)
    close(copied(x, one_hot(space, a)), changed)
    close((net(x, w), net(x, a)), expected)


@pytest.mark.parametrize("forms", [("mixed", "categorical"), ("categorical", "mixed")], ids=str)
def test_state_dicts_go_from_form_to_form(forms):
    space = nasbench201()
    one = shaken(supernet_of(space, forms[0], affine=True))
    other = compile_supernet(space, forms[1], affine=True, generator=seeded(9)).double()
    x, w = input_of(space), weights(space)
    assert (one(x, w) - other(x, w)).abs().max() > 1e-3
    other.load_state_dict(one.state_dict())
    close(other(x, w), one(x, w))


def test_loading_after_a_view_was_made():
    space, x = toy(), batch(2, 4, 4)
    net = supernet_of(space)
    net.view("categorical")
    loaded = shaken(supernet_of(space)).state_dict()
    for assign in (False, True):
        net.load_state_dict(loaded, assign=assign)
        close(net.view("categorical")(x, (3, 2, 3)), net(x, one_hot(space, (3, 2, 3))))
        loaded = {name: tensor * 2 for name, tensor in loaded.items()}


def test_an_extracted_network_is_independent():
    space, x, a = toy(), batch(2, 4, 4), (3, 2, 3)
    net = supernet_of(space)
    network, expected = net.extract(a), net(x, a)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)
    close(network(x), expected)
    assert list(network.state_dict()) == list(
        compile_network(space, a, affine=False, track_running_stats=False).state_dict()
    )


def test_evaluation_without_gradients_first_does_not_spoil_training():
    """What the passes keep between calls must not come from inference mode."""
    space, x = toy(), batch(2, 4, 4)
    net = supernet_of(space)
    with torch.inference_mode():
        net(x, weights(space))
    x_ = x.clone().requires_grad_()
    net(x_, weights(space)).sum().backward()
    assert x_.grad is not None


def test_precision_may_change_after_compiling():
    space = nasbench201()
    for form in FORMS:
        net = compile_supernet(space, form, generator=seeded())
        assert net(input_of(space).float(), (3,) * 6).dtype == torch.float32
        assert net.double()(input_of(space), weights(space)).dtype == torch.float64


# ---- partial channels --------------------------------------------------------------------------------------------

PARTIAL = (Zero(), Identity(), AvgPool(), Conv(kernel=3))
HALVED = (Zero(), Conv(stride=2), MaxPool(stride=2))


def partial_space(options=PARTIAL, side: int = 5) -> SearchSpace:
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "y", Choice("c", options)),
        x={"shape": (3, side, side)},
        a={"width": 6},
    )
    return SearchSpace(graph)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channel c of group g to position c * groups + g."""
    n = x.shape[1] // groups
    return torch.stack([x[:, g * n + c] for c in range(n) for g in range(groups)], dim=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("options", [PARTIAL, HALVED], ids=["kept", "halved"])
@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("edges", [None, {}, {"c": torch.tensor(-1.5, dtype=torch.float64)}], ids=["no", "empty", "c"])
def test_partial_channels_against_the_papers_formula(form, k, options, side, edges):
    space = partial_space(options, side)
    net = supernet_of(space, form, partial_channels=k)
    x = batch(3, side, side)
    results = []
    for by_hand in (True, False):
        w = weights(space)["c"].requires_grad_()
        if by_hand:
            a = net.get_submodule("x->a")(x)
            first, others = a[:, : 6 // k], a[:, 6 // k :]
            terms = {Identity: lambda t: t, AvgPool: lambda t: functional.avg_pool2d(t, 3, 1, 1, False, False)}
            terms[MaxPool] = lambda t: functional.max_pool2d(t, 3, 2, 1)
            mixed = sum(
                w[i] * (net.get_submodule(f"a->y.{i}") if isinstance(op, Conv) else terms[type(op)])(first)
                for i, op in enumerate(options)
                if not op.is_zero
            )
            if options is HALVED:
                others = functional.max_pool2d(others, 2, 2, ceil_mode=True) if k > 1 else others[:, :, ::2, ::2]
            y = shuffled(torch.cat([mixed, others], dim=1), k)
            if edges:
                y = y * edges["c"]
        else:
            y = net(x, {"c": w}, edges)
        results.append((y, gradients(y, {"c": w, **dict(net.named_parameters())})))
    close(*results)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", [PARTIAL, HALVED], ids=["kept", "halved"])
def test_partial_channels_under_indices_and_sparse_decisions(form, options):
    """Zero alone, and numbers alone, on an edge that halves the image too."""
    space, x = partial_space(options), batch(3, 5, 5)
    net = supernet_of(space, form, partial_channels=2)
    a = net.get_submodule("x->a")(x)
    others = a[:, 3:] if options is PARTIAL else functional.max_pool2d(a[:, 3:], 2, 2, ceil_mode=True)
    for k in range(len(options)):
        close(net(x, (k,)), net(x, one_hot(space, (k,))))
    close(net(x, (0,)), shuffled(torch.cat([torch.zeros_like(others), others], dim=1), 2))
    w = weights(space)["c"]
    numbers = torch.full_like(others, float(w[1:].sum()))
    close(net(x, [Sparse(w, (0,), "scalar")]), shuffled(torch.cat([numbers, others], dim=1), 2))


def test_partial_channels_shrink_the_options_not_the_rest():
    shapes = {n: tuple(p.shape) for n, p in compile_supernet(partial_space(), partial_channels=3).named_parameters()}
    assert shapes == {"x->a.conv.weight": (6, 3, 3, 3), "a->y.3.conv.weight": (2, 2, 3, 3)}


def test_a_vector_has_no_partial_channels():
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Zero(), Identity()))), x={"shape": (3,)}))
    x = batch(3)
    close(supernet_of(space, partial_channels=2)(x, [1]), x)


@pytest.mark.parametrize("k", [4, 5, 12])
def test_channels_that_cannot_be_cut_are_refused(k):
    with pytest.raises(InvalidSpace, match=rf"'a->y': 6 channels can't be cut into {k} parts"):
        compile_supernet(partial_space(), partial_channels=k)


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_so_is_a_number_of_parts_that_is_none(k):
    with pytest.raises(InvalidValue, match=f"partial_channels={k}"):
        compile_supernet(partial_space(), partial_channels=k)


def test_partial_channels_need_one_width():
    graph = graph_of(("x", "y", Choice("c", (Conv(), Conv(kernel=1)))), x={"shape": (4, 4, 4)}, y={"width": 8})
    with pytest.raises(InvalidSpace, match=r"'x->y'.*one width"):
        compile_supernet(SearchSpace(graph), partial_channels=2)


def test_a_supernet_with_partial_channels_has_no_network_to_extract():
    net = compile_supernet(partial_space(), partial_channels=2)
    with pytest.raises(InvalidValue, match="partial channels"):
        net.extract((3,))


def test_a_cotangent_is_not_constant():
    """The comparisons above would not see an error in the gradient of a constant."""
    assert cotangent(torch.zeros(2, 3)).unique().numel() == 6


def test_both_mixtures_of_the_two_edges_count():
    space = two_edges()
    net, x, w = supernet_of(space), batch(2, 4, 4), weights(space)
    for name in ("p", "q"):
        assert (net(x, {**w, name: w[name] + 1}) - net(x, w)).abs().max() > 1e-3
