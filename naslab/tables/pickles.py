"""Reading foreign pickles without running anything that is in them.

A pickle is a program that may call any importable object. :func:`load_pickle` resolves only the names of an allow-list;
everything else is refused before it is imported. NumPy's ``dtype`` and ``scalar`` are replaced by small stand-ins that
build a float from its bytes, so that nothing of NumPy's own unpickling is reachable.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import InvalidTable
from naslab.files import clipped, decompress, is_passing, unreadable
from naslab.files.compressed import allowed as most_unpacked
from naslab.tables.pickle_bounds import check_bounds

Allowed = Mapping[tuple[str, str], object]
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""In the first of the pickles that PyTorch wrote before 1.6."""


class _Dtype:
    """Stands for ``numpy.dtype``: remembers a plain number's code and byte order, knows nothing else."""

    def __init__(self, code: str) -> None:
        if code not in ("f4", "f8", "i4", "i8"):
            raise pickle.UnpicklingError(f"dtype {clipped(code)}")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">"}[state[1]]


def _dtype(code: str, *_: object) -> _Dtype:
    return _Dtype(code)


def _scalar(dtype: _Dtype, data: bytes) -> float:
    (value,) = np.frombuffer(data, dtype.order + dtype.code).tolist()
    return float(value)


class _Array(list[float]):
    """Stands for a ``numpy.ndarray`` of plain numbers along one axis, as a list."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, _, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
            raise pickle.UnpicklingError("an array of what is no number")
        found = np.frombuffer(data, dtype.order + dtype.code)
        if shape != (len(found),):
            raise pickle.UnpicklingError(f"an array of shape {clipped(shape)} with {len(found):,} numbers")
        self[:] = map(float, found.tolist())


def _reconstruct(*_: object) -> _Array:
    return _Array()


NUMPY_SCALARS: Allowed = {
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,  # NumPy 2 moved it
    ("collections", "OrderedDict"): OrderedDict,
}
"""What NATS-Bench records name: NumPy scalars (read as floats) and ordered dictionaries."""
NUMPY_ARRAYS: Allowed = {
    **NUMPY_SCALARS,
    ("numpy", "ndarray"): None,  # an argument of what follows
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
}
"""Also arrays of numbers along one axis, read as lists of floats."""


class RestrictedUnpickler(pickle.Unpickler):
    """Resolves the names of an allow-list and nothing else. Persistent ids are refused by the base class."""

    def __init__(self, stream: io.BytesIO, allowed: Allowed, encoding: str = "ASCII") -> None:
        super().__init__(stream, encoding=encoding)
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """The allow-list's object for a name; raises InvalidTable for any other."""
        try:
            return self._allowed[module, name]
        except KeyError:
            raise InvalidTable(f"names {f'{module}.{name}'[:100]}") from None


def load_pickle(file: Path, allowed: Allowed, encoding: str = "ASCII") -> Any:
    """Load a pickle, bz2-compressed where the name ends in ``.pbz2``, resolving only ``allowed`` names.

    Strings of Python 2 are decoded by ``encoding``, or stay bytes where it is ``"bytes"``.

    Raises InvalidTable, naming the file, where it names anything else (nothing of it has run then), is truncated or
    damaged, claims more memory than its bytes can fill (see :mod:`naslab.tables.pickle_bounds`), or can't be read.
    """
    try:
        data = file.read_bytes()
        if file.suffix == ".pbz2":
            data = decompress(data, "bz2")
    except Exception as error:
        raise _refusal(file, error) from None
    return unpickled(data, file, allowed, encoding)


def unpickled(data: bytes, file: Path, allowed: Allowed, encoding: str = "ASCII") -> Any:
    """As :func:`load_pickle`, of bytes that were read from a file. What stands behind the pickle is ignored."""
    # Extension opcodes look into this cache before find_class; while it is empty, they always call that.
    copyreg.clear_extension_cache()
    try:
        check_bounds(data)
        return RestrictedUnpickler(io.BytesIO(data), allowed, encoding).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise _refusal(file, error) from None


def load_torch(file: Path, allowed: Allowed) -> Any:
    """What ``torch.save`` wrote of plain data: an archive with one pickle in it, or (before PyTorch 1.6) four pickles
    after each other, of which the last one counts. Tensors are refused. Raises InvalidTable as :func:`load_pickle`.
    """
    try:
        data = file.read_bytes()
        data = _in_archive(data) if data[:2] == b"PK" else data[_behind_headers(data) :]
    except Exception as error:
        raise _refusal(file, error) from None
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


def _refusal(file: Path, error: Exception) -> InvalidTable:
    if isinstance(error, InvalidTable):
        return InvalidTable(
            f"'{file}' is refused: it {error}, which plain data never needs; nothing in it was run. "
            "Fix: get the file from its official source"
        )
    if is_passing(error):
        return InvalidTable(unreadable(file, error))
    kind, said = type(error).__name__, " ".join(str(error).split())[:200]
    return InvalidTable(f"'{file}' is truncated or damaged ({kind}: {said}). Fix: get the file again")
