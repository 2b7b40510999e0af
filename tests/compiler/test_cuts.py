"""Operations that state how their tensors are cut, and standard layers of PyTorch as operations of a third party."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from small import assert_runs_as_extracted, batch, close, one_hot, seeded, shaken, supernet_of
from torch import Tensor, nn
from toy_spaces import graph_of

from naslab import Choice, SearchSpace, ops
from naslab.compiler import compile_network, compile_supernet
from naslab.compiler.cutting import part, put_back, ranges, steps
from naslab.compiler.primitives import Norm, build
from naslab.errors import InvalidSpace

# ---- ranges ------------------------------------------------------------------------------------------------------

PIECES = ((3, 1), (2, 2))


@pytest.mark.parametrize(
    ("large", "small", "size", "wanted", "pieces", "expected"),
    [
        ("leading", "leading", 5, 3, (), [0, 1, 2]),
        ("centred", "centred", 5, 3, (), [1, 2, 3]),
        ("input", "input", 5, 3, (), [0, 1, 2]),
        ("input", "input", 5, 3, PIECES, [0, 3, 4]),
        ((3, "leading"), (3, "leading"), 12, 6, (), [0, 1, 4, 5, 8, 9]),
        ((2, "input"), (2, "input"), 10, 6, PIECES, [0, 3, 4, 5, 8, 9]),
        ((2, 3, 2), (2, 2, 2), 12, 8, (), [0, 1, 2, 3, 6, 7, 8, 9]),  # heads
        ((2, 2, 3), (2, 2, 1), 12, 4, (), [0, 3, 6, 9]),  # sizes of heads
        ((4, "leading"), (2, "leading"), 12, 6, (), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_an_axis_is_cut_as_stated(large, small, size, wanted, pieces, expected):
    found = ranges(large, small, size, wanted, pieces)
    assert [i for start, length in found for i in range(start, start + length)] == expected
    assert all(a + length < b for (a, length), (b, _) in pairwise(found))  # merged


@pytest.mark.parametrize(
    ("large", "small", "size", "wanted", "message"),
    [
        ("leading", "leading", 3, 5, "5 are no part of 3"),
        ((8, 8), (4, 16), 64, 64, "4 x 16 are no part of 8 x 8"),
        ((3, "leading"), (3, "leading"), 13, 6, r"axis of 13 is not \(3, 'leading'\)"),
        ((2, 3), (2, 2), 8, 4, r"axis of 8 is not \(2, 3\)"),
        ("lading", "lading", 5, 3, "'lading'. Did you mean 'leading'"),
        (("leading", 3), ("leading", 3), 6, 3, "as the last entry"),
        ((), (), 5, 3, "allowed are numbers"),
        ("input", "input", 6, 3, "6 and 3 are not the features of the input, 5 and 3"),
    ],
)
def test_what_is_no_part_is_refused(large, small, size, wanted, message):
    with pytest.raises(InvalidSpace, match=message):
        ranges(large, small, size, wanted, PIECES if "input" in (large, small) else ())


def test_a_part_is_written_back_where_it_was_taken():
    cuts = ((2, "leading"), "leading", "centred")
    taken = steps(cuts, cuts, (6, 3, 5), (4, 2, 3))
    whole = batch(6, 3, 5, n=1)[0]
    close(part(whole, taken), whole[[0, 1, 3, 4]][:, :2, 1:4])
    changed = whole.clone()
    put_back(changed, taken, torch.zeros(4, 2, 3, dtype=whole.dtype))
    assert not part(changed, taken).any()
    assert (changed != 0).sum() == whole.numel() - 4 * 2 * 3
    with pytest.raises(InvalidSpace, match="one per axis"):
        steps(cuts[:2], cuts[:2], (6, 3, 5), (4, 2, 3))


# ---- operations of a third party ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Attention(ops.Operation):
    """Self-attention whose queries, keys and values are one tensor; heads of four features."""

    sets_width = True
    masks_width = True
    heads: Any = 2
    stated: bool = True

    def params(self, shape: ops.Shape, out: ops.Shape) -> int:
        return 12 * self.heads * shape[0] + 4 * self.heads * out[0]

    def slices(self, shape: ops.Shape, out: ops.Shape) -> ops.Slices:
        cuts: dict[str, Any] = {"join.weight": ("leading", (self.heads, 4))}
        return cuts | ({"project.weight": ((3, self.heads, 4), "input")} if self.stated else {})


class AttentionModule(nn.Module):
    def __init__(self, features: int, heads: int, out: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(features, 12 * heads, bias=False)
        self.join = nn.Linear(4 * heads, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x.transpose(1, 2)).unflatten(2, (3, self.heads, 4)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(2, 3) / 2).softmax(dim=3)
        return self.join((weights @ v).transpose(1, 2).flatten(2)).transpose(1, 2)


@build.register
def _(op: Attention, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return AttentionModule(shape[0], op.heads, out[0])


@dataclass(frozen=True)
class TorchGRU(ops.Operation):
    """PyTorch's own layer, with the width as its hidden features."""

    sets_width = True

    def slices(self, shape: ops.Shape, out: ops.Shape) -> ops.Slices:
        fused = {f"gru.weight_{each}_l0": ((3, "leading"), cut) for each, cut in (("ih", "input"), ("hh", "leading"))}
        return {**fused, **{f"gru.bias_{each}_l0": ((3, "leading"),) for each in ("ih", "hh")}}


