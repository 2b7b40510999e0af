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


NUMPY_SCALARS: Allowed = {
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,  # NumPy 2 moved it
    ("collections", "OrderedDict"): OrderedDict,
}
"""What NATS-Bench records name: NumPy scalars (read as floats) and ordered dictionaries."""


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
    # Extension opcodes look into this cache before find_class; while it is empty, they always call that.
    copyreg.clear_extension_cache()
    try:
        data = file.read_bytes()
        if file.suffix == ".pbz2":
            data = decompress(data, "bz2")
        if not known or hashlib.sha256(data).hexdigest() != known:
            check_bounds(data)
        return RestrictedUnpickler(io.BytesIO(data), allowed, encoding).load()
    except InvalidTable as refused:
        raise InvalidTable(
            f"'{file}' is refused: it {refused}, which plain data never needs; nothing in it was run. "
            "Fix: get the file from its official source"
        ) from None
    except Exception as error:  # a damaged pickle may raise anything
        if is_passing(error):
            raise InvalidTable(unreadable(file, error)) from None
        kind, said = type(error).__name__, " ".join(str(error).split())[:200]
        raise InvalidTable(f"'{file}' is truncated or damaged ({kind}: {said}). Fix: get the file again") from None
