"""A network that is a chain of layers, as a row of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from naslab.analysis.style import INK, ShownAxes, palette, style

ACROSS, BOX, KERNEL = 0.36, 0.27, 0.12  # inches: from box to box, a box's width, its height per pixel of the kernel


@dataclass(frozen=True)
class Layer:
    """A box.

    Attributes:
        kind: Gives the colour; empty for white.
        kernel: Its height.
        words: Written above it.
        shape: Of the output, features first; written below it.
    """

    kind: str
    kernel: int
    words: Sequence[str]
    shape: Sequence[int]


def draw_chain(layers: Sequence[Layer], ax: Axes | None = None, *, title: str = "") -> Axes:
    """Layers as boxes from left to right.

    Args:
        layers: In the order of the data flow.
        ax: Where to draw; new axes by default.
        title: Above it.
    """
    kinds = list(dict.fromkeys(layer.kind for layer in layers if layer.kind))
    high = max((KERNEL * layer.kernel + 0.1 * len(layer.words) for layer in layers), default=0)
    with style():
        if ax is None:
            wide = ACROSS * max(len(layers), 12) + 0.2
            figure = Figure(figsize=(wide, high + 0.9))
            ax = figure.add_axes((0, 0, 1, (high + 0.7) / (high + 0.9)), axes_class=ShownAxes)
            ax.set(xlim=(-ACROSS, wide - ACROSS), ylim=(-0.6, high + 0.1))
        colours = {kind: look.colour for kind, look in palette(kinds).items()} | {"": "white"}
        drawn = {}
        text: dict[str, Any] = {"ha": "center", "fontsize": 5.5, "color": INK, "linespacing": 1.1}
        for place, layer in enumerate(layers):
            corner, height = (ACROSS * place - BOX / 2, 0), KERNEL * layer.kernel
            drawn[layer.kind] = ax.add_patch(Rectangle(corner, BOX, height, fc=colours[layer.kind], ec=INK, lw=0.5))
            ax.text(ACROSS * place, height + 0.03, "\n".join(layer.words), va="bottom", **text)
            ax.text(ACROSS * place, -0.04, "\n".join(map(str, layer.shape[:2])), va="top", **text)
        drawn.pop("", None)
        ax.legend(drawn.values(), drawn.keys(), ncols=len(drawn), loc="lower left", frameon=False, fontsize=5.5)
        ax.set_title(title)
        ax.axis("off")
    return ax
