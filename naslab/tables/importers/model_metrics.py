"""The protocol buffer ``ModelMetrics`` of NAS-Bench-101, read without a library for these.

``model_metrics.proto`` in google-research/nasbench: field 1 is repeated, a message per evaluation (before, half through
and after the training) whose fields 1 to 5 are doubles; field 2 is the number of parameters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple


class Measured(NamedTuple):
    """One evaluation: accuracies are shares of right images, seconds are of training up to there."""

    epoch: float
    seconds: float
    train: float
    valid: float
    test: float


class ModelMetrics(NamedTuple):
    """Of one training: its evaluations in order, and the network's parameters."""

    evaluations: tuple[Measured, ...]
    params: int


_NAMES = ("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy")
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")
# An evaluation as it is nearly always written: five doubles, each behind its tag, in order.
_USUAL = struct.Struct("<BdBdBdBdBd")
_TAGS = tuple(number << 3 | _EIGHT for number in range(1, 6))


def read_metrics(data: bytes) -> ModelMetrics:
    """A message. Fields that are not known are skipped, as protocol buffers want it; of a repeated one the last counts.

    Raises:
        ValueError: Says what is missing, or why the bytes are no message.
    """
    evaluations = []
    params = None
    for number, kind, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            evaluations.append(_measured(value))
        elif number == 2 and kind == _VARINT and isinstance(value, int):
            params = value
    if params is None or params >= 2**31:
        raise ValueError(f"trainable_parameters is {'missing' if params is None else params}")
    return ModelMetrics(tuple(evaluations), params)


def _measured(data: bytes) -> Measured:
    if len(data) == _USUAL.size:
        usual = _USUAL.unpack(data)
        if usual[::2] == _TAGS:
            return Measured(*usual[1::2])
    found: dict[int, float] = {}
    for number, kind, value in _fields(data):
        if kind == _EIGHT and isinstance(value, bytes) and number <= len(_NAMES):
            found[number] = _DOUBLE.unpack(value)[0]
    for number, name in enumerate(_NAMES, start=1):
        if number not in found:
            raise ValueError(f"{name} is missing")
    return Measured(*(found[number] for number in range(1, len(_NAMES) + 1)))


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value (raw bytes but for whole numbers) of every field of a message."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, kind, value
            continue
        if kind == _BYTES:
            length, place = _varint(data, place)
        else:
            length = {_EIGHT: 8, _FOUR: 4}.get(kind, -1)
        if number < 1 or length < 0 or place + length > end:
            raise ValueError(f"no protocol buffer: field {number} of type {kind} at byte {place} of {end}")
        yield number, kind, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"no protocol buffer: a whole number does not end at byte {place} of {len(data)}")
