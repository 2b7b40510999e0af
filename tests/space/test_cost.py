"""Closed forms against modules built by hand, and the cost model against adding up resolved graphs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest
from torch import Tensor, cat, device, empty, nn
from torch.utils.flop_counter import FlopCounterMode
from toy_spaces import IMAGE, TOYS, VECTOR, graph_of

import naslab
from naslab import Choice, SearchSpace
from naslab.errors import UnknownMetric
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
    Operation,
    ReLU,
    ResidualReduction,
    SeparableConv,
    Zero,
)
from naslab.space import Factor, rounding

# ---- operations --------------------------------------------------------------------------------------------------


def convolution(c: int, w: int, kernel: int, stride: int = 1, **options) -> nn.Conv2d:
    dilation = options.get("dilation", 1)
    return nn.Conv2d(c, w, kernel, stride, padding=dilation * (kernel - 1) // 2, bias=False, **options)


def relu_conv_bn(c: int, w: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.ReLU(), convolution(c, w, kernel, stride), nn.BatchNorm2d(w))


def dilated(c: int, w: int, kernel: int, stride: int) -> nn.Module:
    depthwise = convolution(c, c, kernel, stride, groups=c, dilation=2)
    return nn.Sequential(nn.ReLU(), depthwise, convolution(c, w, 1), nn.BatchNorm2d(w))


def separable(c: int, w: int, kernel: int, stride: int) -> nn.Module:
    def half(width: int, step: int) -> list[nn.Module]:
        depthwise = convolution(c, c, kernel, step, groups=c)
        return [nn.ReLU(), depthwise, convolution(c, width, 1), nn.BatchNorm2d(width)]

    return nn.Sequential(*half(c, stride), *half(w, 1))


class Factorized(nn.Module):
    def __init__(self, c: int, w: int) -> None:
        super().__init__()
        self.even, self.odd = (nn.Conv2d(c, w // 2, 1, stride=2, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(w)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.norm(cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))


class Residual(nn.Module):
    def __init__(self, c: int, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(relu_conv_bn(c, w, 3, 2), relu_conv_bn(w, w, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2), convolution(c, w, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)


class Excitation(nn.Module):
    def __init__(self, hidden: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(hidden, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, hidden, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def mbconv(c: int, w: int, kernel: int, stride: int, expansion: int, excited: bool) -> nn.Module:
    hidden = c * expansion
    layers: list[nn.Module] = []
    if expansion != 1:
        layers += [convolution(c, hidden, 1), nn.BatchNorm2d(hidden), nn.ReLU6()]
    layers += [convolution(hidden, hidden, kernel, stride, groups=hidden), nn.BatchNorm2d(hidden), nn.ReLU6()]
    if excited:
        layers.append(Excitation(hidden, max(1, c // 4)))
    return nn.Sequential(*layers, convolution(hidden, w, 1), nn.BatchNorm2d(w))


def classifier(c: int, w: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, w))


C, W, SIDE = 6, 10, 8  # numbers of features in and out, pixels

BUILT = [
    (Conv(kernel=1), lambda: relu_conv_bn(C, W, 1)),
    (Conv(kernel=3), lambda: relu_conv_bn(C, W, 3)),
    (Conv(kernel=5, stride=2), lambda: relu_conv_bn(C, W, 5, 2)),
    (Conv(kernel=3, order="conv-bn"), lambda: nn.Sequential(convolution(C, W, 3), nn.BatchNorm2d(W))),
    (DilatedConv(kernel=3), lambda: dilated(C, W, 3, 1)),
    (DilatedConv(kernel=5, stride=2), lambda: dilated(C, W, 5, 2)),
    (SeparableConv(kernel=3), lambda: separable(C, W, 3, 1)),
    (SeparableConv(kernel=5, stride=2), lambda: separable(C, W, 5, 2)),
    (FactorizedReduction(), lambda: Factorized(C, W)),
    (ResidualReduction(), lambda: Residual(C, W)),
    *(
        (
            MBConv(kernel=kernel, stride=stride, expansion=expansion, squeeze_excitation=excited),
            lambda k=kernel, s=stride, e=expansion, x=excited: mbconv(C, W, k, s, e, x),
        )
        for kernel, stride, expansion, excited in itertools.product((3, 5), (1, 2), (1, 4), (False, True))
    ),
    (Classifier(), lambda: classifier(C, W)),
]


@pytest.mark.parametrize(("op", "build"), BUILT, ids=[repr(op) for op, _ in BUILT])
def test_closed_forms_are_what_the_built_module_counts(op, build):
    with device("meta"):
        module = build()
        with FlopCounterMode(display=False) as counter:
            result = module(empty(2, C, SIDE, SIDE))
    shape = (C, SIDE, SIDE)
    out = op.output_shape(shape, W)
    assert out == tuple(result.shape[1:])
    assert op.params(shape, out) == sum(p.numel() for p in module.parameters())
    assert op.macs(shape, out) == counter.get_total_flops() // 2 // 2  # two examples, two operations a multiply-add


def test_linear_is_what_the_built_module_counts():
    module = nn.Linear(7, 5)
    assert Linear().output_shape((7,), 5) == (5,)
    assert Linear().params((7,), (5,)) == sum(p.numel() for p in module.parameters()) == 40
    assert Linear().macs((7,), (5,)) == 35


@pytest.mark.parametrize(
    ("op", "shape", "out", "params", "macs"),
    [
        # one 3x3 convolution of NAS-Bench-201's first stage: 9 * 16 * 16 weights and 16 affine pairs, 1024 pixels
        (Conv(kernel=3), (16, 32, 32), (16, 32, 32), 2_336, 2_359_296),
        (Conv(kernel=1), (16, 32, 32), (16, 32, 32), 288, 262_144),
        # 3x3 16->32 at half the size, 3x3 32->32, 1x1 16->32
        (ResidualReduction(), (16, 32, 32), (32, 16, 16), 4_608 + 64 + 9_216 + 64 + 512, (4_608 + 9_216 + 512) * 256),
        (Classifier(), (64, 8, 8), (10,), 128 + 650, 640),
        # (9*4 + 4*4 + 2*4) + (9*4 + 4*6 + 2*6)
        (SeparableConv(kernel=3), (4, 2, 2), (6, 2, 2), 132, (36 + 16 + 36 + 24) * 4),
        (DilatedConv(kernel=5), (4, 2, 2), (6, 2, 2), 100 + 24 + 12, (100 + 24) * 4),
        # expand 4->8 on 16 pixels, depthwise and project on 4 pixels, squeeze to 1 and back
        (
            MBConv(kernel=3, stride=2, expansion=2, squeeze_excitation=True),
            (4, 4, 4),
            (6, 2, 2),
            (32 + 16) + (72 + 16) + (8 + 1 + 8 + 8) + (48 + 12),
            32 * 16 + (72 + 48) * 4 + 16,
        ),
        *((op, (4, 8, 8), (4, 8, 8), 0, 0) for op in (Zero(), Identity(), ReLU(), AvgPool(), MaxPool())),
        *((op, (4, 7, 7), (4, 4, 4), 0, 0) for op in (AvgPool(stride=2), MaxPool(stride=2))),
    ],
)
def test_hand_worked_costs(op, shape, out, params, macs):
    assert op.output_shape(shape, out[0]) == out
    assert op.params(shape, out) == params
    assert op.macs(shape, out) == macs


# ---- the model ---------------------------------------------------------------------------------------------------


def added_up(space: SearchSpace, architecture) -> tuple[int, int, int, int]:
    """Parameters, MACs, activation bytes and peak bytes of one architecture, without tables."""
    graph = space.resolve(architecture)
    shapes: dict = {}
    params = macs = activations = peak = 0
    for node in nx.topological_sort(graph):
        attributes, arriving = graph.nodes[node], []
        for source in graph.predecessors(node):
            op: Operation = graph.edges[source, node]["op"]
            shape = shapes[source]
            out = op.output_shape(shape, None if attributes.get("combine") == "concat" else attributes.get("width"))
            params += op.params(shape, out)
            macs += op.macs(shape, out)
            if not isinstance(op, Zero | Identity):
                activations += 4 * int(np.prod(out))
                peak = max(peak, 4 * int(np.prod(shape) + np.prod(out)))
            if not isinstance(op, Zero):
                arriving.append(out)
        if not arriving:
            shapes[node] = attributes.get("shape") or shape
        elif attributes.get("combine") == "concat":
            shapes[node] = (sum(shape[0] for shape in arriving), *arriving[0][1:])
        else:
            assert len(set(arriving)) == 1
            shapes[node] = arriving[0]
    return params, macs, activations, peak


SPACES = {name: build() for name, build in TOYS.items()}
SPACES["mlp"] = naslab.search_space("mlp", widths=(8, 16, 32), depth=4)
SPACES["nasbench201"] = naslab.search_space("nasbench201", cells_per_stage=2)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
def test_the_model_is_the_sum_over_the_resolved_graph(space):
    rng = np.random.default_rng(0)
    architectures = [space.sample(rng) for _ in range(40)]
    expected = np.array([added_up(space, a) for a in architectures])
    for column, metric in enumerate(("params", "macs", "activation_bytes", "peak_bytes")):
        values = space.cost_model.values(metric, np.array(architectures, dtype=int))
        assert values.dtype == np.int64
        assert np.array_equal(values, expected[:, column])
        assert [getattr(space.cost(a), metric) for a in architectures] == list(expected[:, column])
        assert all(isinstance(getattr(space.cost(a), metric), int) for a in architectures)


def test_costs_worked_out_by_hand():
    # x(4) -> a, b(shared 6), c(5): linears; relu(a) + b (6) beside c (5): 11 -> 2
    cost = SPACES["widths"].cost((1, 2))
    assert cost.params == 30 + 30 + 25 + 24
    assert cost.macs == 24 + 24 + 20 + 22
    assert cost.activation_bytes == 4 * (6 + 6 + 5 + 6 + 2)
    assert cost.peak_bytes == 4 * (11 + 2)


def test_factors_cover_only_what_matters():
    scopes = {metric: [f.scope for f in factors] for metric, factors in SPACES["mlp"].cost_model.factors.items()}
    assert [scope for scope in scopes["params"] if len(scope) == 2] == [(0, 1), (1, 2), (2, 3)]
    # A choice between poolings costs nothing and must not appear.
    free = SearchSpace(graph_of(("x", "y", Choice("pool", (AvgPool(), MaxPool()))), x=IMAGE))
    assert free.cost_model.factors["params"] == ()
    assert free.cost((1,)).params == 0
    assert list(free.cost_model.values("params", [(0,), (1,)])) == [0, 0]
    assert [f.scope for f in free.cost_model.factors["peak_bytes"]] == [()]


def test_unknown_metrics_suggest_the_nearest():
    space = SearchSpace(graph_of(("x", "y", Linear()), x=VECTOR))
    with pytest.raises(UnknownMetric, match="Did you mean 'params'"):
        space.cost_model.value("parameters", ())
    with pytest.raises(UnknownMetric, match="Did you mean 'macs'"):
        space.cost_model.values("mac", [()])


@dataclass(frozen=True)
class Stubborn(Conv):
    """Counts the same as a convolution, in ways that arrays refuse or mistake."""

    way: str = "int"

    def params(self, shape, out):
        count = super().params(shape, out)
        if self.way == "int":
            return int(count)
        if self.way == "max":
            return max(0, count)
        if self.way == "if":
            return count + (1 if shape[0] < 0 else 0)
        return np.full_like(count, 7) if isinstance(count, np.ndarray) else count  # wrong, and silently


@pytest.mark.parametrize("way", ["int", "max", "if", "wrong"])
def test_an_operation_that_takes_no_arrays_is_asked_option_by_option(way):
    def space_with(op):
        graph = nx.DiGraph()
        graph.add_node("x", shape=(3, 8, 8))
        graph.add_node("y", width=Choice("width", (2, 4, 6)))
        graph.add_edge("x", "y", op=Conv())
        graph.add_node("z", width=Choice("other", (3, 5)))
        graph.add_edge("y", "z", op=op)
        graph.add_node("out", width=2)
        graph.add_edge("z", "out", op=Classifier())
        return SearchSpace(graph)

    kernel = Choice("kernel", (1, 3))
    ours, theirs = space_with(Conv(kernel=kernel)), space_with(Stubborn(kernel=kernel, way=way))
    assert all(ours.cost(a) == theirs.cost(a) for a in ours.architectures())


def test_a_space_of_many_widths_asks_its_operations_a_few_times(monkeypatch):
    """Pairs of widths are not gone through one by one: an edge of 400 x 400 is 160,000 of them."""
    asked = []
    counted = Linear.params
    monkeypatch.setattr(Linear, "params", lambda *args: asked.append(args) or counted(*args))
    space = naslab.search_space("mlp", in_features=4, out_features=2, depth=3, widths=range(1, 401))
    assert len(asked) < 20
    assert space.cost((399, 0, 399)).params == 5 * 400 + 401 * 1 + 2 * 400 + 401 * 2


def test_a_limit_holds_up_to_the_rounding_of_the_largest_sum():
    whole = Factor((0,), np.array([[3, -7]]))
    assert rounding([whole]) == rounding([]) == 0.0
    assert isinstance(rounding([whole]), float)
    assert rounding([whole, Factor((1,), np.array([0.5, -2.0])), Factor((2,), np.empty(0))]) == 1e-12 * (7 + 2.0)
