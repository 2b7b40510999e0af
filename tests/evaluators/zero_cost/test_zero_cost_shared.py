"""What is measured stays as it is; what is shared is what each proxy would compute alone."""

from __future__ import annotations

import gc
import math
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from plain_networks import CLASSES, convolutional, images, known, perceptron, score, seeded, together, vectors
from torch import Tensor, nn

from naslab.compiler.network import compile_network
from naslab.datasets import Rows
from naslab.errors import InvalidValue, UnknownName
from naslab.evaluators.zero_cost.blocks import cut_nodes
from naslab.evaluators.zero_cost.catalogue import PROXIES, proxies
from naslab.evaluators.zero_cost.options import Options
from naslab.evaluators.zero_cost.recorder import Recorder
from naslab.evaluators.zero_cost.training import Short
from naslab.search_spaces.pocket_cell import pocket_cell
from naslab.space import Recipe

pytestmark = pytest.mark.usefixtures("global_randomness")
SPACE = pocket_cell(channels=4, num_classes=CLASSES, input_shape=(2, 6, 6))
CELL = (3, 2, 4, 1, 3, 2)
ROWS = Rows(*(part.numpy() for part in (images(24)[0].float(), images(24)[1])))
CONTEXT: dict[str, Any] = {
    "blocks": cut_nodes(SPACE),
    "short": Short(ROWS, ROWS, Recipe(epochs=2, batch=8, learning_rate=0.1), steps=4),
}
EVERY = [name for name in PROXIES if name != "gen-nas"]


@pytest.fixture
def network() -> nn.Module:
    return compile_network(SPACE, CELL, generator=seeded())


def batch(rows: int = 8) -> tuple[Tensor, Tensor]:
    x, y = images(rows)
    return x.float(), y


def state(network: nn.Module) -> bytes:
    parameters = [(name, id(p), p.requires_grad, id(p.grad), p._version) for name, p in network.named_parameters()]
    values = {name: (id(value), value.numpy().tobytes()) for name, value in network.state_dict(keep_vars=False).items()}
    modes = [(name, module.training, len(module._forward_hooks)) for name, module in network.named_modules()]
    return pickle.dumps((parameters, [bytes_ for _, bytes_ in values.values()], modes))


