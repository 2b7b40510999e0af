"""How the numbers of images lie in memory."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """The same network, in place, with the channels of a pixel side by side; its outputs differ by rounding only.

    A convolution whose weights lie so hands on images that do, and so all that follows. On a CPU a training step of one
    path through the cells of NAS-Bench-201 then takes about 0.6 of the time, above all in pooling and normalisation.
    Mixtures of all options, which share passes, gain nothing. A perceptron stays as it is.
    """
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
