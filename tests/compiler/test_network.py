"""One architecture as a network: counts, cutting, names, and surviving export, pickling and copying."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from small import (
    assert_equal_networks,
    batch,
    close,
    dag,
    nested,
    seeded,
    shaken,
    through_file,
    through_pickle,
    toy,
    width_images,
    width_vectors,
)
from torch import nn
from toy_spaces import graph_of

import naslab
from naslab import Choice, SearchSpace, ops
from naslab.compiler import compile_network
from naslab.compiler.layout import channels_last
from naslab.compiler.primitives import Norm, build
from naslab.ops import AvgPool, Classifier, Conv, Identity, Linear, MaxPool, ReLU, Zero

NONE, SKIP, CONV1, CONV3, POOL = range(5)
DATASETS = {
    "cifar10": {"num_classes": 10},
    "cifar100": {"num_classes": 100},
    "imagenet16-120": {"num_classes": 120, "input_shape": (3, 16, 16)},
}
SPACES = {
    "dag": dag,
    "nested": nested,
    "toy": toy,
    "width-images": width_images,
    "width-vectors": width_vectors,
}
DISCONNECTED = (NONE, CONV3, CONV1, NONE, SKIP, NONE)  # nothing reaches node 3 but node 1, which nothing reaches
MIXED = (SKIP, CONV3, NONE, NONE, POOL, CONV1)


@pytest.fixture(scope="module")
def space():
    return naslab.search_space("nasbench201", channels=4, cells_per_stage=2, input_shape=(3, 8, 8))


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def modules(net: Any) -> list[str]:
    return [str(node.target) for node in net.graph.nodes if node.op == "call_module"]


def edges(net: Any) -> list[str]:
    """Those modules that stand on an edge of a cell."""
    return [name for name in modules(net) if re.search(r"cell./.->.$", name)]


# ---- counts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("seed", [0, pytest.param(range(1, 11), marks=pytest.mark.slow)], ids=["20", "200"])
def test_an_uncut_network_has_the_official_number_of_parameters(dataset, seed):
    space = naslab.search_space("nasbench201", **DATASETS[dataset])
    for s in [seed] if isinstance(seed, int) else seed:
        rng = np.random.default_rng(s)
        for _ in range(20):
            a = space.sample(rng)
            assert count(compile_network(space, a, cut=False)) == space.cost(a).params, a


@pytest.mark.parametrize("name", SPACES)
def test_so_has_one_of_any_space(name):
    space = SPACES[name]()
    rng = np.random.default_rng(0)
    for _ in range(20):
        a = space.sample(rng)
        net = compile_network(space, a, cut=False)
        assert count(net) == space.cost(a).params, a
        node = space.order[-1]
        x = torch.zeros(2, *space.graph.nodes["x"]["shape"])
        assert tuple(net(x).shape) == (2, *space.cost_model.shapes[node].at(space.decisions(a)))


def test_without_affine_normalisation_only_convolutions_and_the_classifier_count(space):
    a = (CONV3,) * 6
    net = compile_network(space, a, affine=False)
    convolutions = sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Conv2d))
    assert count(net) == convolutions + 16 * 10 + 10


# ---- cutting -----------------------------------------------------------------------------------------------------

CASES = [
    DISCONNECTED,
    MIXED,
    (NONE,) * 6,
    (SKIP,) * 6,
    (CONV3, NONE, NONE, SKIP, NONE, NONE),  # node 1 leads nowhere
    (NONE, CONV1, CONV3, NONE, CONV1, POOL),  # node 1 comes from nowhere
    (NONE, NONE, CONV3, NONE, CONV1, POOL),
    (CONV1, POOL, SKIP, CONV3, CONV3, NONE),
]


@pytest.mark.parametrize("a", CASES, ids=str)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_cutting_changes_no_output(space, a, affine, track, training):
    options = {"affine": affine, "track_running_stats": track}
    whole, lean = (compile_network(space, a, cut=cut, generator=seeded(), **options).double() for cut in (False, True))
    assert set(lean.state_dict()) <= set(whole.state_dict())
    lean.load_state_dict({k: v for k, v in shaken(whole).state_dict().items() if k in lean.state_dict()})
    x = batch(3, 8, 8)
    close(lean.train(training)(x), whole.train(training)(x))


def test_what_cannot_reach_the_output_is_gone(space):
    a = (CONV3, NONE, NONE, SKIP, NONE, NONE)
    net = compile_network(space, a)
    assert edges(net) == []
    assert [name for name, _ in net.named_parameters() if "0->1" in name] == []
    assert edges(compile_network(space, a, cut=False)) == [f"stage{s}/cell{c}/0->1" for s in (1, 2, 3) for c in (1, 2)]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"affine": True}, ["1->2", "2->3", "1->3"]),  # their biases are learnt
        ({"affine": True, "track_running_stats": False}, ["1->2", "2->3", "1->3"]),
        ({"affine": False, "track_running_stats": False}, []),
    ],
    ids=str,
)
def test_what_the_input_cannot_reach_is_cut_where_it_is_zero(space, options, kept):
    net = compile_network(space, (NONE, NONE, CONV3, NONE, CONV1, POOL), **options)
    assert sorted(edges(net)) == sorted(f"stage3/cell2/{edge}" for edge in kept)


def test_a_disconnected_network_computes_its_constant(space):
    net = shaken(compile_network(space, DISCONNECTED, affine=True)).double().eval()
    y = net(batch(3, 8, 8, seed=1))
    assert y.std(dim=0).max() == 0
    assert y[0].std() > 0
    close(net(batch(3, 8, 8, seed=2)), y)


def test_a_network_of_nothing_is_zero():
    space = SearchSpace(graph_of(("x", "y", Choice("c", (Zero(), Conv(stride=2)))), x={"shape": (3, 5, 5)}))
    net = compile_network(space, (0,))
    y = net(torch.ones(2, 3, 5, 5, dtype=torch.float64))
    assert y.dtype == torch.float64
    close(y, torch.zeros(2, 3, 3, 3, dtype=torch.float64))


@pytest.mark.parametrize("cut", [True, False])
def test_zero_beside_an_operation_that_halves_the_image(cut):
    """Zeros that are kept have the shape of the node, not of what does not arrive."""
    halved = (Zero(), Conv(stride=2))
    graph = graph_of(
        ("x", "h", Choice("c", halved)),
        ("x", "k", Choice("d", halved)),
        ("h", "y", Conv()),
        ("k", "y", MaxPool()),
        ("x", "y", AvgPool(stride=2)),
        x={"shape": (3, 5, 5)},
    )
    space = SearchSpace(graph)
    for a in space.architectures():
        net = shaken(compile_network(space, a, cut=cut)).eval()
        x = torch.ones(2, 3, 5, 5)
        y = net(x)
        assert y.shape == (2, 3, 3, 3)
        if a == (0, 0):
            zeros = net.get_submodule("h->y")(torch.zeros(2, 3, 3, 3))
            close(y, nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False) + zeros)


@pytest.mark.parametrize("a", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_zero_beside_an_operation_that_halves_the_image_in_a_concatenation(a):
    halved = (Zero(), Conv(stride=2))
    graph = graph_of(
        ("x", "y", Choice("c", halved)), ("x", "h", AvgPool()), x={"shape": (3, 5, 5)}, y={"combine": "concat"}
    )
    graph.add_edge("h", "y", op=Choice("d", halved))
    space = SearchSpace(graph)
    y = compile_network(space, a)(torch.randn(2, 3, 5, 5, generator=seeded()))
    assert y.shape == (2, 6, 3, 3)
    assert [bool(part.abs().max()) for part in y.split(3, dim=1)] == [bool(k) for k in a]


@dataclass(frozen=True)
class Shift(ops.Operation):
    """A third party's operation that makes ones of zeros without having parameters."""


