"""MnasNet's factorised hierarchical space: blocks of equal layers, each block with decisions of its own.

Tan et al. 2019, "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (section 4.1). All layers of a block
share a convolution (plain, depthwise separable, inverted bottleneck of expansion 3 or 6), a kernel (3, 5), squeeze-and-
excitation (none, .25) and a skip (3x3 average pooling, identity, none); the block has a width (.75, 1, 1.25 times
MobileNetV2's) and a number of layers (MobileNetV2's, one more, one less): 4 * 2 * 2 * 3 * 3 * 3 = 432 forms. So the
paper's typical five blocks of three layers make 432^5 = 1.5e13 networks; decided layer by layer they would be 432^15.

What the paper leaves open, and MobileNetV2's seven blocks. A block's first layer changes the shape, so it has no skip;
where a block has one layer the skip is no decision. No block has less than one layer. Widths are the products, not made
divisible by 8 unless there is a width multiplier. Squeeze-and-excitation of a plain convolution reduces to a quarter of
its output. MnasNet-A1 itself lies outside: its fifth block has 112 = 96 * 1.17 channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from naslab.errors import InvalidArchitecture, InvalidValue
from naslab.files import clipped
from naslab.ops import AvgPool, Conv, Identity, MBConv, Operation, SqueezeExcitation, Zero
from naslab.ops import Sequence as Chained
from naslab.search_spaces.block_strings import Block, read_blocks
from naslab.search_spaces.counts import check_count
from naslab.search_spaces.mobile import MobileNetwork, MobileSpace
from naslab.space import Architecture, Choice

MOBILENETV2 = ((16, 1, 1), (24, 2, 2), (32, 2, 3), (64, 2, 4), (96, 1, 3), (160, 2, 3), (320, 1, 1))
"""Width, stride and layers of each block."""

EXPANSIONS = {"conv": None, "depthwise": 1, "mbconv3": 3, "mbconv6": 6}
"""The convolutions, by the expansion that a block string writes for them."""
KERNELS, RATIOS, SE, SKIPS = (3, 5), (0.75, 1, 1.25), ("none", "0.25"), ("pool", "identity", "noskip")


def mnasnet(
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    width: float = 1.0,
    resolutions: Sequence[int] = (),
    blocks: Sequence[Sequence[int]] = MOBILENETV2,
) -> MnasNet:
    """MnasNet's space over MobileNetV2's seven blocks, 4.3e17 architectures, written as block strings,
    ``r3 k5s2e3 40 se.25 pool; ...``.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        width: Multiplies all widths (the head's only above 1). Options of a width that become the same are one.
        resolutions: Sides of the input to choose from, instead of the one in ``input_shape``.
        blocks: Width, stride and layers of each block.

    Raises:
        InvalidValue: A multiplier, sides or blocks that make no network.
    """
    network = MobileNetwork(input_shape, resolutions, width, "relu")
    network.stem(32)
    for number, block in enumerate(blocks, start=1):
        if len(block) != 3 or not all(isinstance(each, int) and each > 0 for each in block):
            raise InvalidValue(f"blocks={clipped(blocks)}: give width, stride and layers of each, as {MOBILENETV2[:2]}")
        check_count(layers=block[2])
        _add_block(network, f"block{number}", *block)
    network.classify(num_classes, network.widened(1280))
    return MnasNet(network.graph, tuple(block[1] for block in blocks))


class MnasNet(MobileSpace):
    """MnasNet's networks, written as block strings.

    Args:
        graph: The whole network.
        strides: Of the blocks.
    """

    def __init__(self, graph: Any, strides: tuple[int, ...]) -> None:
        self.strides = strides
        super().__init__(graph, name="mnasnet")

    def to_string(self, architecture: Architecture) -> str:
        """Blocks as :func:`naslab.search_spaces.block_strings.mobile_network` reads them; after ``r160;`` where the
        side of the input is a choice."""
        decisions = self.decisions(architecture)
        taken = {choice.name: choice.options[decisions[choice.name]] for choice in self.choices}
        parts = [f"r{taken['resolution']}"] if "resolution" in taken else []
        for number, stride in enumerate(self.strides, start=1):
            name = f"block{number}"
            layers = self._depths(name)[decisions[f"{name}/layers"]]
            expansion = list(EXPANSIONS.values())[decisions[f"{name}/op"]]
            words = [f"r{layers}", f"k{taken[f'{name}/kernel']}s{stride}{'' if expansion is None else f'e{expansion}'}"]
            words.append(str(taken[f"{name}/width"]))
            words += ["se.25"] if decisions[f"{name}/se"] else []
            skip = SKIPS[decisions[f"{name}/skip"]]
            words += [skip] if layers > 1 and skip != "identity" else []
            parts.append(" ".join(words))
        return "; ".join(parts)

    def from_string(self, string: str) -> Architecture:
        """Inverse of :meth:`to_string`.

        Raises:
            InvalidArchitecture: The string is in another notation, or a network outside this space.
        """
        found: dict[str, int] = {}
        if self.choices[0].name == "resolution":
            first, _, string = string.partition(";")
            sides = [f"r{side}" for side in self.choices[0].options]
            if first.strip() not in sides:
                raise InvalidArchitecture(f"{clipped(first)} is no side of the input; allowed: {', '.join(sides)}")
            found["resolution"] = sides.index(first.strip())
        try:
            blocks = read_blocks(string)
        except InvalidValue as error:
            raise InvalidArchitecture(str(error)) from None
        if len(blocks) != len(self.strides):
            raise InvalidArchitecture(
                f"{clipped(string)} has {len(blocks)} blocks, not {len(self.strides)}; example: {self._example}"
            )
        for number, (block, stride) in enumerate(zip(blocks, self.strides, strict=True), start=1):
            found |= self._decided(f"block{number}", block, stride)
        return self.architecture([found.get(choice.name, 0) for choice in self.choices])

    def _decided(self, name: str, block: Block, stride: int) -> dict[str, int]:
        """The decisions of a block that was read."""
        if block.stride != stride or block.groups != 1 or block.activation or block.squeeze_excitation == "mobilenetv3":
            raise InvalidArchitecture(f"{name}: {block} has a stride, groups or words that no block of this space has")
        stated: dict[str, tuple[Any, Sequence[Any]]] = {
            "layers": (block.layers, self._depths(name)),
            "op": (block.expansion, list(EXPANSIONS.values())),
            "kernel": (block.kernel, KERNELS),
            "width": (block.width, self._choice(f"{name}/width").options),
        }
        for what, (value, allowed) in stated.items():
            if value not in allowed:
                known = ", ".join(map(str, allowed))
                raise InvalidArchitecture(f"{name}/{what} is {value}; allowed: {known.replace('None', 'no expansion')}")
        found = {f"{name}/{what}": list(allowed).index(value) for what, (value, allowed) in stated.items()}
        skip = SKIPS.index(block.skip) if block.layers > 1 else 0
        return {**found, f"{name}/se": int(bool(block.squeeze_excitation)), f"{name}/skip": skip}

    def _depths(self, name: str) -> tuple[int, ...]:
        return tuple(int(label) for label in self._choice(f"{name}/layers").labels)

    def _choice(self, name: str) -> Choice:
        return next(choice for choice in self.choices if choice.name == name)


def _add_block(network: MobileNetwork, name: str, stated: int, stride: int, layers: int) -> None:
    """Append a block: its first layer, then those that keep the shape, with their skips."""
    widths = dict.fromkeys(network.scaled(stated * ratio) for ratio in RATIOS)
    width, kernel = Choice(f"{name}/width", tuple(widths)), Choice(f"{name}/kernel", KERNELS)
    skip = Choice(f"{name}/skip", (AvgPool(kernel=3), Identity(), Zero()), labels=SKIPS)
    depths = tuple(depth for depth in (layers - 1, layers, layers + 1) if depth > 0)
    for layer in range(1, max(depths) + 1):
        there = [depth >= layer for depth in depths]
        op: Any = Choice(
            f"{name}/op", tuple(_convolutions(name, kernel, stride if layer == 1 else 1)), tuple(EXPANSIONS)
        )
        if layer == 1:
            network.add(f"{name}/layer1", op, width)
            continue
        beside: Any = skip
        if not all(there):
            op = Choice(f"{name}/layers", tuple(op if each else Zero() for each in there), depths)
            beside = Choice(f"{name}/layers", tuple(skip if each else Identity() for each in there), depths)
        network.add_beside(f"{name}/layer{layer}", op, beside, width)


def _convolutions(name: str, kernel: Choice, stride: int) -> Iterator[Operation]:
    """The four convolutions of a layer, in the order of :data:`EXPANSIONS`."""
    for expansion in EXPANSIONS.values():
        if expansion is None:
            gates = Choice(f"{name}/se", (Identity(), SqueezeExcitation()), SE)
            yield Chained((Conv(kernel=kernel, stride=stride, order="conv-bn-relu"), gates))
        else:
            excited = Choice(f"{name}/se", (False, True), SE)
            yield MBConv(kernel=kernel, stride=stride, expansion=expansion, squeeze_excitation=excited, residual=False)
