"""Small spaces for the compiler's tests, and what two networks must agree on."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from toy_spaces import graph_of

import naslab
from naslab import Choice, SearchSpace
from naslab.compiler import compile_supernet
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
    ReLU,
    SeparableConv,
    Zero,
)

CELL = (Zero(), Identity(), Conv(kernel=1), Conv(kernel=3), AvgPool())


def through_pickle(net: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(net))


def through_file(net: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(*shape: int, seed: int = 7, n: int = 4) -> Tensor:
    return torch.randn(n, *shape, dtype=torch.float64, generator=seeded(seed))


def weights(space: SearchSpace, seed: int = 3) -> dict[str, Tensor]:
    """Positive and negative numbers that do not sum to one."""
    g = seeded(seed)
    return {c.name: torch.randn(len(c.options), dtype=torch.float64, generator=g) for c in space.choices}


def one_hot(space: SearchSpace, architecture: tuple[int, ...]) -> dict[str, Tensor]:
    rows = zip(space.choices, architecture, strict=True)
    return {c.name: torch.eye(len(c.options), dtype=torch.float64)[k] for c, k in rows}


def supernet_of(space: SearchSpace, choices: str = "mixed", **options: Any) -> Any:
    return compile_supernet(space, choices, generator=seeded(), **options).double()


def shaken(net: nn.Module, seed: int = 5) -> nn.Module:
    """Every parameter and running statistic away from its special initial value (biases of zero, scales of one)."""
    g = seeded(seed)
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, dtype=tensor.dtype, generator=g), alpha=0.3)
    return net


def close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def cotangent(y: Tensor) -> Tensor:
    """Some dL/dout that is the same for every network with this output."""
    return torch.sin(torch.arange(1, y.numel() + 1, dtype=y.dtype)).reshape(y.shape)


def gradients(y: Tensor, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Zeros where there is none."""
    found = [None] * len(wanted)
    if y.requires_grad:
        found = torch.autograd.grad(y, list(wanted.values()), cotangent(y), allow_unused=True)
    pairs = zip(wanted.items(), found, strict=True)
    return {name: torch.zeros_like(tensor) if gradient is None else gradient for (name, tensor), gradient in pairs}


def assert_equal_networks(one: nn.Module, other: nn.Module, x: Tensor) -> None:
    """Same parameters (by name), output and gradients; other is compared after it got one's state."""
    results = []
    for net in (one, other):
        x_ = x.clone().requires_grad_()
        y = net(x_)
        results.append((y, gradients(y, {"x": x_, **dict(net.named_parameters())})))
    close(*results)


def assert_runs_as_extracted(supernet: Any, architecture: tuple[int, ...], decisions: Any, x: Tensor) -> None:
    """A supernet with these decisions, and the network extracted from it: one output, and after one step of gradient
    descent the same weights and statistics.
    """
    supernet = copy.deepcopy(supernet)
    network = supernet.extract(architecture)
    results = []
    for run, net in ((lambda x: supernet(x, decisions), supernet), (network, network)):
        x_ = x.clone().requires_grad_()
        y = run(x_)
        gradient = gradients(y, {"x": x_, **dict(net.named_parameters())})
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.sub_(gradient[name], alpha=0.1)
        results.append((y, gradient["x"]))
    close(*results)
    after = supernet.extract(architecture).state_dict()
    assert list(after) == list(network.state_dict())
    close(after, network.state_dict())


def two_edges() -> SearchSpace:
    """Two mixtures that meet in a sum."""
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("x", "y", Choice("p", (Zero(), Identity(), Conv(kernel=1), Conv(kernel=3)))),
        ("a", "y", Choice("q", (Identity(), AvgPool(), Conv(kernel=1)))),
        x={"shape": (2, 4, 4)},
    )
    return SearchSpace(graph, name="two-edges")


def toy() -> SearchSpace:
    """One cell of three nodes; 125 architectures."""
    names = {("x", "a"): "xa", ("x", "y"): "xy", ("a", "y"): "ay"}
    graph = graph_of(*((u, v, Choice(name, CELL)) for (u, v), name in names.items()), x={"shape": (2, 4, 4)})
    return SearchSpace(graph, name="toy")


