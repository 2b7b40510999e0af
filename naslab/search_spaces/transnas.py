"""What both search spaces of TransNAS-Bench-101 share: the stem, and the kinds of module in a skeleton.

Duan et al. 2021, "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural Architecture
Search" (section 3), and its public code. A network is a stem that quarters the image's height and width, some modules
of two cells or blocks, and a head; here the head is that of the benchmark's classification tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from naslab.errors import InvalidValue
from naslab.files import clipped
from naslab.ops import Conv

STRIDES = (1, 1, 2, 2)
DOUBLED = (0, 1, 0, 1)
"""Of the modules 1 to 4: the stride of the first cell, and whether it doubles the channels."""


def stem(input_shape: Sequence[int], channels: int) -> nx.DiGraph[Any]:
    """A graph that ends in the node ``stem``: two 3x3 convolutions of stride 2, the first with half of the channels.

    Args:
        input_shape: Channels, height and width.
        channels: Of the stem's output, an even number.

    Raises:
        InvalidValue: Channels that can't be halved.
    """
    if not isinstance(channels, int) or channels < 2 or channels % 2:
        raise InvalidValue(
            f"channels={clipped(channels)}: give an even whole number, which the stem halves, such as 64"
        )
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_node("image", shape=tuple(input_shape))
    graph.add_node("half stem", width=channels // 2)
    graph.add_edge("image", "half stem", op=Conv(kernel=3, stride=2, order="conv-bn"))
    graph.add_node("stem", width=channels)
    graph.add_edge("half stem", "stem", op=Conv(kernel=3, stride=2))
    return graph
