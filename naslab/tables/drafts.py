"""Folders that are being written: locked by their writer, and removed by the next one where the writer is dead.

A draft stands beside the folder that it will become, under a name with a dot in front. Where folders can't be locked
(Windows, some network file systems) drafts of killed processes stay; nothing reads them.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from naslab.files import lock

OLD = "old"
"""In a draft: what stood in the place that is written to, until the new folder has its name."""


@contextmanager
def draft_folder(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, removed in the end unless it was given another name.

    Abandoned drafts of ``path`` are removed first. Raises OSError where the parent can't be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _held(path.parent, wait=True) as alone:  # so that nobody finds a draft that is not locked yet
        if alone:
            _remove_abandoned(path)
        draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        held = _open(draft)
        if held is not None:
            _try(held, wait=False)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if held is not None:
            os.close(held)


def _remove_abandoned(path: Path) -> None:
    # What mkdtemp adds has no dot: drafts of "a.b" are none of "a".
    is_draft = re.compile(re.escape(f".{path.name}.") + r"[^.]+").fullmatch
    for draft in [each for each in path.parent.iterdir() if is_draft(each.name)]:
        with _held(draft, wait=False) as abandoned:
            if not abandoned:
                continue
            if (draft / OLD).is_dir() and not path.exists():  # killed while it was replaced: nothing is lost
                (draft / OLD).rename(path)
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _held(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder; whether that succeeded."""
    descriptor = _open(folder)
    try:
        yield descriptor is not None and _try(descriptor, wait=wait)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _open(folder: Path) -> int | None:
    if os.name != "posix":  # other systems can't open a folder
        return None
    try:
        return os.open(folder, os.O_RDONLY)
    except OSError:
        return None


def _try(descriptor: int, *, wait: bool) -> bool:
    try:
        return lock(descriptor, wait=wait)
    except OSError:  # the file system knows no locks
        return False
