"""What a zero-cost proxy is: a number for an untrained network, higher is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from naslab.errors import InvalidValue
from naslab.evaluators.zero_cost.shared import Pass

WORST = -math.inf
"""The score of a network that a proxy can't rate: disconnected, or with numbers that overflow."""


@dataclass(frozen=True)
class Proxy:
    """A zero-cost proxy.

    Attributes:
        name: Such as ``"naswot"``.
        function: From what is known about a network to its score. What is not finite becomes :data:`WORST`.
        wants: The shared quantities that it looks at, so that one forward and one backward pass can serve all:
            see :class:`~naslab.evaluators.zero_cost.shared.Pass`.
        labels: Whether it needs class labels.
        least: The smallest batch that it makes sense for.
        images: Whether it is defined for images only.
    """

    name: str
    function: Callable[[Pass], float]
    wants: frozenset[str] = frozenset()
    labels: bool = False
    least: int = 1
    images: bool = False

    def __call__(
        self, network: nn.Module, x: Tensor, y: Tensor | None = None, generator: torch.Generator | None = None
    ) -> float:
        """The score of a network, which stays as it is.

        Args:
            network: From ``(B, ...)`` to ``(B, classes)``.
            x: ``(B, ...)``.
            y: ``(B,)`` class numbers.
            generator: For what a proxy draws; a fresh one with its default seed where None.

        Raises:
            InvalidValue: The proxy is not defined for this network or batch.
        """
        return scores([self], Pass(network, x, y, generator or torch.Generator(), self.wants))[self.name]

    def check(self, x: Tensor, y: Tensor | None) -> None:
        """Refuse a batch that the proxy is not defined for.

        Raises:
            InvalidValue: Says why, and what to do.
        """
        if len(x) < self.least:
            raise InvalidValue(
                f"proxy {self.name!r} compares examples: a batch of {len(x)}. Allowed: from {self.least}"
            )
        if self.labels and y is None:
            raise InvalidValue(
                f"proxy {self.name!r} needs labels, and there are none. Fix: give y, or rows with labels"
            )
        if self.labels and (y is None or y.is_floating_point() or len(y) != len(x)):
            raise InvalidValue(f"proxy {self.name!r} needs a class number for each of the {len(x)} rows of the batch")
        if self.images and x.dim() != 4:
            raise InvalidValue(
                f"proxy {self.name!r} is defined for images (channels, height, width); rows have shape "
                f"{tuple(x.shape[1:])}. Fix: leave it out"
            )


def scores(proxies: Iterable[Proxy], known: Pass) -> dict[str, float]:
    """The score of every proxy, by name.

    Args:
        proxies: What to compute.
        known: The pass of the network, made with all that the proxies want.

    Raises:
        InvalidValue: A proxy is not defined for this network or batch.
    """
    proxies = list(proxies)
    for proxy in proxies:
        proxy.check(known.x, known.y)
    return {proxy.name: _score(proxy, known) for proxy in proxies}


def _score(proxy: Proxy, known: Pass) -> float:
    try:
        score = float(proxy.function(known))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise InvalidValue(
            f"proxy {proxy.name!r}: a batch normalisation of this network receives a single number per channel. Fix: "
            "leave the proxy out if it takes rows one by one (gradsign, meco), else give a larger batch"
        ) from None
    return score if math.isfinite(score) else WORST
