"""Files that are there whole or not at all, also after the power fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give the path of a draft; when it is written, put it in the place of the file.

    The draft is on the disk before it takes the file's name, and the name before this returns: a crash at any moment
    leaves the file as it was, or as it shall be. A draft that is not finished is removed, unless the process is killed.

    Args:
        path: The file.
        sync: Whether to wait for the disk. What can be made again in a moment need not.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        if sync:
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(path.parent)


def remove_abandoned(folder: Path) -> None:
    """Remove the drafts in a folder whose writers, processes of this machine, have been killed.

    On Windows they stay: it has no way to ask whether a process lives. Nothing reads them.
    """
    if os.name == "nt":
        return
    for draft in folder.glob(".*.draft"):
        if (found := _DRAFT.fullmatch(draft.name)) and not _lives(int(found[1])):
            draft.unlink(missing_ok=True)


_DRAFT = re.compile(r"\..+\.([0-9]{1,9})\.draft", re.DOTALL)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make sure that the names in a folder are on the disk. Windows keeps them by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
