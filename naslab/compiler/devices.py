"""Where tensors live: the name of a device, and the only ways between it and the processor.

A run's random numbers are drawn on the CPU, by its generator, and moved: every device sees the same draws. Numbers
come back through :func:`fetched` alone, which waits for the device; a training step does not call it unless what it
runs next depends on the answer. Tests on PyTorch's ``meta`` device, where tensors have shapes and no numbers, put
another function in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from naslab.errors import InvalidValue, UnknownName

NAMES = ("cpu", "cuda", "auto")


def resolved(name: str) -> str:
    """The device of this name, checked: ``"cpu"``, ``"cuda"``, ``"cuda:1"``; ``"auto"`` is a GPU if there is one.

    Any other device of PyTorch's is taken if it is there. naslab has not been tried on one.

    Raises:
        UnknownName: There is no such kind of device.
        InvalidValue: It is not there; says what is.
    """
    if name == "cpu":
        return name
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if cards else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise InvalidValue(f"device {UnknownName(str(name), NAMES)} A number goes after a colon: cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= cards:
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(cards))])
        raise InvalidValue(f"device {name!r} is not there: PyTorch sees {cards or 'no'} GPUs here. There is: {there}")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise InvalidValue(f"device {name!r} can't be used: {why}. Allowed: {', '.join(NAMES)}") from None
    return str(device)


def fetched(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, without its graph. This waits until the device has computed it."""
    return tensor.detach().cpu()


def array(tensor: Tensor) -> npt.NDArray[Any]:
    """The tensor's numbers; :func:`fetched`."""
    numbers: npt.NDArray[Any] = fetched(tensor).numpy()
    return numbers


def number(tensor: Tensor) -> float:
    """The only number of a tensor; :func:`fetched`."""
    return float(fetched(tensor))


def numbers(tensors: Iterable[Tensor]) -> list[float]:
    """The numbers of tensors of one number each, :func:`fetched` together."""
    listed = list(tensors)
    found: list[float] = fetched(torch.stack(listed)).tolist() if listed else []
    return found


def together(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Vectors on the CPU, :func:`fetched` together."""
    if not tensors or tensors[0].device.type == "cpu":
        return [each.detach() for each in tensors]
    return list(torch.split(fetched(torch.cat(list(tensors))), [len(each) for each in tensors]))


def moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; the processor goes on meanwhile."""
    return tensor.to(device, non_blocking=True)


def uniform(
    shape: Sequence[int], generator: torch.Generator, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Numbers from [0, 1), drawn on the CPU."""
    return moved(torch.rand(shape, generator=generator, dtype=dtype, device="cpu"), device)


def normal_like(tensor: Tensor, generator: torch.Generator, deviation: float = 1.0) -> Tensor:
    """Normal numbers of mean 0 in the shape, type and layout of a tensor, drawn on the CPU."""
    drawn = torch.empty_like(tensor, device="cpu", requires_grad=False).normal_(0.0, deviation, generator=generator)
    return moved(drawn, tensor.device)


def indices(places: Sequence[int], device: torch.device | str) -> Tensor:
    """Whole numbers as a tensor, to pick entries of another one."""
    return moved(torch.tensor(places, dtype=torch.int64, device="cpu"), device)


def one_hot(k: int, like: Tensor) -> Tensor:
    """A vector of zeros of the length, type and device of another one, with a one at ``k``."""
    hot = torch.zeros_like(like, requires_grad=False)
    hot[k] = 1
    return hot


def where_true(values: Tensor, mask: Tensor) -> Tensor:
    """The values at which the mask is true, to be added up.

    On the CPU these alone; elsewhere zeros stand in the place of the others, because a selection would wait for their
    number. The two sums differ by rounding.
    """
    return values[mask] if values.device.type == "cpu" else torch.where(mask, values, torch.zeros_like(values))
