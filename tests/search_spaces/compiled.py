"""What must hold between a space, its networks and its supernets, whatever the space."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from naslab import SearchSpace
from naslab.compiler import compile_network, compile_supernet
from naslab.space import Architecture


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(space: SearchSpace, n: int = 3) -> Tensor:
    shape = space.graph.nodes[space.order[0]]["shape"]
    return torch.randn(n, *shape, dtype=torch.float64, generator=seeded(7))


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)


def shaken(net: nn.Module) -> nn.Module:
    """In double precision; every parameter and statistic away from its special initial value."""
    g = seeded(5)
    with torch.no_grad():
        for tensor in [*net.double().parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, dtype=tensor.dtype, generator=g), alpha=0.3)
    return net


def assert_costs_are_those_of_modules(space: SearchSpace, architectures: Iterable[Architecture]) -> None:
    """Parameters; multiply-accumulates as PyTorch counts them, fused attention apart, which it does not see."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    for architecture in architectures:
        network = compile_network(space, architecture, cut=False).eval()
        cost = space.cost(architecture)
        assert sum(parameter.numel() for parameter in network.parameters()) == cost.params
        with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            network(batch(space, 1).float())
        assert counter.get_total_flops() == 2 * cost.macs


def assert_paths_run_as_extracted(space: SearchSpace, architectures: Iterable[Architecture]) -> None:
    """In both forms, given as indices or as weights of one and zero, a supernet's path is the network taken from it."""
    x = batch(space)
    mixed = shaken(compile_supernet(space, "mixed", generator=seeded()))
    for architecture in architectures:
        expected = mixed.extract(architecture)(x)
        options = zip(space.choices, architecture, strict=True)
        weights = {c.name: torch.eye(len(c.options), dtype=torch.float64)[k] for c, k in options}
        close(mixed(x, weights), expected)
        close(mixed.view("categorical")(x, architecture), expected)


def assert_mixtures_train(space: SearchSpace) -> dict[str, Tensor]:
    """A mixture of everything gives finite scores and gradients; returns those of the mixture's weights."""
    net = compile_supernet(space, "mixed", generator=seeded()).double()
    g = seeded(3)
    weights = {c.name: torch.rand(len(c.options), dtype=torch.float64, generator=g) for c in space.choices}
    scores = net(batch(space), {name: weight.requires_grad_() for name, weight in weights.items()})
    assert scores.shape == (3, space.graph.nodes["logits"]["width"])
    scores.square().sum().backward()
    found = [parameter.grad for parameter in net.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)
    categorical = compile_supernet(space, "categorical", generator=seeded()).double()
    close(categorical(batch(space), weights), scores)  # the same weights, written in the other form
    return {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
