"""Reading foreign pickles without running anything that is in them.

A pickle is a program that may call any importable object. :func:`load_pickle` resolves only the names of an allow-list;
everything else is refused before it is imported. NumPy's ``dtype`` and ``scalar`` are replaced by small stand-ins that
build a float from its bytes, so that nothing of NumPy's own unpickling is reachable.
"""

from __future__ import annotations

import copyreg
import hashlib
import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from naslab.errors import InvalidTable
from naslab.files import clipped, decompress, is_passing, unreadable
from naslab.tables.pickle_bounds import check_bounds

Allowed = Mapping[tuple[str, str], object]


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


def load_pickle(file: Path, allowed: Allowed, encoding: str = "ASCII", known: str = "") -> Any:
    """Load a pickle, bz2-compressed where the name ends in ``.pbz2``, resolving only ``allowed`` names.

    Strings of Python 2 are decoded by ``encoding``, or stay bytes where it is ``"bytes"``. A file whose SHA-256 is
    ``known`` was read before: how much memory it may claim is not checked again, which takes ten times as long as
    reading it.

    Raises InvalidTable, naming the file, where it names anything else (nothing of it has run then), is truncated or
    damaged, claims more memory than its bytes can fill (see :mod:`naslab.tables.pickle_bounds`), or can't be read.
    """
    try:
        data = file.read_bytes()
        if file.suffix == ".pbz2":
            data = decompress(data, "bz2")
    except Exception as error:
        raise refusal(file, error) from None
    return unpickled(data, file, allowed, encoding, known)


def unpickled(data: bytes, file: Path, allowed: Allowed, encoding: str = "ASCII", known: str = "") -> Any:
    """As :func:`load_pickle`, of bytes that were read from a file. What stands behind the pickle is ignored."""
    # Extension opcodes look into this cache before find_class; while it is empty, they always call that.
    copyreg.clear_extension_cache()
    try:
        if not known or hashlib.sha256(data).hexdigest() != known:
            check_bounds(data)
        return RestrictedUnpickler(io.BytesIO(data), allowed, encoding).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise refusal(file, error) from None


def refusal(file: Path, error: Exception) -> InvalidTable:
    """The one line for whatever reading a pickle raised."""
    if isinstance(error, InvalidTable):
        return InvalidTable(
            f"'{file}' is refused: it {error}, which plain data never needs; nothing in it was run. "
            "Fix: get the file from its official source"
        )
    if is_passing(error):
        return InvalidTable(unreadable(file, error))
    kind, said = type(error).__name__, " ".join(str(error).split())[:200]
    return InvalidTable(f"'{file}' is truncated or damaged ({kind}: {said}). Fix: get the file again")
