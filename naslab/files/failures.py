"""How a file that can't be read is reported: as what the operating system says, with what helps against that.

An error of the operating system (too many open files, a stale network folder, no permission) passes; the file may be
whole. It is therefore never called damage, and nobody is advised to delete anything.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeGuard

_REMEDIES = {
    errno.EMFILE: "close other files of this process, or raise its limit: ulimit -n",
    errno.ENFILE: "close other programs: the machine has too many files open",
    errno.EACCES: "get the permission to read it",
    errno.EPERM: "get the permission to read it",
    errno.EIO: "try again; if it stays, look after the disk or the network",
    errno.ESTALE: "try again; if it stays, mount the network folder again",
    errno.ENOMEM: "free memory and try again",
    errno.ENOENT: "give the path of a file that is there",
    errno.EISDIR: "give the path of a file",
}
_LONGEST = 120


def is_passing(error: BaseException) -> TypeGuard[OSError | MemoryError]:
    """Whether an error is of the machine and says nothing of the file's content.

    Python's decompressors raise an OSError without a number for content that they can't read: that is none.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None)


def reason(error: OSError) -> str:
    """What the machine says, in lower case."""
    return (error.strerror or str(error)).lower()


def unreadable(path: Path | str, error: OSError | MemoryError, what: str = "") -> str:
    """One line about a file that the machine could not read: why, and what helps.

    Args:
        path: Of the file.
        error: As raised.
        what: Stands before the path: ``"the schema "``.
    """
    if isinstance(error, MemoryError):
        why, remedy = "there is too little memory", _REMEDIES[errno.ENOMEM]
    else:
        why = reason(error)
        remedy = _REMEDIES.get(error.errno or 0, "try again")
    return f"{what}'{path}' can't be read: {why}. Fix: {remedy}"


def clipped(value: object) -> str:
    """A value's ``repr``, short enough for a message of one line."""
    try:
        text = repr(value)
    except RecursionError:
        return f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
