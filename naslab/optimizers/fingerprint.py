"""What a class does, as a hash: for classes of a notebook, which have no file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import CodeType
from typing import Any


def code_sha256(kind: type) -> str:
    """The SHA-256 of the methods and plain attributes of a class and of its bases that were defined in ``__main__``.

    The same in every process. Another version of Python compiles otherwise, and what methods call outside of the class
    is not in it.
    """
    digest = hashlib.sha256()
    for each in kind.__mro__:
        if each.__module__ == "__main__":
            for name, value in sorted(vars(each).items()):
                for part in _parts(value):
                    digest.update(f"{name}:{part}\n".encode())
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, property):
        for accessor in (value.fget, value.fset, value.fdel):
            yield from _parts(accessor)
    elif isinstance(value, staticmethod | classmethod):
        yield from _parts(value.__func__)
    elif isinstance(code := getattr(value, "__code__", None), CodeType):
        yield from _of_code(code)
        yield repr(value.__defaults__)
    elif value is None or isinstance(value, bool | int | float | str | tuple):
        yield repr(value)


def _of_code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant)
        elif isinstance(constant, frozenset):  # whose order differs from process to process
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)
