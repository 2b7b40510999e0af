"""Files that ``torch.save`` wrote of plain data, read without PyTorch and without running anything that is in them."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any

from naslab.files.compressed import allowed as most_unpacked
from naslab.tables.pickles import Allowed, refusal, unpickled

_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""In the first of the pickles that PyTorch wrote before 1.6."""


def load_torch(file: Path, allowed: Allowed) -> Any:
    """What ``torch.save`` wrote of plain data: an archive with one pickle in it, or (before PyTorch 1.6) four pickles
    after each other, of which the last one counts. Tensors are refused. Raises InvalidTable as :func:`load_pickle`.
    """
    try:
        data = file.read_bytes()
        data = _in_archive(data) if data[:2] == b"PK" else data[_behind_headers(data) :]
    except Exception as error:
        raise refusal(file, error) from None
    return unpickled(data, file, allowed)


def _in_archive(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = [each for each in archive.infolist() if each.filename.endswith("/data.pkl")]
        if len(found) != 1:
            raise ValueError("no archive of PyTorch: it has no data.pkl")
        if found[0].file_size > most_unpacked(len(data)):
            raise ValueError(f"it unpacks to {found[0].file_size:,} bytes, which no honest file of its size does")
        return archive.read(found[0])


def _behind_headers(data: bytes) -> int:
    stream = io.BytesIO(data)
    for _ in range(3):  # a magic number, a version, what kind of system
        for _ in pickletools.genops(stream):
            pass
    if _MAGIC not in data[: stream.tell()]:
        raise ValueError("no file of PyTorch: its magic number is missing")
    return stream.tell()
