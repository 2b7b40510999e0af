"""``.npy`` arrays whose header tells the truth: a shape that is claimed is compared with the bytes that are there."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from naslab.files.compressed import allowed
from naslab.files.whole import written_whole

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def check_npy(stream: IO[bytes], size: int) -> None:
    """Read the header of an array and compare it with the size of its file; allocates nothing.

    Args:
        stream: At the beginning of the array.
        size: Bytes of the whole array, header included.

    Raises:
        ValueError: It is no ``.npy`` array, holds objects, or its shape and type need another number of bytes.
    """
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = _HEADERS[version](stream)
    except KeyError:
        raise ValueError(f"the .npy format {version} is not read; allowed: 1.0 and 2.0") from None
    except OSError:
        raise
    except Exception as error:  # NumPy evaluates the header, which may raise anything
        raise ValueError(f"no .npy array ({type(error).__name__})") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    count = 1
    for length in shape:  # Python's whole numbers: a product of huge lengths must not wrap around
        count *= int(length)
    claimed, held = count * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or claimed != held:
        raise ValueError(f"its header claims {claimed:,} bytes of numbers, and it holds {held:,}")


def load_npy(path: Path | str, *, mapped: bool = False) -> NDArray[Any]:
    """The array of a ``.npy`` file, in memory or mapped read-only.

    Raises:
        ValueError: As :func:`check_npy`.
        OSError: The file can't be read; this is no damage.
    """
    with Path(path).open("rb") as stream:
        check_npy(stream, os.fstat(stream.fileno()).st_size)
    found: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return found


def load_npz(path: Path | str, only: str | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` archive by name, or one of them.

    Raises:
        ValueError: As :func:`check_npy`; or the archive claims to unpack to more than any honest one of its size.
        Exception: Whatever :mod:`zipfile` raises for a damaged archive.
        OSError: The file can't be read; this is no damage.
    """
    arrays = {}
    with Path(path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
        most, claimed = allowed(os.fstat(stream.fileno()).st_size), sum(each.file_size for each in archive.infolist())
        if claimed > most:
            raise ValueError(f"it unpacks to {claimed:,} bytes, more than {most:,}")
        for each in archive.infolist():
            if only not in (None, each.filename.removesuffix(".npy")):
                continue
            with archive.open(each) as member:
                check_npy(member, each.file_size)
            with archive.open(each) as member:
                arrays[each.filename.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def save_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store arrays for :func:`load_npz`: compressed, without pickle and time stamps: equal content, equal bytes."""
    with written_whole(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