class ShiftModule(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


@build.register
def _(op: Shift, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return ShiftModule()


@dataclass(frozen=True)
class Offset(ops.Operation):
    """A third party's operation whose parameter starts at zero and need not stay there."""


class OffsetModule(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.zeros_(self.offset)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.offset


@build.register
def _(op: Offset, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return OffsetModule()


@pytest.mark.parametrize("op", [Shift(), Offset()], ids=str)
def test_a_third_partys_operation_that_is_not_zero_at_zero_is_kept(op):
    space = SearchSpace(graph_of(("x", "h", Zero()), ("h", "y", op), ("x", "y", Identity()), x={"shape": (3,)}))
    net = compile_network(space, ())
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    close(net(torch.ones(1, 3)), torch.full((1, 3), 2.0))


# ---- form --------------------------------------------------------------------------------------------------------


def test_identities_leave_no_node(space):
    net = compile_network(space, (SKIP,) * 6)
    kinds = [node.op for node in net.graph.nodes]
    # x1 = x0, x2 = x0 + x1, x3 = x0 + x1 + x2: three additions a cell and not one module.
    assert edges(net) == []
    assert kinds.count("call_function") == 6 * 3
    assert len(kinds) == 1 + 1 + 6 * 3 + 2 + 1 + 1


def test_modules_are_named_after_edges_and_code_is_legible(space):
    net = compile_network(space, (CONV3, NONE, SKIP, NONE, POOL, CONV1))
    edge = net.get_submodule("stage1/cell2/0->1")
    assert isinstance(edge, nn.Sequential)
    assert [name for name, _ in edge.named_children()] == ["relu", "conv", "bn"]
    assert "stage1/cell2/0->1.conv.weight" in net.state_dict()
    assert 'stage1_cell2_0_1 = getattr(self, "stage1/cell2/0->1")(' in net.code
    assert "def forward(self, image)" in net.code
    assert re.search(r"stage1_cell2_3 = torch.add\(stage1_cell2_1_3, stage1_cell2_2_3\)", net.code), net.code
    assert type(net).__name__ == space.name


def test_dots_in_names_become_underscores():
    graph = graph_of(("a.0", "b.1", Linear()), ("b.1", "c", Linear()), **{"a.0": {"shape": (3,)}})
    graph.edges["b.1", "c"]["name"] = "block.2"
    net = compile_network(SearchSpace(graph), ())
    assert modules(net) == ["a_0->b_1", "block_2"]
    assert net(torch.zeros(2, 3)).shape == (2, 3)


def test_a_space_of_one_node_is_the_identity():
    graph = graph_of(x={"shape": (3,)})
    x = batch(3)
    close(compile_network(SearchSpace(graph), ())(x), x)


def test_concatenation_keeps_the_stated_order():
    graph = graph_of(
        ("x", "a", ReLU()),
        ("x", "y", Identity()),
        ("a", "y", Identity()),
        x={"shape": (3,)},
        y={"combine": "concat", "inputs": ("a", "x")},
    )
    x = batch(3)
    close(compile_network(SearchSpace(graph), ())(x), torch.cat([x.relu(), x], dim=1))


# ---- surviving ---------------------------------------------------------------------------------------------------

LOAD = """
import sys, torch
program = torch.export.load(sys.argv[1])
x, y = torch.load(sys.argv[2])
torch.testing.assert_close(program.module()(x), y, rtol=1e-12, atol=1e-12)
assert "naslab" not in sys.modules
print("equal")
"""


@pytest.mark.parametrize("a", [MIXED, pytest.param(DISCONNECTED, marks=pytest.mark.slow)], ids=str)
def test_an_exported_network_is_equal_in_a_fresh_process(space, a, tmp_path):
    net = shaken(compile_network(space, a)).double().eval()
    x = batch(3, 8, 8)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    torch.save((x, net(x).detach()), tmp_path / "data.pt")
    files = [str(tmp_path / name) for name in ("net.pt2", "data.pt")]
    done = subprocess.run([sys.executable, "-c", LOAD, *files], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "equal\n", done.stderr


def test_an_exported_network_takes_any_number_of_examples(space):
    net = compile_network(space, DISCONNECTED).double().eval()
    dynamic = ({0: torch.export.Dim("n", min=2)},)
    program = torch.export.export(net, (batch(3, 8, 8),), dynamic_shapes=dynamic).module()
    x = batch(3, 8, 8, n=7)
    close(program(x), net(x))


@pytest.mark.parametrize("a", CASES, ids=str)
@pytest.mark.parametrize("way", [copy.deepcopy, through_pickle, through_file], ids=lambda w: w.__name__)
def test_copies_are_equal_and_their_own(space, a, way):
    net = shaken(compile_network(space, a)).double().eval()
    copied = way(net)
    assert list(copied.state_dict()) == list(net.state_dict())
    assert not {id(p) for p in copied.parameters()} & {id(p) for p in net.parameters()}
    assert not copied.training
    assert_equal_networks(net, copied, batch(3, 8, 8))


def test_state_dicts_round_trip(space):
    one, other = (shaken(compile_network(space, MIXED, generator=seeded(s)), s).double().eval() for s in (1, 2))
    x = batch(3, 8, 8)
    assert (one(x) - other(x)).abs().max() > 1e-3
    other.load_state_dict(one.state_dict())
    assert_equal_networks(one, other, x)


def test_evaluation_uses_running_statistics_and_changes_none(space):
    net = compile_network(space, MIXED).double()
    x = batch(3, 8, 8)
    in_training = net(x)
    state = copy.deepcopy(net.state_dict())
    assert all(tensor == 1 for name, tensor in state.items() if name.endswith("num_batches_tracked"))
    net.eval()
    assert (net(x) - in_training).abs().max() > 1e-6
    close(torch.cat([net(x[:2]), net(x[2:])]), net(x))
    torch.testing.assert_close(net.state_dict(), state, rtol=0, atol=0)


def test_without_running_statistics_evaluation_uses_the_batch(space):
    net = compile_network(space, MIXED, track_running_stats=False).double()
    x = batch(3, 8, 8)
    close(net.train()(x), net.eval()(x))
    assert not list(net.buffers())


def test_the_default_seed_is_fixed(space):
    one, other = (compile_network(space, MIXED).state_dict() for _ in range(2))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_all_parameters_of_a_connected_network_get_a_gradient(space):
    net = compile_network(space, MIXED)
    net(torch.randn(4, 3, 8, 8, generator=seeded())).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max()] == []


def test_a_network_of_convolutions_alone_against_plain_pytorch():
    """The whole of a small network written by hand."""
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "b", Conv(kernel=1)),
        ("x", "b", AvgPool()),
        ("b", "y", Classifier()),
        x={"shape": (3, 4, 4)},
        y={"width": 2},
    )
    net = shaken(compile_network(SearchSpace(graph), ())).double().eval()
    p, x = net.state_dict(), batch(3, 4, 4)

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (p[f"{name}.{part}"][:, None, None] for part in names)
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    a = normalised(nn.functional.conv2d(x, p["x->a.conv.weight"], padding=1), "x->a.bn")
    b = normalised(nn.functional.conv2d(a.relu(), p["a->b.conv.weight"]), "a->b.bn")
    b = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False) + b
    pooled = normalised(b, "b->y.norm").relu().mean(dim=(2, 3))
    close(net(x), pooled @ p["b->y.linear.weight"].T + p["b->y.linear.bias"])


def test_channels_last_differs_by_rounding_only():
    space = naslab.search_space("pocket-cell")
    architecture = (3, 2, 4, 1, 3, 2)
    plain, laid = (compile_network(space, architecture, generator=torch.Generator().manual_seed(0)) for _ in "ab")
    assert channels_last(laid) is laid
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(laid(x), plain(x), rtol=1e-4, atol=1e-5)
    convolutions = [each for each in laid.parameters() if each.dim() == 4]
    assert any(not each.is_contiguous() for each in convolutions)
    for ours, theirs in zip(laid.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
