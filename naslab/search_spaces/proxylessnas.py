"""ProxylessNAS' space on ImageNet: an inverted bottleneck of six kinds in each of 21 layers (Cai et al. 2019).

Stem and first block are fixed. Layers that keep the shape may be left out (``Zero``: the residual connection remains),
which 15 of the 21 can: 6^6 * 7^15 = 2.2e17 networks. Widths are those of the published search code; the networks that
the authors released have others, see :mod:`naslab.search_spaces.published_mobile`.
"""

from __future__ import annotations

from collections.abc import Sequence

from naslab.ops import Identity, MBConv, Operation
from naslab.search_spaces.mobile import LayerSpace, MobileNetwork
from naslab.space import Choice

STAGES = ((24, 2, 4), (40, 2, 4), (80, 2, 4), (96, 1, 4), (192, 2, 4), (320, 1, 1))
"""Width, stride and layers of each stage (``width_stages``, ``stride_stages`` and ``n_cell_stages`` of the code)."""

CANDIDATES = {
    f"{kernel}x{kernel}_MBConv{expansion}": (kernel, expansion) for kernel in (3, 5, 7) for expansion in (3, 6)
}
"""The official names, in the official order: kernel and expansion of each."""


def proxylessnas(
    num_classes: int = 1000,
    input_shape: Sequence[int] = (3, 224, 224),
    width: float = 1.0,
    resolutions: Sequence[int] = (),
) -> LayerSpace:
    """ProxylessNAS' space, 2.2e17 architectures, written ``3x3_MBConv6|Zero|...``.

    Args:
        num_classes: Number of classes.
        input_shape: Channels, height and width.
        width: Multiplies all widths (the head's only above 1), which are then made divisible by 8.
        resolutions: Sides of the input to choose from, instead of the one in ``input_shape``.

    Raises:
        InvalidValue: A multiplier or sides that make no network.
    """
    network = MobileNetwork(input_shape, resolutions, width, "relu6")
    network.stem(32)
    before = network.scaled(16)
    network.add("first", MBConv(expansion=1, activation="relu6"), before)
    for name, layer, step, after in network.stages(STAGES):
        options: dict[str, Operation] = {
            label: MBConv(kernel=kernel, stride=step, expansion=expansion, activation="relu6")
            for label, (kernel, expansion) in CANDIDATES.items()
        }
        if layer > 1:
            options |= {"Zero": Identity()}
        network.add(name, Choice(name, tuple(options.values()), labels=tuple(options)), after)
    network.classify(num_classes, network.widened(1280))
    return LayerSpace(network.graph, name="proxylessnas")
