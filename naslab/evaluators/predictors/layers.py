"""Layers with explicit randomness: initial values and dropout masks come from a generator that is handed in.

Networks are built on the meta device, because PyTorch's constructors draw from the global generator.
:func:`naslab.compiler.primitives.initialised` then sets their values.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslab.compiler.devices import moved
from naslab.compiler.primitives import Linear, initialised
from naslab.errors import InvalidValue

__all__ = ["LSTM", "Dropout", "Embedding", "LayerNorm", "Linear", "built"]


def built(make: Callable[[], nn.Module], generator: torch.Generator) -> nn.Module:
    """A network with PyTorch's default initial values, drawn from a generator."""
    with torch.device("meta"):
        network = make()
    return initialised(network, generator)


_MASKS = 2**16  # entries of a buffer of dropout masks: it stays in the processor's cache


class Embedding(nn.Embedding):
    """A vector for each token, standard normal at first. Token 0 is padding: zeros, which stay zero."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__(tokens, width, padding_idx=0)

    def reset_parameters(self) -> None:
        pass

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=generator)
        with torch.no_grad():
            self.weight[0] = 0


class LayerNorm(nn.LayerNorm):
    """Layer normalisation that starts with scale 1 and shift 0."""

    def reset_parameters(self) -> None:
        pass

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)


class LSTM(nn.LSTM):
    """One layer, batches first."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden, batch_first=True)

    def reset_parameters(self) -> None:
        pass

    def initialise(self, generator: torch.Generator) -> None:
        for name, parameter in list(self.named_parameters()):
            nn.init.uniform_(parameter, -(self.hidden_size**-0.5), self.hidden_size**-0.5, generator=generator)
            setattr(self, name, parameter)  # nn.LSTM has a second list of its parameters; this updates it


class Dropout(nn.Module):
    """Sets entries to zero while training and scales the others so that the expectation stays.

    Masks are cut from a buffer, because drawing many small ones costs more than what they mask. A byte decides for an
    entry, and one draw gives eight bytes. So the rate is rounded to 1/256 (0.1 becomes 26/256), and the scale fits the
    rounded rate.

    Args:
        rate: Probability of zero.
        generator: Draws the masks.

    Raises:
        InvalidValue: A rate below 0 or not below 1.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise InvalidValue(f"dropout={rate}. Allowed: from 0 to below 1")
        self.zeros = min(round(256 * rate), 255)
        self.generator = generator
        self._masks, self._used = torch.empty(0, device="cpu"), 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.zeros:
            return x
        if self._used + x.numel() > len(self._masks):
            self._masks, self._used = moved(self._drawn(max(_MASKS, x.numel())), x.device), 0
        mask = self._masks[self._used : self._used + x.numel()].view(x.shape)
        self._used += x.numel()
        return x * mask

    def _drawn(self, count: int) -> Tensor:
        """A new buffer: the backward pass still needs what was cut from the last one."""
        draws = torch.empty(-(-count // 8), dtype=torch.int64, device="cpu").random_(
            -(2**63), None, generator=self.generator
        )
        kept = draws.view(torch.uint8)[:count] >= self.zeros
        return kept * (256 / (256 - self.zeros))
