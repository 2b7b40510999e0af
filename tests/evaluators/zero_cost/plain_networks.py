"""Small networks in plain PyTorch, in float64, and what one needs to score them by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from naslab.evaluators.zero_cost.base import scores
from naslab.evaluators.zero_cost.catalogue import PROXIES
from naslab.evaluators.zero_cost.shared import Pass

CLASSES = 4


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Values from an explicit generator, and normalisations that do something."""
    generator = seeded(seed)
    for name, parameter in network.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = (
            drawn / parameter[0].numel() ** 0.5 if parameter.dim() > 1 else 0.1 * drawn + ("bias" not in name)
        )
    return network.double()


class Empty:
    """Layers without values: constructors would draw them from the global generator."""

    def __enter__(self) -> None:
        self.saved = nn.Conv2d.reset_parameters, nn.Linear.reset_parameters
        nn.Conv2d.reset_parameters = nn.Linear.reset_parameters = lambda module: None  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        nn.Conv2d.reset_parameters, nn.Linear.reset_parameters = self.saved  # type: ignore[method-assign]


def convolutional(seed: int = 0) -> nn.Sequential:
    with Empty():
        network = nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1, bias=False),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, CLASSES),
        )
    filled(network, seed)
    return network


def perceptron(seed: int = 0, bias: bool = True) -> nn.Sequential:
    with Empty():
        layers = [nn.Linear(3, 7, bias), nn.ReLU(), nn.Linear(7, 6, bias), nn.ReLU(), nn.Linear(6, CLASSES, bias)]
        network = nn.Sequential(*layers)
    filled(network, seed)
    return network


def images(rows: int = 8, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = seeded(seed)
    x = torch.randn(rows, 2, 6, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(CLASSES, (rows,), generator=generator)


def vectors(rows: int = 8, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = seeded(seed)
    return torch.randn(rows, 3, generator=generator, dtype=torch.float64), torch.arange(rows) % CLASSES


def weights(network: nn.Module) -> list[Tensor]:
    """In the network's own memory."""
    return [m.weight.detach() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def gradients(network: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    layers = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return list(torch.autograd.grad(functional.cross_entropy(network(x), y), layers))


def outputs(network: nn.Sequential, x: Tensor, *kinds: type[nn.Module]) -> list[Tensor]:
    """What the modules of some kinds deliver, one after the other."""
    found = []
    for module in network:
        x = module(x)
        if isinstance(module, kinds):
            found.append(x.detach())
    return found


def score(name: str, network: nn.Module, x: Tensor, y: Tensor | None = None) -> float:
    return PROXIES[name](network, x, y, seeded())


def known(network: nn.Module, x: Tensor, y: Tensor | None, *names: str, **context: object) -> Pass:
    wants = frozenset[str]().union(*(PROXIES[name].wants for name in names))
    return Pass(network, x, y, seeded(), wants, **context)  # type: ignore[arg-type]


def together(known: Pass, *names: str) -> dict[str, float]:
    return scores([PROXIES[name] for name in names], known)