@pytest.mark.parametrize("name", PROXIES)
def test_the_network_stays_as_it_is(name: str, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naslab.evaluators.zero_cost.gen_nas.ITERATIONS", 2)
    network.eval()
    first = next(iter(network.children()))
    first.train()
    parameters = list(network.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    before, x, y = state(network), *batch()
    copies = x.clone(), y.clone()
    assert math.isfinite(together(known(network, x, y, name, **CONTEXT), name)[name])
    assert state(network) == before
    assert torch.equal(parameters[1].grad, torch.ones_like(parameters[1]))
    assert torch.equal(x, copies[0])
    assert torch.equal(y, copies[1])
    assert (x.requires_grad, x.grad) == (False, None)


def test_it_stays_as_it_is_after_an_error() -> None:
    class Refusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            self.norm(x)
            raise KeyboardInterrupt

    network = Refusing().eval()
    before = state(network)
    for name in ("synflow", "snip", "zen", "meco"):
        with pytest.raises(KeyboardInterrupt):
            score(name, network, *batch())
    assert state(network) == before


@pytest.mark.parametrize("architecture", [CELL, (3, 3, 0, 4, 2, 0), (1, 0, 4, 0, 3, 3)])
def test_together_is_as_alone(architecture: tuple[int, ...]) -> None:
    network = compile_network(SPACE, architecture, generator=seeded(), cut=False)
    x, y = batch()
    for order in (EVERY, EVERY[::-1]):
        found = together(known(network, x, y, *order, **CONTEXT), *order)
        for name in order:
            alone = together(known(network, x, y, name, **CONTEXT), name)[name]
            assert found[name] == pytest.approx(alone, rel=1e-5, abs=1e-6), name


def test_one_forward_and_one_backward_serve_many(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards, backwards = [], []
    network.register_forward_hook(lambda *_: forwards.append(1))
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: backwards.append(1) or grad(*args, **kwargs))
    names = ["grad-norm", "snip", "plain", "fisher", "l2-norm", "params", "flops", "naswot"]
    together(known(network, *batch(), *names), *names)
    assert (len(forwards), len(backwards)) == (1, 1)
    names += ["jacob-cov", "epe-nas", "grasp"]
    together(known(network, *batch(), *names), *names)
    assert (len(forwards), len(backwards)) == (2, 4)  # the loss, its curvature, the Jacobian


def test_the_generator_decides_what_is_drawn(network: nn.Module) -> None:
    def zen(seed: int) -> float:
        return PROXIES["zen"](network, *batch(), seeded(seed))

    assert zen(1) == zen(1) != zen(2)


def test_memory_is_given_back_with_the_pass(network: nn.Module) -> None:
    gc.collect()
    gc.disable()
    try:
        everything = known(network, *batch(), *EVERY, **CONTEXT)
        together(everything, *EVERY)
        kept = [
            weakref.ref(tensor) for tensor in (everything.forward.logits, *everything.gradients, everything.jacobian)
        ]
        del everything
        assert not any(tensor() is not None for tensor in kept)
    finally:
        gc.enable()


def test_a_relu_of_one_tensor_is_computed_once_unless_it_was_written_to() -> None:
    x = torch.randn(3, 4, generator=seeded())
    with Recorder(lambda out: out) as recorder:
        one, other = torch.relu(x), torch.relu(x)
        x.neg_()
        third = torch.relu(x)
        third.zero_()
        fourth = torch.relu(x)
    assert one is other
    assert torch.equal(fourth, x.relu())
    assert len(recorder.relus) == 4
    assert len({id(out) for out in recorder.relus}) == 3


# ---- what is degenerate ----------------------------------------------------------------------------------------------


def broken(scale: float) -> nn.Module:
    network = perceptron().float()
    with torch.no_grad():
        network[0].weight.mul_(scale)
    return network


def nothing(x: Tensor) -> Tensor:
    return torch.zeros(len(x), CLASSES)


class Made(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("scale", [math.inf, math.nan, 1e38])
@pytest.mark.parametrize(
    "name", ["grad-norm", "plain", "snip", "grasp", "fisher", "jacob-cov", "epe-nas", "naswot", "zico"]
)
def test_numbers_that_overflow_are_the_worst(name: str, scale: float) -> None:
    x, y = vectors()
    assert score(name, broken(scale), 10 * x.float(), y) == -math.inf


@pytest.mark.parametrize(
    "name", ["grad-norm", "snip", "grasp", "jacob-cov", "epe-nas", "synflow", "zen", "zico", "gradsign"]
)
def test_a_network_without_layers_that_says_nothing_is_the_worst(name: str) -> None:
    assert score(name, Made(nothing), *batch()) == -math.inf


@pytest.mark.parametrize("architecture", [(0,) * 6, (3, 0, 0, 0, 0, 3), (0, 3, 0, 0, 4, 0)])
@pytest.mark.parametrize("cut", [True, False])
def test_a_disconnected_cell_is_the_worst_for_all_that_look_at_what_it_computes(
    architecture: tuple[int, ...], cut: bool
) -> None:
    network = compile_network(SPACE, architecture, generator=seeded(), cut=cut)
    names = [name for name in EVERY if not name.startswith("early")]
    found = together(known(network, *batch(), *names, **CONTEXT), *names)
    finite = {name for name, value in found.items() if math.isfinite(value)}
    assert finite == {"params", "flops", "depth", "l2-norm", "az-complexity"}
    assert all(value == -math.inf for name, value in found.items() if name not in finite)


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize(
    "architecture",
    [
        (1,) * 6,
        (4,) * 6,
        (0, 0, 0, 1, 0, 0),
        (0, 0, 0, 4, 0, 0),
        (0, 0, 0, 2, 0, 0),
        (0, 0, 0, 3, 3, 3),
        (3, 3, 3, 1, 0, 0),
    ],
)
def test_every_connected_cell_has_finite_scores(architecture: tuple[int, ...], cut: bool) -> None:
    build = partial(compile_network, SPACE, architecture, cut=cut)
    found = together(known(build(generator=seeded()), *batch(16), *EVERY, **CONTEXT, build=build), *EVERY)
    infinite = {name for name, value in found.items() if not math.isfinite(value)}
    if 2 not in architecture and 3 not in architecture:
        infinite -= {"naswot", "nwot"}  # the classifier's few ReLUs alone do not tell 16 rows apart
    if architecture in [(1,) * 6, (0, 0, 0, 1, 0, 0), (3, 3, 3, 1, 0, 0)]:
        infinite -= {"az-trainability"}  # the block is the identity, or a multiple of it
    assert not infinite


def test_meco_shows_another_size_to_networks_with_zeros_inside() -> None:
    """As to a network that was built for that size, with the same weights."""
    build = partial(compile_network, SPACE, (0, 0, 0, 3, 3, 3))
    network, x = build(generator=seeded()), batch(16)[0]
    found = [
        together(known(network, x, None, "meco", build=build, options=Options(size=size)), "meco")["meco"]
        for size in (0, 64)
    ]
    assert all(map(math.isfinite, found))
    large = compile_network(SPACE, (0, 0, 0, 3, 3, 3), generator=seeded(), shape=(2, 64, 64))
    shown = known(large, torch.empty(2, 2, 64, 64), None, "meco")
    shown.x = x.new_empty((1, 2, 64, 64)).normal_(generator=known(network, x, None, "meco").generator("meco"))
    assert found[1] == pytest.approx(together(shown, "meco")["meco"])


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, proxy in PROXIES.items() if proxy.least > 1])
def test_a_batch_of_one_is_refused_where_rows_are_compared(name: str) -> None:
    with pytest.raises(InvalidValue, match=f"'{name}' compares examples: a batch of 1. Allowed: from 2"):
        score(name, convolutional(), *images(1))


def test_rows_that_cannot_be_normalised_alone_are_refused() -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), *perceptron()).double()
    assert math.isfinite(score("snip", network, *vectors()))
    with pytest.raises(
        InvalidValue, match="'gradsign': a batch normalisation of this network receives a single number"
    ):
        score("gradsign", network, *vectors())


