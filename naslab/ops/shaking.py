"""Residual blocks of vectors, and noise on their branches: shake-shake and shake-drop.

The noise is one draw for all rows of a call, forward and backward independently. What is drawn comes from a seed of
the module's own, as :class:`~naslab.ops.Dropout`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from naslab.errors import InvalidSpace
from naslab.ops.base import Count, Identity, Operation, Shape, Value
from naslab.ops.slices import Slices

_NOTHING = Identity()


@dataclass(frozen=True)
class ShakeDrop(Operation):
    """``(b + a - b a) x`` while training, ``(b + c - b c)`` times the gradient backward (Yamada et al. 2019, eq. 6).

    b is 1 with probability ``p = 1 - share * most``, else 0; a is uniform in [-1, 1], c in [0, 1]. In evaluation the
    factor is its mean, p.

    Args:
        most: The probability with which the last of several branches is shaken, 0 to 1.
        share: Of this branch: its number, counted from 1, divided by the number of branches.
        inverted: Training and evaluation exchanged, a in [0, 1], and 1/2 in training: a published bug, see
            :func:`naslab.search_spaces.tabular.tabular`.
    """

    masks_width = True
    most: Value = 0.5
    share: float = 1.0
    inverted: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.most, int | float) and not 0 <= self.most * self.share <= 1:
            raise InvalidSpace(f"{self!r}: a probability of {self.most * self.share}; allowed: 0 to 1")

    def slices(self, shape: Shape, out: Shape) -> Slices:
        return {"seed": (), "calls": ()}


@dataclass(frozen=True)
class PreActivationBlock(Operation):
    """A residual block of linear layers with activation in front (He et al. 2016b; Auto-PyTorch Tabular's).

    ``x + W2 drop(relu(norm(W1 relu(norm(x)))))``. Where the width changes, the first ``relu(norm(x))`` is shared with
    the shortcut, a linear layer. With shake-shake (Gastaldi 2017) there are two branches of the same form, weighted by
    a and 1 - a forward, c and 1 - c backward, uniform draws for all rows of a call (Gastaldi: for each row); 1/2 in
    evaluation.

    Args:
        dropout: An operation in front of each branch's second linear layer.
        shake_shake: Whether there is a second branch.
        shake_drop: An operation behind the branch or branches.
        inverted: Whether shake-shake draws in evaluation instead of in training: a published bug, see
            :func:`naslab.search_spaces.tabular.tabular`.
    """

    sets_width = True
    dropout: Value = _NOTHING
    shake_shake: Value = False
    shake_drop: Value = _NOTHING
    inverted: bool = False

    def output_shape(self, shape: Shape, width: int | None) -> Shape:
        if len(shape) != 1:
            raise InvalidSpace(f"{self!r}: an input of shape {shape}; allowed: vectors, (features,)")
        return super().output_shape(shape, width)

    def params(self, shape: Shape, out: Shape) -> Count:
        features, width, branches = shape[0], out[0], 1 + self.shake_shake
        changes = 1 * (features != width)
        norms = 2 * features * (changes + (1 - changes) * branches)
        branch = (features + 1) * width + 2 * width + (width + 1) * width
        return norms + changes * (features + 1) * width + branches * branch

    def macs(self, shape: Shape, out: Shape) -> Count:
        features, width = shape[0], out[0]
        changes = 1 * (features != width)
        return changes * features * width + (1 + self.shake_shake) * (features + width) * width
