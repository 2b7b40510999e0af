"""An output folder holds one thing, described in it as JSON, and serves one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from naslab.errors import OutputError
from naslab.intake import load_json, unreadable
from naslab.running.locking import lock
from naslab.running.trace import differences

LOCK = ".lock"


def check_folder(folder: Path, description: Mapping[str, Any], file: str, what: str) -> bool:
    """Whether a folder already holds what is described; refuses one that holds anything else. Writes nothing.

    Args:
        folder: It need not exist.
        description: What it is for, as JSON.
        file: Name of the description's file in it.
        what: What it holds, for messages, such as ``"comparison"``.

    Raises:
        OutputError: It holds something else, is damaged, or can't be read.
    """
    path, wanted = folder / file, json.loads(json.dumps(description))
    try:
        if path.exists():
            found = load_json(path)
            if not isinstance(found, dict):
                raise OutputError(f"{path} is damaged; give another --out")
            if found != wanted:
                raise OutputError(f"{folder} holds another {what}: {differences(found, wanted)}; give another --out")
            return True
        if not folder.exists():
            return False
        others = sorted(p.name for p in folder.iterdir() if p.name != LOCK and not p.name.startswith(f".{file}"))
        if others:
            raise OutputError(f"{folder} is not empty ({others[0]}) and holds no {what}; give a new folder as --out")
        return False
    except OutputError:  # which is a ValueError, too
        raise
    except ValueError:
        raise OutputError(f"{path} is damaged; give another --out") from None
    except NotADirectoryError as error:
        raise unwritable(folder, error) from None
    except OSError as error:
        raise OutputError(unreadable(error.filename or folder, error)) from None


@contextmanager
def claimed_folder(folder: Path, description: Mapping[str, Any], file: str, what: str) -> Iterator[None]:
    """Lock a folder for this process, and write its description into it; arguments as of :func:`check_folder`.

    Raises:
        OutputError: As there; or another process has locked it, or it can't be written.
    """
    check_folder(folder, description, file, what)  # before the lock, so that a folder for another use is not touched
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        if not lock(descriptor, wait=False):
            raise OutputError(f"{folder} is in use by another naslab process; wait for it or give another --out")
        if not check_folder(folder, description, file, what):
            try:
                for abandoned in folder.glob(f".{file}.*"):  # by a process that was killed
                    abandoned.unlink(missing_ok=True)
                draft = folder / f".{file}.{os.getpid()}"
                draft.write_text(json.dumps(description, indent=1) + "\n")
                draft.rename(folder / file)
            except OSError as error:
                raise unwritable(folder, error) from None
        yield
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> OutputError:
    """What went wrong with a folder, in one line."""
    return OutputError(f"{folder} can't be written: {(error.strerror or str(error)).lower()}")
