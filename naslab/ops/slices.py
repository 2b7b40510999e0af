"""How the tensors of a large operation are cut for a smaller one, as plain data.

In a supernet the options of a choice of widths, kernels or heads share one set of tensors, those of the largest option.
Which part of them a smaller option uses is stated by the operation, by the name of the parameter or buffer in its
module, with one *cut* per axis:

- ``"leading"``: the first entries. Right for features that the operation makes.
- ``"centred"``: those in the middle. Right for the sides of a convolution's kernel.
- ``"input"``: the features of the input. Their first ones; where the input is a concatenation, the first ones of every
  tensor in it, so that weights stay with the features they were trained on.
- a tuple, such as ``(3, heads, size)``: the axis counts 3 parts of ``heads`` heads of ``size`` features each, and the
  first of each are kept; the large operation states its own numbers, the small one its own. The last entry may be
  ``"leading"`` or ``"input"``, for whatever the others leave: three fused gates are ``(3, "leading")``.

Nothing is guessed: an operation whose tensors have to be cut without a statement is refused in a supernet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Cut: TypeAlias = str | tuple[int | str, ...]
"""How one axis of a tensor is cut: one of the words above, or numbers with a word at the end."""
Slices: TypeAlias = Mapping[str, tuple[Cut, ...]]
"""The cuts of an operation's tensors: one per axis, by the name of the parameter or buffer in its module."""


def kernel_slices(name: str, *features: Cut, sides: int = 2) -> Slices:
    """The cuts of a convolution's weight: those of its two axes of features; kernels keep their centre.

    Args:
        name: The convolution in the module; empty where it is the module itself.
        *features: Cuts of the first two axes: output and input features, or the reverse where it is transposed.
        sides: The number of a kernel's axes.
    """
    return {_joined(name, "weight"): (*features, *["centred"] * sides)}


def linear_slices(name: str, outputs: Cut, inputs: Cut) -> Slices:
    """The cuts of an affine map's weight and bias.

    Args:
        name: The layer in the module; empty where it is the module itself.
        outputs: The cut of its output features.
        inputs: The cut of its input features.
    """
    return {_joined(name, "weight"): (outputs, inputs), _joined(name, "bias"): (outputs,)}


def norm_slices(name: str, features: Cut) -> Slices:
    """The cuts of a normalisation's affine pair and running statistics, as far as it has them.

    Args:
        name: The layer in the module; empty where it is the module itself.
        features: The cut of its features.
    """
    per_feature = ("weight", "bias", "running_mean", "running_var")
    found: dict[str, tuple[Cut, ...]] = {_joined(name, each): (features,) for each in per_feature}
    return {**found, _joined(name, "num_batches_tracked"): ()}


def within(name: str, slices: Slices, *, behind: bool = False) -> Slices:
    """The cuts of a part of a module.

    Args:
        name: The part in the module.
        slices: The part's own cuts.
        behind: Whether the part's input is not the module's: its features were made by another part.
    """
    return {_joined(name, tensor): tuple(map(_behind, cuts)) if behind else cuts for tensor, cuts in slices.items()}


def _behind(cut: Cut) -> Cut:
    """A cut of features that are not the input's: nothing is concatenated in them."""
    if isinstance(cut, tuple):
        return tuple("leading" if part == "input" else part for part in cut)
    return "leading" if cut == "input" else cut


def _joined(name: str, tensor: str) -> str:
    return f"{name}.{tensor}" if name else tensor
