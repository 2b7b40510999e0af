"""Other values in the place of a network's own, for a while: what is measured is never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from naslab.compiler.devices import normal_like

Change: TypeAlias = Callable[[nn.Module, str, Tensor], Tensor]
"""From a module, the name of one of its parameters and its value to the value that stands in for it."""

Initialisation: TypeAlias = Literal["own", "normal", "kaiming"]
LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


class Values:
    """Values of all parameters and buffers of a network, apart from its own.

    The parameters are leaves that require gradients; the buffers are copies, so that running statistics are not kept.

    Args:
        network: The network.
        change: What the parameters become; by default they are the network's own (in the same memory: don't write).

    Attributes:
        weights: The weight of every convolution and linear layer, in the order of ``network.modules()``.
    """

    def __init__(self, network: nn.Module, change: Change | None = None) -> None:
        self._modules = list(network.modules())
        self._places: list[tuple[dict[str, Any], str, Tensor]] = []
        self.weights: list[Tensor] = []
        seen: dict[int, Tensor] = {}  # a parameter that two modules share stays shared
        for module in self._modules:
            for name, parameter in module._parameters.items():
                if parameter is None:
                    continue
                if id(parameter) not in seen:
                    value = parameter.detach()
                    seen[id(parameter)] = (change(module, name, value) if change else value).requires_grad_()
                    if name == "weight" and isinstance(module, LAYERS):
                        self.weights.append(seen[id(parameter)])
                self._places.append((module._parameters, name, seen[id(parameter)]))
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    self._places.append((module._buffers, name, buffer.detach().clone()))

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The network has these values, and is in training mode; afterwards it is as it was."""
        own = [store[name] for store, name, _ in self._places]
        modes = [module.training for module in self._modules]
        try:
            for store, name, value in self._places:
                store[name] = value
            for module in self._modules:
                object.__setattr__(module, "training", True)  # nn.Module's own way takes ten times as long
            yield
        finally:
            for (store, name, _), value in zip(self._places, own, strict=True):
                store[name] = value
            for module, mode in zip(self._modules, modes, strict=True):
                object.__setattr__(module, "training", mode)

    def parameters(self) -> list[Tensor]:
        """Every parameter once."""
        return list({id(value): value for _, _, value in self._places if value.requires_grad}.values())


def initialised(kind: Initialisation, generator: torch.Generator) -> Change | None:
    """New initial values: normal weights in convolutions and linear layers, biases 0, normalisations the identity.

    Args:
        kind: ``"own"``: as the network comes. ``"normal"``: the standard deviation of weights is 1 (Lin et al. 2021,
            Zen-NAS). ``"kaiming"``: the root of 2 over the fan-in (He et al. 2015).
        generator: Draws the values.
    """
    if kind == "own":
        return None

    def change(module: nn.Module, name: str, value: Tensor) -> Tensor:
        if isinstance(module, LAYERS):
            if name != "weight":
                return torch.zeros_like(value)
            scale = 1.0 if kind == "normal" else (2 / value[0].numel()) ** 0.5
            return normal_like(value, generator, scale)
        if isinstance(module, nn.modules.batchnorm._NormBase):
            return torch.ones_like(value) if name == "weight" else torch.zeros_like(value)
        return value

    return change


def copied(module: nn.Module, name: str, value: Tensor) -> Tensor:
    """A copy of the value, for proxies that train."""
    return value.clone()
