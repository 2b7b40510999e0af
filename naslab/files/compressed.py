"""Decompression that stops: 242 bytes of bz2 can become 300 MB."""

from __future__ import annotations

import bz2
import zlib
from typing import Literal

FREE = 4 * 2**20
"""Bytes that anything may unpack to."""
RATIO = 64
"""How many times its size it may unpack to besides. Tables of numbers reach 10."""


def allowed(size: int) -> int:
    """How many bytes so many compressed ones may unpack to."""
    return FREE + RATIO * size


def decompress(data: bytes, kind: Literal["bz2", "gzip"]) -> bytes:
    """The unpacked bytes; several streams after each other are one, as for the programs of these names.

    Raises:
        ValueError: It is not of this kind, is cut short, or unpacks to more than any honest file.
    """
    most = allowed(len(data))
    parts: list[bytes] = []
    size = 0
    while data:
        reader = bz2.BZ2Decompressor() if kind == "bz2" else zlib.decompressobj(31)
        try:
            # One byte more than is allowed tells that there is more, without unpacking it.
            part = reader.decompress(data, most - size + 1)
        except (OSError, zlib.error) as error:
            if kind == "bz2" and parts:  # what stands after the last stream is ignored, as the program does
                break
            raise ValueError(f"no {kind}: {error}") from None
        size += len(part)
        parts.append(part)
        if size > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes, which no honest file of its size does")
        if not reader.eof:
            raise ValueError(f"the {kind} stream is cut short")
        data = reader.unused_data
        if kind == "gzip":
            data = data.lstrip(b"\0")
    if not parts:
        raise ValueError(f"no {kind}: it is empty")
    return b"".join(parts)