def dag() -> SearchSpace:
    """A network that is not NAS-Bench-201: concatenations, strides, a choice used twice, separable convolutions."""
    halved = (
        Zero(),
        Conv(kernel=3, stride=2),
        MaxPool(stride=2),
        AvgPool(stride=2),
        DilatedConv(stride=2),
        FactorizedReduction(),
    )
    kept = (Zero(), Identity(), AvgPool(), Conv(kernel=3), Conv(kernel=1), SeparableConv())
    graph = graph_of(
        ("x", "stem", Conv(order="conv-bn")),
        ("stem", "a", Choice("kept", kept)),
        ("stem", "b", Choice("pool", (AvgPool(), MaxPool(), Identity()))),
        ("a", "b", Choice("kept2", kept)),
        ("stem", "c", Choice("kept", kept)),
        ("b", "c", Conv(kernel=1)),
        ("a", "half", Choice("halved", halved)),
        ("c", "half", Choice("halved2", halved)),
        ("b", "other", MaxPool(stride=2)),
        ("half", "all", Identity()),
        ("other", "all", Choice("last", (Zero(), Identity(), ReLU()))),
        ("all", "y", Classifier()),
        x={"shape": (3, 7, 8)},
        stem={"width": 4},
        c={"width": 4},
        all={"combine": "concat"},
        y={"width": 3},
    )
    return SearchSpace(graph, name="dag")


def nested() -> SearchSpace:
    """Options that contain choices."""
    options = (Identity(), Conv(kernel=Choice("kernel", (1, 3, 5))), MBConv(expansion=Choice("expansion", (1, 3))))
    graph = graph_of(
        ("x", "a", Choice("op", options)), ("a", "y", Choice("last", (Identity(), Conv()))), x={"shape": (2, 4, 4)}
    )
    return SearchSpace(graph, name="nested")


def width_mlp() -> SearchSpace:
    """Widths of a perceptron."""
    return naslab.search_space("mlp", in_features=3, out_features=2, widths=((2, 5, 3), (1, 4)))


def width_vectors() -> SearchSpace:
    """Vectors: widths shared by two nodes that are added up, and a concatenation whose pieces vary."""
    shared = Choice("shared", (2, 6))
    graph = graph_of(
        ("x", "a", Linear()),
        ("x", "b", Linear()),
        ("a", "sum", ReLU()),
        ("b", "sum", Identity()),
        ("x", "c", Linear()),
        ("sum", "both", Identity()),
        ("c", "both", ReLU()),
        ("both", "relu", ReLU()),
        ("relu", "y", Linear()),
        x={"shape": (4,)},
        a={"width": shared},
        b={"width": shared},
        c={"width": Choice("other", (1, 3, 5))},
        both={"combine": "concat", "inputs": ("sum", "c")},
        y={"width": 2},
    )
    return SearchSpace(graph, name="width-vectors")


def width_images(head: Any = None) -> SearchSpace:
    """Images: convolutions of variable width in and out, and a concatenation of two of them."""
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("x", "b", Conv(kernel=1, order="conv-bn")),
        ("a", "all", AvgPool()),
        ("b", "all", Identity()),
        ("all", "c", Conv(kernel=3)),
        ("c", "y", Conv(kernel=1) if head is None else head),
        x={"shape": (3, 4, 4)},
        a={"width": Choice("a", (2, 4))},
        b={"width": Choice("b", (3, 1))},
        all={"combine": "concat"},
        c={"width": Choice("c", (2, 3, 5))},
        y={"width": 2},
    )
    return SearchSpace(graph, name="width-images")


def width_mbconv() -> SearchSpace:
    """Kernel, expansion and width of an inverted bottleneck, whose input's width varies too."""
    op = MBConv(kernel=Choice("kernel", (3, 5)), expansion=Choice("expansion", (1, 3)), squeeze_excitation=True)
    graph = graph_of(
        ("x", "a", Conv(order="conv-bn")),
        ("a", "b", op),
        ("b", "y", Classifier()),
        x={"shape": (3, 4, 4)},
        a={"width": Choice("a", (4, 6))},
        b={"width": Choice("b", (4, 5))},
        y={"width": 2},
    )
    return SearchSpace(graph, name="width-mbconv")
