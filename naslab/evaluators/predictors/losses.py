"""Losses of predictors that learn by gradients: of the scores themselves, or of the order of each pair.

A pairwise loss is a mean over the pairs ``(i, j)`` of a batch with ``target_i > target_j``; equal targets make no pair.
The scale of the outputs is then set by the loss, not by the targets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from naslab.errors import UnknownName

Loss = Callable[[Tensor, Tensor], Tensor]
"""From outputs and targets, both ``(B,)``, to a scalar; of an ensemble, both ``(M, B)``, to its members' mean loss."""

MARGIN = 0.1
"""Of the hinge, in units of the output: GATES (Ning et al. 2020), section 4.1."""


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of ``(f_i - y_i)^2``."""
    return (outputs - targets).square().mean()


def absolute(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of ``|f_i - y_i|``."""
    return (outputs - targets).abs().mean()


def hinge(outputs: Tensor, targets: Tensor, margin: float = MARGIN) -> Tensor:
    """Mean over pairs of ``max(0, margin - (f_i - f_j))``."""
    return _over_pairs(functional.relu(margin - _differences(outputs)), targets)


def bce(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over pairs of ``-log sigmoid(f_i - f_j)``: binary cross-entropy of "i is better" (RankNet, Burges 2005)."""
    return _over_pairs(functional.softplus(-_differences(outputs)), targets)


def exponential(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of ``exp(y_i - 1) (f_i - y_i)^2``, with most weight on the best: BONAS (Shi et al. 2020), section 3.2."""
    return (torch.exp(targets - 1) * (outputs - targets).square()).mean()


LOSSES: dict[str, Loss] = {
    "squared": squared,
    "absolute": absolute,
    "exponential": exponential,
    "hinge": hinge,
    "bce": bce,
}
"""By name."""
ORDER_ONLY = ("hinge", "bce")
"""Those that use only the order of targets, so that outputs have no scale."""


def loss_named(name: str, margin: float = MARGIN) -> Loss:
    """The loss of a name.

    Args:
        name: See :data:`LOSSES`.
        margin: Of the hinge.

    Raises:
        UnknownName: There is none.
    """
    if name not in LOSSES:
        raise UnknownName(name, LOSSES, of="loss")
    return partial(hinge, margin=margin) if name == "hinge" else LOSSES[name]


def _differences(values: Tensor) -> Tensor:
    """``(..., B, B)``: that of row i minus that of column j."""
    return values.unsqueeze(-1) - values.unsqueeze(-2)


def _over_pairs(losses: Tensor, targets: Tensor) -> Tensor:
    pairs = (_differences(targets) > 0).to(losses.dtype)
    # A batch whose targets are all equal has no pair: the loss is zero, and so is its gradient.
    return (losses * pairs).sum() / torch.clamp(pairs.sum(), min=1)
