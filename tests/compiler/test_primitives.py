"""Every operation's module against the closed forms of its dataclass, and where its parameters come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from small import batch, close, seeded
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from toy_spaces import graph_of

from naslab import Choice, SearchSpace, ops
from naslab.compiler import compile_network, compile_supernet
from naslab.compiler.primitives import BatchNorm, Norm, build, initialised
from naslab.errors import InvalidSpace

VECTOR, EVEN, ODD = (6,), (6, 8, 8), (6, 7, 5)
CONVOLUTIONS = [
    ops.Conv(kernel=1),
    ops.Conv(kernel=3, order="conv-bn"),
    ops.Conv(kernel=5, stride=2, order="conv-bn-relu"),
    ops.Conv(kernel=3, stride=3),
    ops.PlainConv(),
    ops.PlainConv(kernel=1, stride=2),
    ops.UpsamplingConv(),
    ops.UpsamplingConv(kernel=5),
    ops.LeakyConv(),
    ops.LeakyConv(kernel=7, stride=2, slope=1),
    ops.LeakySeparableConv(kernel=5, stride=2),
    ops.LeakySeparableConv(dilation=2, slope=0.2),
    ops.LeakyUpsamplingConv(),
    ops.LeakyUpsamplingConv(kernel=3),
    ops.DilatedConv(),
    ops.DilatedConv(kernel=5, stride=2),
    ops.DilatedConv(kernel=3, dilation=3),
    ops.SeparableConv(),
    ops.SeparableConv(kernel=5, stride=2),
    ops.FactorizedReduction(),
    ops.ResidualReduction(),
    ops.ResidualReduction(kernel=5),
    ops.MBConv(),
    ops.MBConv(kernel=5, stride=2, expansion=3),
    ops.MBConv(expansion=1),
    ops.MBConv(expansion=1, squeeze_excitation=True),
    ops.MBConv(kernel=7, squeeze_excitation=True),
    ops.MBConv(kernel=5, groups=3),
    ops.MBConv(expansion=1, groups=3, stride=2),
    ops.Classifier(),
    ops.PooledLinear(),
]
KEEPING = [
    ops.Identity(),
    ops.ReLU(),
    ops.NormReLU(),
    ops.AvgPool(),
    ops.AvgPool(kernel=5, stride=2),
    ops.MaxPool(),
    ops.MaxPool(stride=2),
    ops.MaxPool(kernel=1, stride=3),
    ops.MaxPool(kernel=2, stride=2),
    ops.MaxPool(kernel=4, stride=2),
]
CASES = [
    *[(op, shape, width) for op in CONVOLUTIONS for shape in (EVEN, ODD) for width in (6, 9)],
    *[(op, shape, None) for op in (*CONVOLUTIONS, *KEEPING) for shape in (EVEN, ODD)],
    *[(ops.Projection(), shape, width) for shape in (EVEN, ODD) for width in (6, 9, None)],
    *[(ops.Truncate(), shape, width) for shape in (EVEN, ODD, VECTOR) for width in (1, 2, None)],
    *[(ops.Linear(), VECTOR, width) for width in (1, 6, None)],
    (ops.ReLU(), VECTOR, None),
    (ops.Identity(), VECTOR, None),
]


@pytest.mark.parametrize(("op", "shape", "width"), CASES, ids=str)
def test_a_module_has_the_stated_shape_parameters_and_macs(op, shape, width):
    out = op.output_shape(shape, width)
    with torch.device("meta"):
        module = build(op, shape, out, Norm()).eval()
        with FlopCounterMode(display=False) as counter:
            y = module(torch.empty(1, *shape))
    assert tuple(y.shape) == (1, *out)
    assert sum(p.numel() for p in module.parameters()) == op.params(shape, out)
    assert counter.get_total_flops() == 2 * op.macs(shape, out)


def test_truncation_keeps_the_first_features():
    x, module = batch(6, 2, 2), build(ops.Truncate(), (6, 2, 2), (4, 2, 2), Norm())
    assert torch.equal(module(x), x[:, :4])
    with pytest.raises(InvalidSpace, match=r"Truncate\(\): 7 features of 6; allowed: at most as many as arrive"):
        ops.Truncate().output_shape((6, 2, 2), 7)


def test_zero_has_no_module():
    with pytest.raises(InvalidSpace, match="Zero"):
        build(ops.Zero(), EVEN, EVEN, Norm())


def test_average_pooling_does_not_count_padding():
    module = build(ops.AvgPool(), (1, 3, 3), (1, 3, 3), Norm())
    close(module(torch.ones(1, 1, 3, 3)), torch.ones(1, 1, 3, 3))


@pytest.mark.parametrize("sides", [(4, 4), (5, 3)])
def test_an_even_maximum_pooling_has_no_padding(sides):
    x = batch(2, *sides)
    module = build(ops.MaxPool(kernel=2, stride=2), (2, *sides), (2, *[-(-s // 2) for s in sides]), Norm())
    h, w = module(x).shape[2:]
    close(
        module(x),
        torch.stack(
            [x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((2, 3)) for i in range(h) for j in range(w)], -1
        ).reshape(*x.shape[:2], h, w),
    )


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("sides", [(4, 4), (5, 3)])
def test_an_upsampling_convolution_puts_zeros_between_pixels(sides, kernel):
    """Against the definition; a transposed convolution stores its kernel mirrored, the input's features first."""
    op, shape = ops.UpsamplingConv(kernel=kernel), (2, *sides)
    module = initialised(build(op, shape, op.output_shape(shape, 5), Norm()), seeded()).double()
    x = batch(*shape)
    wide = torch.zeros(len(x), 2, 2 * sides[0], 2 * sides[1], dtype=x.dtype)
    wide[:, :, ::2, ::2] = x
    weight = module.weight.transpose(0, 1).flip(2, 3)
    close(module(x), nn.functional.conv2d(wide, weight, padding=kernel // 2))


def test_an_upsampling_convolution_has_an_odd_kernel():
    with pytest.raises(InvalidSpace, match="kernel 4; allowed: odd numbers"):
        build(ops.UpsamplingConv(kernel=4), EVEN, (6, 16, 16), Norm())


@pytest.mark.parametrize("sides", [(4, 4), (5, 3)])
def test_a_factorised_reduction_sees_both_diagonals(sides):
    """Against the definition: even pixels by one kernel, odd ones by the other, zero past the border."""
    shape = (2, *sides)
    module = initialised(build(ops.FactorizedReduction(), shape, (5, *[-(-s // 2) for s in sides]), Norm()), seeded())
    module = module.double().eval()
    x = batch(*shape)
    padded = nn.functional.pad(x.relu(), (0, 1, 0, 1))
    even = torch.einsum("oc,nchw->nohw", module.even.weight[:, :, 0, 0], x.relu()[:, :, ::2, ::2])
    odd = torch.einsum("oc,nchw->nohw", module.odd.weight[:, :, 0, 0], padded[:, :, 1::2, 1::2])
    close(module(x), torch.cat([even, odd], 1) / math.sqrt(1 + 1e-5))


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("relu-conv-bn", [nn.ReLU, nn.Conv2d, BatchNorm]),
        ("conv-bn", [nn.Conv2d, BatchNorm]),
        ("conv-bn-relu", [nn.Conv2d, BatchNorm, nn.ReLU]),
    ],
)
def test_a_convolution_has_its_parts_in_order(order, kinds):
    parts = list(build(ops.Conv(order=order), EVEN, EVEN, Norm()))
    assert len(parts) == len(kinds)
    assert all(isinstance(part, kind) for part, kind in zip(parts, kinds, strict=True))


@pytest.mark.parametrize("order", ["bn-conv", "conv", "conv-bn-tanh", "relu-bn", "", "conv-bn-conv", "relu-relu"])
def test_an_unknown_order_is_refused(order):
    space = SearchSpace(graph_of(("x", "y", ops.Conv(order=order)), x={"shape": EVEN}))
    with pytest.raises(InvalidSpace, match=r"'x->y'.*order .*allowed: relu-conv-bn"):
        compile_network(space, ())


@pytest.mark.parametrize(
    ("op", "residual"),
    [(ops.MBConv(), True), (ops.MBConv(stride=2), False), (ops.MBConv(residual=False), False)],
)
def test_an_inverted_bottleneck_is_residual_where_shapes_agree(op, residual):
    assert build(op, EVEN, op.output_shape(EVEN, 6), Norm()).residual is residual
    assert not build(op, EVEN, op.output_shape(EVEN, 7), Norm()).residual


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_norms_are_as_asked(affine, track):
    modules = [build(op, EVEN, op.output_shape(EVEN, 6), Norm(affine, track)) for op in CONVOLUTIONS]
    norms = [part for module in modules for part in module.modules() if isinstance(part, BatchNorm)]
    assert len(norms) > len(CONVOLUTIONS)
    for part in norms:
        assert (part.weight is not None, part.bias is not None) == (affine, affine)
        assert (part.running_mean is not None) == track


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_a_scaled_normalisation_is_the_normalisation_times_the_scale(affine, track, training):
    plain, scaled = (initialised(Norm(affine, track)(3), seeded()).double().train(training) for _ in range(2))
    x, scale = batch(3, 4, 4), torch.tensor(-1.7, dtype=torch.float64, requires_grad=True)
    results = []
    for y, norm in ((scale * plain(x), plain), (scaled(x, scale), scaled)):
        results.append((y, torch.autograd.grad(y.square().sum(), [scale, *norm.parameters()]), norm.state_dict()))
    close(*results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_scale_may_have_another_precision(dtype):
    norm, x = initialised(Norm()(3), seeded()).double(), batch(3, 4, 4)
    y = norm(x, torch.tensor(0.5, dtype=dtype))
    close(y, 0.5 * norm(x))


# ---- initial values ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate(ops.Operation):
    """A third party's operation: a factor per feature."""

    start: float = 0.5

    def params(self, shape: ops.Shape, out: ops.Shape) -> int:
        return shape[0]


class GateModule(nn.Module):
    def __init__(self, features: int, start: float) -> None:
        super().__init__()
        self.factors, self.start = nn.Parameter(torch.empty(features)), start

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.uniform_(self.factors, 0, self.start, generator=generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factors.reshape(-1, *[1] * (x.dim() - 2))


@build.register
def _(op: Gate, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return GateModule(shape[0], op.start)


@dataclass(frozen=True)
class Sloppy(ops.Operation):
    """A third party's operation whose tensors nothing initialises."""

    kind: str = "parameter"


class SloppyModule(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        if kind == "parameter":
            self.forgotten = nn.Parameter(torch.ones(1))
        else:
            self.register_buffer("forgotten", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.forgotten


@build.register
def _(op: Sloppy, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return SloppyModule(op.kind)


@dataclass(frozen=True)
class Halves(ops.Operation):
    """A third party's operation that starts a standard layer in its own way."""

    sets_width = True


class HalvesModule(nn.Module):
    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, out)

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.constant_(self.linear.weight, 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@build.register
def _(op: Halves, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return HalvesModule(shape[0], out[0])


@dataclass(frozen=True)
class Unbuilt(ops.Operation):
    """A third party's operation without a builder."""


def space_of(op: Any, shape: tuple[int, ...] = EVEN) -> SearchSpace:
    return SearchSpace(graph_of(("x", "y", op), x={"shape": shape}))


def test_a_third_party_operation_compiles():
    space = space_of(Gate(start=0.25), VECTOR)
    net = compile_network(space, (), generator=seeded(1))
    factors = dict(net.named_parameters())["x->y.factors"]
    assert sum(p.numel() for p in net.parameters()) == space.cost(()).params == 6
    assert 0 < factors.min() < factors.max() < 0.25
    x = torch.ones(2, 6)
    close(net(x), factors.expand(2, 6))
    close(compile_supernet(space, generator=seeded(1))(x, {}), net(x))


@pytest.mark.parametrize("kind", ["parameter", "buffer"])
def test_tensors_that_nothing_initialises_are_refused(kind):
    with pytest.raises(InvalidSpace, match=r"SloppyModule .*initialise\(generator\)"):
        compile_network(space_of(Sloppy(kind)), ())


def test_a_module_has_the_last_word_on_its_parts():
    net = compile_network(space_of(Halves(), VECTOR), ())
    parameters = dict(net.named_parameters())
    close(parameters["x->y.linear.weight"], torch.full((6, 6), 0.5))
    assert parameters["x->y.linear.bias"].abs().max() <= 6**-0.5


def test_an_operation_without_builder_is_named():
    for compiled in (lambda s: compile_network(s, ()), compile_supernet):
        with pytest.raises(InvalidSpace, match=r"edge 'x->y'.*Unbuilt\(\).*build.register"):
            compiled(space_of(Unbuilt()))


@pytest.mark.parametrize("op", [*CONVOLUTIONS, Gate()], ids=str)
def test_weights_come_from_the_generator_alone(op):
    space, before = space_of(op), torch.get_rng_state()
    one, same, other = (compile_network(space, (), generator=seeded(s)).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(one, same, rtol=0, atol=0)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert not any(tensor.is_meta for tensor in one.values())
    torch.manual_seed(0)
    again = compile_network(space, (), generator=seeded(1)).state_dict()
    torch.testing.assert_close(one, again, rtol=0, atol=0)


@pytest.mark.parametrize("form", ["mixed", "categorical"])
def test_so_do_those_of_a_supernet(form):
    space, before = space_of(Choice("c", (ops.Conv(), ops.MBConv()))), torch.get_rng_state()
    one, same = (compile_supernet(space, form, generator=seeded(1)).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(one, same, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("op", "shape", "name", "fan_in"),
    [
        (ops.Linear(), (50,), "x->y.weight", 50),
        (ops.Linear(), (50,), "x->y.bias", 50),
        (ops.Conv(kernel=3), (20, 4, 4), "x->y.conv.weight", 180),
        (ops.DilatedConv(kernel=5), (60, 4, 4), "x->y.depthwise.weight", 25),
        (ops.Classifier(), (30, 4, 4), "x->y.linear.weight", 30),
        (ops.PooledLinear(), (30, 4, 4), "x->y.linear.weight", 30),
        (ops.UpsamplingConv(), (30, 4, 4), "x->y.weight", 9 * 200),  # PyTorch counts a transposed kernel's outputs
    ],
    ids=str,
)
def test_layers_start_with_pytorchs_uniform_distribution(op, shape, name, fan_in):
    graph = graph_of(("x", "y", op), x={"shape": shape}, y={"width": 200})
    values = compile_network(SearchSpace(graph), (), generator=seeded(4)).state_dict()[name]
    bound = fan_in**-0.5
    assert values.abs().max() <= bound
    assert values.abs().max() > 0.97 * bound
    sd = bound / 3**0.5
    assert abs(values.mean()) < 5 * sd / values.numel() ** 0.5
    assert values.std() == pytest.approx(sd, rel=0.1)


def test_normalisations_start_as_identities():
    state = compile_network(space_of(ops.Conv()), ()).state_dict()
    found = {name.rpartition(".")[2]: tensor for name, tensor in state.items() if ".bn." in name}
    expected = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1, "num_batches_tracked": 0}
    assert {name: set(tensor.reshape(-1).tolist()) for name, tensor in found.items()} == {
        name: {value} for name, value in expected.items()
    }
