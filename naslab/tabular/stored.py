"""Files of a model that may come from anyone: JSON whose every value is checked, and plain arrays. Nothing is run."""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from naslab.files.arrays import load_npy

MOST_BYTES = 64 * 2**20
_HEADER = 4096
_LARGEST = sys.float_info.max


class Damaged(ValueError):
    """A stored file that does not hold what it should: which value, and what is wanted."""


class Stored:
    """A JSON object, whose values are looked at one by one.

    Args:
        values: The object.
        name: For messages, such as ``"columns[2]"``.

    Raises:
        Damaged: It is none. Every method raises it for a value that is not there or of another kind.
    """

    def __init__(self, values: Any, name: str = "it") -> None:
        if not isinstance(values, dict):
            raise Damaged(f"{name} is no object")
        self.values, self.name = values, name

    @classmethod
    def parse(cls, text: str) -> Stored:
        """From text."""
        try:
            return cls(json.loads(text))
        except Damaged:
            raise
        except (ValueError, RecursionError) as error:
            raise Damaged(f"it is no JSON ({type(error).__name__})") from None

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise Damaged(f"{self.name} has no {key!r}")
        return self.values[key]

    def text(self, key: str, *allowed: str) -> str:
        value = self[key]
        if not isinstance(value, str) or (allowed and value not in allowed):
            raise self.wrong(key, "one of " + ", ".join(map(repr, allowed)) if allowed else "text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Different texts."""
        value = self[key]
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, "a list of texts")
        if len(set(value)) < len(value):
            raise self.wrong(key, "a list of different texts")
        return tuple(value)

    def number(self, key: str, *, positive: bool = False) -> float:
        """A finite number, above 0 if it has to be positive."""
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            raise self.wrong(key, "a finite number")
        if positive and value <= 0:
            raise self.wrong(key, "a number above 0")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self[key]
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def whole(self, key: str, *, least: int = 0) -> int:
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.wrong(key, f"a whole number of at least {least}")
        return value

    def wholes(self, key: str, *, least: int = 0) -> list[int]:
        value = self[key]
        if not isinstance(value, list) or not all(type(each) is int and each >= least for each in value):
            raise self.wrong(key, f"a list of whole numbers of at least {least}")
        return value

    def object(self, key: str) -> Stored:
        return Stored(self[key], f"{self.name}.{key}" if self.name != "it" else key)

    def objects(self, key: str) -> list[Stored]:
        value = self[key]
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        return [Stored(each, f"{key}[{place}]") for place, each in enumerate(value)]

    def wrong(self, key: str, wanted: str) -> Damaged:
        return Damaged(f"{key!r} of {self.name} is {reprlib.repr(self.values[key])}, not {wanted}")


def read_text(path: Path) -> str:
    """A file's text. Raises Damaged if it is not there, too large, no file or no text."""
    if not path.is_file():
        raise Damaged("there is no such file")
    if path.stat().st_size > MOST_BYTES:
        raise Damaged(f"it is larger than {MOST_BYTES // 2**20} MiB")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Damaged("it is no text") from None


def shapes_of(network: nn.Module) -> dict[str, list[int]]:
    """The names and shapes of a network's tensors, in their order."""
    return {name: list(tensor.shape) for name, tensor in network.state_dict().items()}


def write_weights(path: Path, network: nn.Module) -> None:
    """All of a network's numbers, float32, one tensor after the other, as one ``.npy`` array."""
    tensors = [tensor.detach().cpu().numpy() for tensor in network.state_dict().values()]
    assert all(tensor.dtype == np.float32 for tensor in tensors)
    with path.open("wb") as file:
        np.save(file, np.concatenate([tensor.ravel() for tensor in tensors]), allow_pickle=False)


def check_size(path: Path, numbers: int) -> None:
    """Check that a file can hold this many float32 numbers and no more, before memory is taken for them.

    Raises:
        Damaged: It can't, or it is not there.
    """
    if not path.is_file():
        raise Damaged("there is no such file")
    if not 4 * numbers <= path.stat().st_size <= 4 * numbers + _HEADER:
        raise Damaged(f"it does not hold the {numbers:,} numbers of the network")


def read_weights(path: Path, network: nn.Module, shapes: Mapping[str, Any]) -> None:
    """Put the numbers that :func:`write_weights` wrote into a network of the same tensors.

    Args:
        path: The file.
        network: Its values are replaced.
        shapes: What the file's tensors are said to be: must be the network's own names and shapes.

    Raises:
        Damaged: The file holds something else, or a number that is not finite.
    """
    own = network.state_dict()
    numbers = sum(tensor.numel() for tensor in own.values())
    if shapes != shapes_of(network):
        raise Damaged("its tensors are not those of the network")
    check_size(path, numbers)
    try:
        flat = load_npy(path, mapped=True)  # what the header promises is checked before anything is copied
    except (ValueError, EOFError, SyntaxError) as error:
        raise Damaged(f"it is no array of numbers ({type(error).__name__})") from None
    if flat.dtype != np.float32 or flat.shape != (numbers,):
        raise Damaged("it is not one row of float32 numbers, as many as the network has")
    if not np.isfinite(flat).all():
        raise Damaged("it holds numbers that are not finite")
    start = 0
    with torch.no_grad():
        for tensor in own.values():
            part = np.array(flat[start : start + tensor.numel()])
            tensor.copy_(torch.from_numpy(part).reshape(tensor.shape))
            start += tensor.numel()
