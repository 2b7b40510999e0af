"""From the cuts that an operation states (:mod:`naslab.ops.slices`) to ranges of a tensor's axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from naslab.errors import InvalidSpace, UnknownName
from naslab.ops import Cut

Pieces: TypeAlias = tuple[tuple[int, int], ...]
"""For each tensor of a concatenation, how many features it has at its largest and how many now."""
Range: TypeAlias = tuple[int, int]
"""Where a range of an axis starts, and how long it is."""
Step: TypeAlias = tuple[int, tuple[Range, ...]]
"""An axis, and the ranges of it that are taken."""


def steps(
    large: tuple[Cut, ...], small: tuple[Cut, ...], shape: Sequence[int], wanted: Sequence[int], pieces: Pieces = ()
) -> tuple[Step, ...]:
    """What is taken of each axis of a large tensor to get a small one; axes that are taken whole are left out.

    Args:
        large: The cuts that the large operation states for the tensor.
        small: Those that the small one states.
        shape: The large tensor's.
        wanted: The small tensor's.
        pieces: What is concatenated in the operation's input; empty where nothing is.

    Raises:
        InvalidSpace: The cuts don't describe the tensors, or the small tensor is no part of the large one.
    """
    if not len(large) == len(small) == len(shape) == len(wanted):
        raise InvalidSpace(
            f"cuts {large} and {small} are stated for tensors of shapes {tuple(shape)} and {tuple(wanted)}: state one "
            "per axis"
        )
    found = [ranges(*axis, pieces) for axis in zip(large, small, shape, wanted, strict=True)]
    return tuple((i, taken) for i, taken in enumerate(found) if taken != ((0, shape[i]),))


def ranges(large: Cut, small: Cut, size: int, wanted: int, pieces: Pieces = ()) -> tuple[Range, ...]:
    """The ranges of one axis that are taken; the arguments are those of :func:`steps` for one axis.

    Raises:
        InvalidSpace: As there.
    """
    many, few = _parts(large, size), _parts(small, wanted)
    if len(many) != len(few) or any(one > other for one, other in zip(few, many, strict=True)):
        raise InvalidSpace(f"{_written(few)} are no part of {_written(many)}")
    last = large[-1] if isinstance(large, tuple) else large
    if last == "centred":
        taken = [((many[-1] - few[-1]) // 2, few[-1])]
    elif last == "input" and pieces:
        full, now = zip(*pieces, strict=True)
        if (sum(full), sum(now)) != (many[-1], few[-1]):
            raise InvalidSpace(
                f"{many[-1]} and {few[-1]} are not the features of the input, {sum(full)} and {sum(now)}"
            )
        taken = list(zip(accumulate((0, *full[:-1])), now, strict=True))
    else:
        taken = [(0, few[-1])]
    for level in reversed(range(len(many) - 1)):
        stride = prod(many[level + 1 :])
        taken = [(i * stride + start, length) for i in range(few[level]) for start, length in taken]
    return _merged(taken)


def part(tensor: Tensor, taken: Sequence[Step]) -> Tensor:
    """The part of a tensor that a smaller one uses; a view where one range of every axis is taken."""
    for axis, found in taken:
        if len(found) == 1:
            tensor = tensor.narrow(axis, *found[0])
        else:
            tensor = tensor.index_select(axis, _index(found, tensor.device))
    return tensor


def put_back(tensor: Tensor, taken: Sequence[Step], values: Tensor) -> None:
    """Write values into the part of a tensor that they were taken from."""
    if not taken:
        tensor.copy_(values)
        return
    (axis, found), *others = taken
    lengths = [length for _, length in found]
    for (start, length), some in zip(found, torch.split(values, lengths, dim=axis), strict=True):
        put_back(tensor.narrow(axis, start, length), others, some)


def _parts(cut: Cut, size: int) -> tuple[int, ...]:
    """An axis as numbers of parts inside parts, the last of which is counted in entries."""
    if not isinstance(cut, tuple):
        if cut not in _KNOWN:
            raise InvalidSpace(f"cut {UnknownName(str(cut), _KNOWN)}")
        return (size,)
    numbers = tuple(each for each in cut if not isinstance(each, str))
    open_ended = bool(cut) and cut[-1] in ("leading", "input")
    if len(numbers) + open_ended != len(cut) or not cut:
        raise InvalidSpace(f"cut {cut}: allowed are numbers, with 'leading' or 'input' as the last entry")
    if open_ended and not size % prod(numbers):
        return (*numbers, size // prod(numbers))
    if open_ended or prod(numbers) != size:
        raise InvalidSpace(f"an axis of {size} is not {cut}")
    return numbers


_KNOWN = ("leading", "centred", "input")


def _merged(found: Sequence[Range]) -> tuple[Range, ...]:
    """Ranges that follow each other as one."""
    merged: list[Range] = []
    for start, length in found:
        if merged and sum(merged[-1]) == start:
            merged[-1] = (merged[-1][0], merged[-1][1] + length)
        else:
            merged.append((start, length))
    return tuple(merged)


def _written(parts: Sequence[int]) -> str:
    return " x ".join(map(str, parts))


@cache
def _index(found: tuple[Range, ...], device: torch.device) -> Tensor:
    return torch.cat([torch.arange(start, start + length, device=device) for start, length in found])