@pytest.mark.parametrize("name", ["naswot", "nwot", "swap"])
def test_a_network_without_relus_is_refused(name: str) -> None:
    network = Made(lambda x: torch.tanh(x).mean(dim=(2, 3)))
    with pytest.raises(InvalidValue, match=f"'{name}' looks at the codes of ReLUs, and the network has none"):
        score(name, network, *images())


def test_missing_and_unfit_labels_are_refused() -> None:
    x, y = images()
    for labels, reason in ((None, "needs labels"), (y.double(), "a class number"), (y[:3], "each of the 8 rows")):
        with pytest.raises(InvalidValue, match=reason):
            score("snip", convolutional(), x, labels)
    assert math.isfinite(score("naswot", convolutional(), x))


@pytest.mark.parametrize("name", [name for name, proxy in PROXIES.items() if proxy.images])
def test_vectors_are_refused_by_proxies_of_images(name: str) -> None:
    with pytest.raises(InvalidValue, match=r"is defined for images .* rows have shape \(3,\)"):
        score(name, perceptron(), *vectors())


def test_blocks_need_a_compiled_network() -> None:
    with pytest.raises(InvalidValue, match="looks at blocks"):
        score("az-expressivity", convolutional(), *images())


def test_names_are_looked_up() -> None:
    with pytest.raises(UnknownName, match=r"'synflo'.*Did you mean 'synflow'"):
        proxies(["synflo"])
    for given in ([], ["snip", "snip"]):
        with pytest.raises(InvalidValue, match="at least one name, each once"):
            proxies(given)
    assert [p.name for p in proxies("snip")] == ["snip"]
    everything = {p.name for p in proxies("all")}
    assert everything == set(PROXIES) - {"gen-nas", "early-loss", "early-accuracy"}
    assert not {p.name for p in proxies("all", images=False)} & {"meco", "az-trainability"}
    assert not {p.name for p in proxies("all", labels=False)} & {"snip", "epe-nas", "zico"}
