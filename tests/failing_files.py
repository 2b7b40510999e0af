"""Files that the machine can't read for a moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PASSING = (errno.EMFILE, errno.EIO, errno.EACCES, errno.ESTALE)
BLAME = ("delete", "move", "damaged", "missing", "install", "search again", "begins again", "begin again")
"""What no message about a passing error may say: the file may be whole."""


@contextmanager
def out_of_reach(file: Path, number: int) -> Iterator[None]:
    """Opening this one file fails, as after too many open files or on a stale network folder."""
    original = Path.open

    def failing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == file:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", failing)
        yield


def check_says_what_it_is(error: BaseException, file: Path, number: int) -> None:
    """One line that names the file and the machine's reason, and blames nothing."""
    said = str(error)
    assert f"'{file}' can't be read: {os.strerror(number).lower()}. Fix: " in said
    assert "\n" not in said
    assert not [word for word in BLAME if word in said]
