"""TFRecord files without TensorFlow: each record is its length, a checksum of that, its bytes and a checksum of those.

Lengths are little-endian, of eight bytes; checksums are CRC-32C (Castagnoli), rotated by 15 bits, plus a constant, as
the format's documentation states. Records of a block are checked together, column by column, by NumPy.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from naslab.errors import InvalidTable
from naslab.files import unreadable

MOST = 2**20
"""Bytes of a record. Those that are read here have a few hundred."""
BLOCK = 2**24
"""Bytes that are held at once, and checked together."""
_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
Reached = Callable[[int, int], None]


def read_records(path: Path, reached: Reached | None = None) -> Iterator[tuple[str, bytes]]:
    """Every record of a file with where it stands (``"record 7 (byte 2,112)"``), in order and in bounded memory.

    Args:
        path: The file.
        reached: Called after each block with the bytes that were read and those of the file.

    Raises:
        InvalidTable: A checksum is wrong, a record is cut short or longer than :data:`MOST`, or the file can't be read.
            One line that names the record and its first byte.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            found = 0
            for block in _blocks(path, stream, size):
                places = [f"record {found + i:,} (byte {offset:,})" for i, (offset, _, _) in enumerate(block, start=1)]
                payloads = [payload for _, payload, _ in block]
                for place, stated, checksum in zip(places, (s for _, _, s in block), masked(payloads), strict=True):
                    if stated != checksum:
                        raise InvalidTable(
                            f"'{path}' {place}: its checksum is {checksum:#010x}, and it states {stated:#010x}. "
                            "Fix: get the file again"
                        )
                found += len(block)
                if reached:
                    reached(stream.tell(), size)
                yield from zip(places, payloads, strict=True)
            if not found:
                raise InvalidTable(f"'{path}' is empty: no record")
    except OSError as error:
        raise InvalidTable(unreadable(path, error)) from None


def _blocks(path: Path, stream: BinaryIO, size: int) -> Iterator[list[tuple[int, bytes, int]]]:
    """Records as (first byte, bytes, stated checksum), as many as fit into a block of equally long ones."""
    block: list[tuple[int, bytes, int]] = []
    offset = count = longest = 0
    while offset < size:
        count += 1
        head = stream.read(_HEAD.size)
        place = f"'{path}' record {count:,} (byte {offset:,})"
        if len(head) < _HEAD.size:
            raise InvalidTable(f"{place}: it is cut short. Fix: get the file again")
        length, stated = _HEAD.unpack(head)
        if stated != _checksum_of_length(head[:8]):
            raise InvalidTable(f"{place}: the checksum of its length is wrong: no TFRecord file, or a damaged one")
        if length > MOST:
            raise InvalidTable(f"{place}: it states {length:,} bytes; records that are read here have at most {MOST:,}")
        body = stream.read(length + _TAIL.size)
        if len(body) < length + _TAIL.size:
            raise InvalidTable(f"{place}: it is cut short. Fix: get the file again")
        longest = max(longest, length)
        if block and longest * (len(block) + 1) > BLOCK:
            yield block
            block, longest = [], length
        block.append((offset, body[:length], _TAIL.unpack_from(body, length)[0]))
        offset += _HEAD.size + len(body)
    if block:
        yield block


def masked(payloads: Sequence[bytes]) -> list[int]:
    """The checksum of each of these texts of bytes as TFRecord files state it."""
    checksums = crc32c(payloads).astype(np.uint64)
    rotated = (checksums >> np.uint64(15)) | (checksums << np.uint64(17))
    found: list[int] = ((rotated + np.uint64(0xA282EAD8)) & np.uint64(0xFFFFFFFF)).tolist()
    return found


def crc32c(payloads: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """``(N,)``: the CRC-32C of each, two bytes of all of them at a time; memory for N times the longest."""
    lengths = np.array([len(each) for each in payloads])
    order = np.argsort(-lengths, kind="stable")
    wide = int(lengths.max(initial=0)) + 1 & ~1
    padded = b"".join(payloads[i].ljust(wide, b"\0") for i in order.tolist())
    pairs = np.ascontiguousarray(np.frombuffer(padded, "<u2").reshape(len(payloads), wide // 2).T).astype(np.uint32)
    state = np.full(len(payloads), 0xFFFFFFFF, np.uint32)
    one, two = _tables()
    halves = lengths[order] // 2
    for step, column in enumerate(pairs):
        here = state[: np.searchsorted(-halves, -step, side="left")]  # those that have two more bytes
        here[:] = two[(here ^ column[: len(here)]) & 0xFFFF] ^ (here >> 16)
    odd = np.flatnonzero(lengths[order] % 2)
    last = np.array([payloads[i][-1] for i in order[odd].tolist()], np.uint32)
    state[odd] = one[(state[odd] ^ last) & 0xFF] ^ (state[odd] >> 8)
    found = np.empty_like(state)
    found[order] = ~state
    return found


@lru_cache(1)
def _tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """What one more byte, and two more, make of the state."""
    one = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one = np.where(one & 1, (one >> 1) ^ np.uint32(0x82F63B78), one >> 1)
    value = np.arange(2**16, dtype=np.uint32)
    after = one[value & 0xFF] ^ (value >> 8)
    return one, one[after & 0xFF] ^ (after >> 8)


@lru_cache(4096)
def _checksum_of_length(length: bytes) -> int:
    return masked([length])[0]