class GRUModule(nn.Module):
    def __init__(self, features: int, out: int) -> None:
        super().__init__()
        self.gru = nn.GRU(features, out, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x.transpose(1, 2))[0].transpose(1, 2)


@build.register
def _(op: TorchGRU, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return GRUModule(shape[0], out[0])


@dataclass(frozen=True)
class Doubled(ops.Operation):
    """A third party's operation with a buffer of two statistics per feature of its input, in fused halves."""

    def slices(self, shape: ops.Shape, out: ops.Shape) -> ops.Slices:
        return {"seen": ((2, "input"),)}


class DoubledModule(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.empty(2 * features))

    def initialise(self, generator: torch.Generator) -> None:
        self.seen.zero_()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            values = x.detach().flatten(2)
            self.seen.mul_(0.5).add_(torch.cat([values.mean((0, 2)), values.square().mean((0, 2))]))
        return x + self.seen[: x.shape[1]].reshape(1, -1, 1)


@build.register
def _(op: Doubled, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return DoubledModule(shape[0])


def between(op: Any, *, concatenated: bool = False) -> SearchSpace:
    """A sequence whose width varies (or a concatenation of two), the operation, and a layer behind it."""
    graph = graph_of(
        ("x", "a", ops.Conv1d()),
        ("a", "b", ops.Tanh()),
        *([("x", "c", ops.Conv1d()), ("c", "b", ops.Identity())] if concatenated else []),
        ("b", "d", op),
        ("d", "e", ops.TokenPool()),
        ("e", "y", ops.Linear()),
        x={"shape": (3, 5)},
        a={"width": Choice("a", (4, 8))},
        b={"combine": "concat"} if concatenated else {},
        y={"width": 2},
    )
    if concatenated:
        graph.nodes["c"]["width"] = Choice("c", (4, 2))
    if op.sets_width and not isinstance(op, ops.Residual):
        graph.nodes["d"]["width"] = Choice("d", (6, 2, 4))
    return SearchSpace(graph)


HEADS = Choice("heads", (1, 2))
BLOCK = ops.Sequence(
    (
        ops.Residual(ops.Sequence((ops.LayerNorm(), ops.MultiHeadAttention(heads=HEADS, head_size=3)))),
        ops.Residual(ops.Sequence((ops.RMSNorm(), ops.FeedForward(expansion=Choice("expansion", (1, 2)))))),
    )
)
OPERATIONS = {
    "attention": Attention(heads=HEADS),
    "torch's gru": TorchGRU(),
    "statistics": Doubled(),
    "gru": ops.GRU(),
    "lstm": ops.LSTM(),
    "heads": ops.MultiHeadAttention(heads=HEADS),
    "heads of a size": ops.MultiHeadAttention(heads=HEADS, head_size=Choice("size", (3, 2))),
    "feed-forward": ops.FeedForward(expansion=Choice("expansion", (3, 2, 1.5))),
    "layer norm": ops.LayerNorm(),
    "batch norm": ops.BatchNorm(),
    "positions": ops.PositionalEmbedding(),
    "convolution": ops.Conv1d(kernel=Choice("kernel", (3, 1))),
    "dropout": ops.Dropout(),
    "block": ops.Residual(BLOCK),
    "parts": ops.Sequence((ops.SiLU(), Choice("part", (ops.Identity(), ops.Tanh())), ops.Conv1d())),
}
SPACES = {
    f"{place} {name}": between(op, concatenated=place == "behind")
    for name, op in OPERATIONS.items()
    for place in ("between", "behind")
}
MASKED = ("attention", "heads of a size", "convolution", "dropout", "parts")
X = batch(3, 5)


def some(space: SearchSpace, n: int = 3) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(1)
    return [space.sample(rng) for _ in range(n)]


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("training", [True, False])
def test_categorical_extracted_and_stand_alone_networks_agree(name, training):
    space = SPACES[name]
    net = shaken(supernet_of(space, "categorical", affine=True, track_running_stats=True)).train(training)
    for a in some(space):
        assert_runs_as_extracted(net, a, a, X)
        alone = compile_network(space, a).double().train(training)
        alone.load_state_dict(net.extract(a).state_dict())
        close(alone(X), net(X, a))


@pytest.mark.parametrize("name", SPACES)
def test_mixed_widths_agree_where_masking_is_slicing_and_are_refused_elsewhere(name):
    space = SPACES[name]
    if name.partition(" ")[2] not in MASKED:
        with pytest.raises(InvalidSpace, match=r"'b->d'.*choices='categorical'"):
            compile_supernet(space)
        return
    net = shaken(supernet_of(space)).eval()
    for a in some(space):
        close(net(X, one_hot(space, a)), net.view("categorical")(X, a))


def test_mixed_heads_are_mixtures_of_networks():
    """A choice of heads alone: no width is masked, every option runs on its part of the weights."""
    op = ops.Residual(ops.MultiHeadAttention(heads=Choice("heads", (1, 3, 2)), head_size=2))
    space = SearchSpace(graph_of(("x", "y", op), x={"shape": (3, 5)}))
    net, w = shaken(supernet_of(space)), torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    close(net(X, [w]), sum(w[k] * net.extract((k,))(X) for k in range(3)))


def test_a_grammar_written_as_options():
    """Costs are those of the networks; what nothing gets through is zero, what adds nothing an identity."""
    leaf = Choice("leaf", (ops.Conv(), ops.Zero(), ops.Identity()))
    branch = Choice("branch", (ops.Residual(leaf), ops.Sequence((leaf, ops.BatchNorm(), leaf)), leaf))
    graph = graph_of(("x", "a", ops.Sequence((branch, ops.ReLU()))), ("x", "a2", ops.Conv()), x={"shape": (4, 5, 5)})
    graph.add_edge("a", "y", op=ops.Identity())
    graph.add_edge("a2", "y", op=ops.Identity())
    space, x = SearchSpace(graph), batch(4, 5, 5)
    net = shaken(supernet_of(space, "categorical", affine=True))
    for a in space.architectures():
        network = net.extract(a)
        whole = compile_network(space, a, cut=False)
        assert sum(p.numel() for p in whole.parameters()) == space.cost(a).params
        close(network(x), net(x, a))
        close(net.view("mixed")(x, one_hot(space, a)), net(x, a))
    names = [choice.name for choice in space.choices]
    resolved = {a: space.resolve(a).edges["x", "a"]["op"] for a in space.architectures()}
    zero = [a for a, op in resolved.items() if op.is_zero]
    assert {tuple(a[names.index(n)] for n in ("branch", "leaf")) for a in zero} == {(1, 1), (2, 1)}


def test_the_heads_of_fused_projections_are_kept_whole():
    net = shaken(supernet_of(SPACES["between attention"], "categorical"))
    a = net.space.architecture([{"a": 0, "heads": 0, "d": 1}[c.name] for c in net.space.choices])
    whole, one = net.get_parameter("b->d.0.project.weight"), net.extract(a).get_parameter("b->d.project.weight")
    assert whole.shape == (24, 8)
    close(one, whole[[*range(4), *range(8, 12), *range(16, 20)]][:, :4])


def test_the_gates_of_a_recurrent_layer_are_cut_one_by_one():
    net = shaken(supernet_of(SPACES["between gru"], "categorical"))
    a = net.space.architecture([{"a": 0, "d": 1}[c.name] for c in net.space.choices])
    whole, small = net.get_submodule("b->d.0"), net.extract(a).get_submodule("b->d")
    assert whole.weight_hh_l0.shape == (18, 6)
    close(small.weight_hh_l0, whole.weight_hh_l0[[0, 1, 6, 7, 12, 13]][:, :2])
    close(small.bias_ih_l0, whole.bias_ih_l0[[0, 1, 6, 7, 12, 13]])


# ---- refusals ----------------------------------------------------------------------------------------------------


def kernels(op: Any) -> SearchSpace:
    return SearchSpace(graph_of(("x", "y", op), x={"shape": (8, 4, 4)}, y={"width": 8}))


@pytest.mark.parametrize("form", ["mixed", "categorical"])
@pytest.mark.parametrize(
    ("space", "message"),
    [
        (lambda: between(Attention(stated=False)), r"'b->d': Attention.*'project.weight'.*slices\(shape, out\)"),
        (lambda: between(Attention(heads=HEADS, stated=False)), "'b->d': Attention.*'project.weight'"),
        (
            lambda: kernels(ops.GroupedConv(groups=Choice("groups", (1, 4)))),
            r"'x->y': GroupedConv.*groups=1.*'weight': 8 are no part of 2; write a choice of operations",
        ),
    ],
)
def test_what_cannot_be_cut_is_refused_when_a_supernet_is_compiled(space, message, form):
    space = space()
    with pytest.raises(InvalidSpace, match=message) as caught:
        compile_supernet(space, form)
    assert "\n" not in str(caught.value)
    compile_network(space, next(space.architectures()))  # alone it has its own tensors


def test_without_choices_no_cuts_are_needed():
    space = SearchSpace(graph_of(("x", "y", Attention(stated=False)), x={"shape": (3, 5)}, y={"width": 4}))
    assert compile_supernet(space)(torch.zeros(2, 3, 5), {}).shape == (2, 4, 5)


def test_a_width_that_nothing_masks_has_no_mixed_form():
    graph = graph_of(
        ("x", "a", ops.Linear()),
        ("a", "b", ops.Linear()),
        ("b", "y", ops.Linear()),
        x={"shape": (3,)},
        a={"width": Choice("w", (2, 4))},
        y={"width": 2},
    )
    space = SearchSpace(graph)
    with pytest.raises(InvalidSpace, match=r"'a->b': nothing masks.*'w'.*give its node a width"):
        compile_supernet(space)
    graph.nodes["b"]["width"] = Choice("w", (2, 4))
    net, x = shaken(supernet_of(SearchSpace(graph))), batch(3)
    for k in (0, 1):
        close(net(x, one_hot(net.space, (k,))), net.view("categorical")(x, (k,)))


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        (ops.MultiHeadAttention(heads=5), (12, 3), "heads 5 does not divide 12"),
        (ops.MultiHeadAttention(heads=Choice("heads", (4, 5))), (12, 3), "heads 5 does not divide 12"),
        (ops.GroupedConv(groups=3), (8, 4, 4), "groups 3 does not divide 8"),
        (ops.Embedding(), (2, 5), r"allowed: token numbers, \(1, length\)"),
        (ops.GRU(), (2,), r"allowed: a sequence, \(features, length\)"),
        (ops.Conv1d(), (2, 4, 4), "allowed: a sequence"),
        (ops.Residual(ops.AvgPool(stride=2)), (2, 4, 4), "a residual connection keeps the shape"),
        (ops.Residual(ops.TokenPool()), (2, 4), "a residual connection keeps the shape"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused_when_the_space_is_built(op, shape, message):
    with pytest.raises(InvalidSpace, match=message):
        SearchSpace(graph_of(("x", "y", op), x={"shape": shape}))


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: ops.MBConv(activation="hardswish"), "MBConv: activation 'hardswish'. Did you mean 'hard-swish'"),
        (lambda: ops.MBConv(squeeze_excitation="mnasnt"), "squeeze_excitation 'mnasnt'. Did you mean 'mnasnet'"),
        (lambda: ops.FeedForward(activation="gleu"), "'gleu'. Did you mean 'gelu'"),
        (lambda: ops.SqueezeExcitation(convention="v3"), "SqueezeExcitation: convention 'v3'"),
        (lambda: ops.Upsample(mode="cubic"), "Upsample: mode 'cubic'"),
        (lambda: ops.Dropout(rate=1.0), "rate 1.0; allowed: at least 0 and below 1"),
        (lambda: ops.Sequence(()), "a sequence has at least one part"),
    ],
)
def test_unknown_attributes_are_refused_at_once(made, message):
    with pytest.raises(InvalidSpace, match=message):
        made()


