"""The memory of a mobile network's activations on a microcontroller, by the model of MCUNet's code.

Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices" (``count_peak_activation_size`` in mit-han-lab/mcunet). One
convolution runs at a time and needs its input and its output; a depthwise convolution under a residual connection also
needs the block's input, which the projection's sum is not counted for. With TinyEngine a depthwise convolution writes
over its input and needs one more channel only (section 3.3). A number is one byte in int8; buffers of the runtime come
on top (18 to 46 kB in the authors' measurements). :attr:`naslab.space.Cost.peak_bytes` looks at whole blocks from
outside.

Left out: MCUNetV2's inference patch by patch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from naslab.ops import MBConv, Operation, Shape
from naslab.space import Architecture, SearchSpace


def peak_activations(space: SearchSpace, architecture: Architecture, *, in_place: bool = True) -> int:
    """The largest number of activations that a network holds at once.

    Args:
        space: Of mobile networks; what is no inverted bottleneck counts its input and output.
        architecture: An architecture of it.
        in_place: Whether depthwise convolutions write over their input, as TinyEngine's.
    """
    graph, shapes = space.resolve(architecture), space.shapes(architecture)[0]
    read = Counter(source for source, _, attributes in graph.edges(data=True) if not attributes["op"].is_zero)
    return max(
        needed
        for source, node, attributes in graph.edges(data=True)
        for needed in _needed(attributes["op"], shapes[source], shapes[node], read[source] > 1, in_place)
    )


def _needed(op: Operation, shape: Shape, out: Shape, again: bool, in_place: bool) -> Iterator[int]:
    """What each convolution of a layer holds, given whether its input is read again beside it."""
    if op.is_identity or op.is_zero:
        yield 0
    elif isinstance(op, MBConv):
        hidden = op.hidden(shape)[0]
        before, behind = hidden * prod(shape[1:]), hidden * prod(out[1:])
        if op.expansion != 1:
            yield prod(shape) + before
        residual = again or (op.residual and op.stride == 1 and shape == out)
        yield prod(shape) * residual + before + (prod(out[1:]) if in_place else behind)
        yield behind + prod(out)
    else:
        yield prod(shape) + prod(out)
