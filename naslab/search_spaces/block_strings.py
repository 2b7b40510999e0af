"""Mobile networks from block strings, ``r3 k5s2e3 40 se.25``: a network without decisions, to be counted and compiled.

Blocks are joined by ``;``. A block is ``rN`` (layers; 1 where it is left out), ``kKsSeE`` (kernel, stride of the first
layer, expansion), the width of its output and further words:

- ``se.25``: squeeze-and-excitation to a quarter of the block's input (MnasNet, EfficientNet); ``se``: to a quarter of
  the expanded width, divisible by 8, with a hard sigmoid (MobileNetV3).
- ``noskip``: no residual connections; ``pool``: 3x3 average pooling in their place (in MnasNet's space).
- ``g2``: 1x1 convolutions in two groups (FBNet).
- ``relu``, ``relu6``, ``hard-swish``: another activation than the network's.

``k3s2 24``, without an expansion, is a plain convolution; ``skip`` is a layer that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from naslab.errors import InvalidValue, UnknownName
from naslab.files import clipped
from naslab.ops import AvgPool, Identity, MBConv, Operation, SqueezeExcitation
from naslab.ops import Sequence as Chained
from naslab.search_spaces.counts import MOST
from naslab.search_spaces.mobile import ACTIVATIONS, MobileNetwork, MobileSpace, convolution

EXAMPLE = "k3s1e1 16; r2 k3s2e6 24; r3 k5s2e3 40 se.25"
EXCITATIONS = {"se.25": "mnasnet", "se": "mobilenetv3"}
SKIPS = ("noskip", "pool")
_SIZES = re.compile(r"k([1-9][0-9]?)s([12])(?:e([0-9]{1,2}(?:\.[0-9]{1,6})?))?")


@dataclass(frozen=True)
class Block:
    """Equal layers, but for the stride of the first.

    Attributes:
        kernel: Of the depthwise convolution, or of the plain one.
        stride: Of the first layer.
        expansion: Of the inverted bottleneck; None: a plain convolution.
        width: Of the output, before it is multiplied.
        layers: How many.
        squeeze_excitation: Its convention, or False.
        groups: Of the 1x1 convolutions.
        skip: ``"identity"``, ``"pool"`` or ``"noskip"``: what is added where the shape stays the same.
        activation: None: the network's.
    """

    kernel: int
    stride: int
    expansion: float | None
    width: int
    layers: int = 1
    squeeze_excitation: str | bool = False
    groups: int = 1
    skip: str = "identity"
    activation: str | None = None

    def operation(self, stride: int, activation: str) -> Operation:
        """One layer, given its stride and the network's activation."""
        chosen = self.activation or activation
        if self.expansion is not None:
            return MBConv(
                kernel=self.kernel,
                stride=stride,
                expansion=self.expansion,
                squeeze_excitation=self.squeeze_excitation,
                activation=chosen,
                groups=self.groups,
                residual=self.skip == "identity",
            )
        plain = convolution(self.kernel, stride, chosen)
        if not self.squeeze_excitation:
            return plain
        return Chained((plain, SqueezeExcitation(convention=self.squeeze_excitation)))


def read_blocks(string: str) -> list[Block]:
    """The blocks of a string, those that are skipped left out.

    Raises:
        InvalidValue: The string is not in that notation; names the block.
    """
    return [_read(part, string) for part in map(str.strip, string.split(";")) if part != "skip"]


def mobile_network(
    blocks: str,
    *,
    stem: int = 32,
    head: int | None = 1280,
    features: int | None = None,
    activation: str = "relu6",
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    width: float = 1.0,
) -> MobileSpace:
    """One mobile network as a space without decisions: its only architecture is ``()``.

    Args:
        blocks: Its blocks, see :mod:`naslab.search_spaces.block_strings`.
        stem: Width of the first convolution (3x3, stride 2).
        head: Width of the 1x1 convolution before pooling; None: there is none.
        features: Width of a layer with bias between pooling and the classifier (MobileNetV3); None: there is none.
        activation: ``"relu"``, ``"relu6"`` or ``"hard-swish"``.
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        width: Multiplies all widths (those of ``head`` and ``features`` only above 1); unless it is 1, they are made
            divisible by 8.

    Raises:
        InvalidValue: A block that is not in the notation, or an argument that makes no network.
    """
    network = MobileNetwork(input_shape, (), width, activation)
    network.stem(stem)
    before = network.scaled(stem)
    for number, block in enumerate(read_blocks(blocks), start=1):
        after = network.scaled(block.width)
        for layer in range(1, block.layers + 1):
            name, stride = f"block{number}/layer{layer}", block.stride if layer == 1 else 1
            op, keeps = block.operation(stride, activation), (stride, before) == (1, after)
            if keeps and block.skip == "pool":
                network.add_beside(name, op, AvgPool(kernel=3), after)
            elif keeps and block.skip == "identity" and block.expansion is None:
                network.add_beside(name, op, Identity(), after)
            else:
                network.add(name, op, after)
            before = after
    network.classify(
        num_classes,
        None if head is None else network.widened(head),
        None if features is None else network.widened(features),
    )
    return MobileSpace(network.graph, name="mobile-network")


def _read(part: str, whole: str) -> Block:
    words = part.split()
    layers = 1
    if words and re.fullmatch("r[0-9]+", words[0]):
        layers = int(words.pop(0)[1:][:9])
    sizes = _SIZES.fullmatch(words[0]) if words else None
    if sizes is None or len(words) < 2 or not re.fullmatch("[1-9][0-9]{0,5}", words[1]) or not 0 < layers <= MOST:
        raise InvalidValue(f"block {clipped(part)} of {clipped(whole)}: not a block such as those of {EXAMPLE!r}")
    kernel, stride, expansion = sizes.groups()
    block = {"kernel": int(kernel), "stride": int(stride), "width": int(words[1]), "layers": layers}
    found: dict[str, str | int] = {}
    for word in words[2:]:
        if word in EXCITATIONS:
            found["squeeze_excitation"] = EXCITATIONS[word]
        elif word in SKIPS:
            found["skip"] = word
        elif word in ("relu", *ACTIVATIONS):
            found["activation"] = word
        elif re.fullmatch("g[1-9][0-9]?", word):
            found["groups"] = int(word[1:])
        else:
            known = (*EXCITATIONS, *SKIPS, "relu", *ACTIVATIONS, "g2")
            raise InvalidValue(f"block {clipped(part)}: word {UnknownName(word[:80], known)}")
    return Block(**block, expansion=None if expansion is None else float(expansion), **found)  # type: ignore[arg-type]