# ---- initial values of PyTorch's own layers ----------------------------------------------------------------------


@dataclass(frozen=True)
class Standard(ops.Operation):
    """One of PyTorch's layers as it is."""

    layer: str


LAYERS = {
    "layer norm": lambda: nn.LayerNorm(5),
    "convolution": lambda: nn.Conv1d(6, 6, 3, padding=1),
    "gru": lambda: nn.GRU(5, 5, batch_first=True),
    "lstm": lambda: nn.LSTM(5, 5, batch_first=True),
    "embedding": lambda: nn.Embedding(9, 1),
    "attention": lambda: nn.MultiheadAttention(5, 5, batch_first=True),
    "transformer": lambda: nn.TransformerEncoderLayer(5, 1, 8, batch_first=True, dropout=0.0),
    "group norm": lambda: nn.GroupNorm(2, 6),
    "bilinear": lambda: nn.Bilinear(5, 5, 5),
}


class StandardModule(nn.Module):
    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = LAYERS[layer]()

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.layer, nn.Embedding):
            return self.layer(x.long().clamp(0, 8))[..., 0]
        if isinstance(self.layer, nn.MultiheadAttention):
            return self.layer(x, x, x)[0]
        y = self.layer(x, x) if isinstance(self.layer, nn.Bilinear) else self.layer(x)
        return y[0] if isinstance(y, tuple) else y


