"""Writers of small files in the official formats of other benchmarks, independent of what reads them."""

from __future__ import annotations

import base64
import json
import pickle
import struct
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def crc32c(data: bytes) -> int:
    """Bit by bit, after RFC 3720."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(data: bytes, length: int | None = None) -> bytes:
    """A record of a TFRecord file; it may state another length."""
    stated = struct.pack("<Q", len(data) if length is None else length)
    return stated + struct.pack("<I", masked(stated)) + data + struct.pack("<I", masked(data))


def varint(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def double(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


def evaluation(epoch: float, seconds: float, shares: Sequence[float], checkpoint: str = "") -> bytes:
    """The message ``EvaluationData``; protocol buffers may be written in any order."""
    path = checkpoint.encode()
    text = b"\x32" + varint(len(path)) + path if path else b""
    return text + b"".join(double(i, value) for i, value in enumerate((epoch, seconds, *shares), start=1))


def metrics(epochs: int, seconds: float, shares: Sequence[float], params: int, checkpoint: str = "") -> bytes:
    """The message ``ModelMetrics`` of one training: what the API does not read differs from what it does."""
    parts = (
        evaluation(0.0, 0.0, (0.1, 0.1, 0.1)),
        evaluation(epochs / 2, seconds / 2, [share / 2 for share in shares]),
        evaluation(float(epochs), seconds, shares, checkpoint),
    )
    found = b"".join(b"\x0a" + varint(len(part)) + part for part in parts)
    return found + b"\x10" + varint(params) + double(3, 2 * seconds)


def training(key: str, epochs: int, adjacency: str, operations: str, message: bytes) -> list[Any]:
    """A record of NAS-Bench-101's files."""
    return [key, epochs, adjacency, operations, base64.b64encode(message).decode()]


def write_tfrecord(path: Path, records: Iterable[Any]) -> Path:
    path.write_bytes(b"".join(framed(json.dumps(record).encode()) for record in records))
    return path


def write_torch(path: Path, content: object, *, legacy: bool = False) -> Path:
    """As ``torch.save`` writes plain data: an archive, or (before PyTorch 1.6) one pickle after the other."""
    if legacy:
        headers = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
        path.write_bytes(b"".join(pickle.dumps(each, 2) for each in (*headers, content, [])))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{path.stem}/data.pkl", pickle.dumps(content, 2))
        archive.writestr(f"{path.stem}/version", "3\n")
    return path
