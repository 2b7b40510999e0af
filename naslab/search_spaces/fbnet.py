"""FBNet's space: one of nine blocks in each of 22 layers (Wu et al. 2019, "FBNet", section 3.1, tables 1 and 2).

Candidates are inverted bottlenecks of kernel 3 or 5 with expansion 1, 1 in two groups, 3 or 6, and a skip: 9.8e20
networks, 9^22. As in the authors' own definitions (facebookresearch/mobile-vision), a bottleneck of expansion 1 has
no first 1x1 convolution, and a skip that has to change the shape is a 1x1 convolution. (HW-NAS-Bench's networks have
that first convolution; its latencies are of them.) Deviation from mobile-vision: its convolutions inside blocks have
biases, which the normalisations after them cancel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from naslab.errors import InvalidArchitecture
from naslab.files import clipped
from naslab.ops import Identity, MBConv, Operation
from naslab.search_spaces.mobile import LayerSpace, MobileNetwork, convolution
from naslab.space import Architecture, Choice

STAGES = ((16, 1, 1), (24, 2, 4), (32, 2, 4), (64, 2, 4), (112, 1, 4), (184, 2, 4), (352, 1, 1))
"""Width, stride and layers of each stage (table 1)."""

CANDIDATES = {
    f"k{kernel}_e{expansion}{f'_g{groups}' if groups > 1 else ''}": (kernel, expansion, groups)
    for kernel in (3, 5)
    for expansion, groups in ((1, 1), (1, 2), (3, 1), (6, 1))
}
"""Names and order of HW-NAS-Bench: kernel, expansion and groups of each; ``skip`` comes last."""


def fbnet(
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    width: float = 1.0,
    resolutions: Sequence[int] = (),
) -> FBNet:
    """FBNet's space, 9.8e20 architectures, written ``k3_e1|skip|...``.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        width: Multiplies all widths (the head's only above 1), which are then made divisible by 8.
        resolutions: Sides of the input to choose from, instead of the one in ``input_shape``.

    Raises:
        InvalidValue: A multiplier or sides that make no network.
    """
    network = MobileNetwork(input_shape, resolutions, width, "relu")
    network.stem(16)
    before = network.scaled(16)
    for name, _, step, after in network.stages(STAGES):
        options: dict[str, Operation] = {
            label: MBConv(kernel=kernel, stride=step, expansion=expansion, groups=groups)
            for label, (kernel, expansion, groups) in CANDIDATES.items()
        }
        options["skip"] = Identity() if (step, before) == (1, after) else convolution(1, step, "relu")
        network.add(name, Choice(name, tuple(options.values()), labels=tuple(options)), after)
        before = after
    network.classify(num_classes, network.widened(1984))
    return FBNet(network.graph, name="fbnet")


class FBNet(LayerSpace):
    """Also reads HW-NAS-Bench's lists of numbers, ``[0, 8, ...]``."""

    def from_string(self, string: str) -> Architecture:
        if not string.lstrip().startswith("["):
            return super().from_string(string)
        try:
            listed = json.loads(string)
        except (ValueError, RecursionError):
            raise InvalidArchitecture(f"{clipped(string)} is not a list of numbers such as [0, 8, ...]") from None
        return self.architecture(listed)