@build.register
def _(op: Standard, shape: ops.Shape, out: ops.Shape, norm: Norm) -> nn.Module:
    return StandardModule(op.layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_pytorchs_layers_work_as_they_are(layer):
    """They start as their constructors start them, from the generator alone."""
    space = SearchSpace(graph_of(("x", "y", Standard(layer)), x={"shape": (6, 5)}))
    before = torch.get_rng_state()
    one, same, other = (compile_network(space, (), generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(one.state_dict(), same.state_dict(), rtol=0, atol=0)
    drawn = "norm" not in layer
    assert drawn == any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with torch.random.fork_rng([]):
        plain = LAYERS[layer]()
    for name, parameter in plain.named_parameters():
        values = one.get_parameter(f"x->y.layer.{name}")
        assert values.isfinite().all()
        assert (values.min() == values.max()) == (parameter.min() == parameter.max()), name
        assert values.abs().max() < 3 * parameter.abs().max() + 1e-9, name
    assert one(torch.rand(2, 6, 5)).isfinite().all()


# ---- dropout -----------------------------------------------------------------------------------------------------


def test_dropout_draws_from_its_own_seed():
    space = SearchSpace(graph_of(("x", "y", ops.Dropout(rate=0.25)), x={"shape": (400,)}))
    before, x = torch.get_rng_state(), torch.ones(3, 400)
    one, same, other = (compile_network(space, (), generator=seeded(s)) for s in (1, 1, 2))
    first, second = one(x), one(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert abs((first == 0).float().mean() - 0.25) < 0.05
    assert not torch.equal(first, second)
    assert torch.equal(same(x), first)
    assert not torch.equal(other(x), first)
    resumed = compile_network(space, ())
    resumed.load_state_dict(same.state_dict())
    assert torch.equal(resumed(x), second)
    assert torch.equal(one.eval()(x), x)
