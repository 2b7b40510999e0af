"""An output folder holds one thing, described in it as JSON, and serves one process at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from naslab.errors import OutputError
from naslab.files import load_json, lock, reason, unreadable, written_whole
from naslab.running.trace import differences

LOCK = ".lock"

Grown: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def check_folder(
    folder: Path,
    description: Mapping[str, Any],
    file: str,
    what: str,
    ours: Callable[[Path], bool] | None = None,
    grown: Grown | None = None,
) -> bool:
    """Whether a folder already holds what is described; refuses one that holds anything else. Writes nothing.

    Args:
        folder: It need not exist.
        description: What it is for, as JSON.
        file: Name of the description's file in it.
        what: What it holds, for messages, such as ``"comparison"``.
        ours: Whether the rest of a folder whose description was lost is what is described: then it is written again.
        grown: For a folder that may grow: its new description, from the one that it has; raises OutputError where it
            holds something else. By default only the very same description will do.

    Raises:
        OutputError: It holds something else, is damaged, or can't be read.
    """
    return _unwritten(folder, description, file, what, ours, grown) is None


def _unwritten(
    folder: Path,
    description: Mapping[str, Any],
    file: str,
    what: str,
    ours: Callable[[Path], bool] | None,
    grown: Grown | None,
) -> Mapping[str, Any] | None:
    """What has to be written into a folder as its description; None if it stands there. As :func:`check_folder`."""
    path, wanted = folder / file, json.loads(json.dumps(description))
    try:
        if path.exists():
            try:
                found = load_json(path)
            except OutputError:  # which is a ValueError, too
                raise
            except ValueError:
                found = None
            if not isinstance(found, dict):
                if ours is not None and ours(folder):
                    return description
                raise OutputError(f"{path} is damaged; give another --out")
            if grown is not None:
                wanted = grown(found)
            elif found != wanted:
                raise OutputError(f"{folder} holds another {what}: {differences(found, wanted)}; give another --out")
            return None if found == wanted else wanted
        if not folder.exists():
            return description
        others = sorted(p.name for p in folder.iterdir() if p.name != LOCK and not p.name.startswith(f".{file}"))
        if others and not (ours is not None and ours(folder)):
            raise OutputError(f"{folder} is not empty ({others[0]}) and holds no {what}; give a new folder as --out")
        return description
    except NotADirectoryError as error:
        raise unwritable(folder, error) from None
    except OSError as error:
        raise OutputError(unreadable(error.filename or folder, error)) from None


@contextmanager
def claimed_folder(
    folder: Path,
    description: Mapping[str, Any],
    file: str,
    what: str,
    ours: Callable[[Path], bool] | None = None,
    grown: Grown | None = None,
) -> Iterator[None]:
    """Lock a folder for this process, and write its description into it; arguments as of :func:`check_folder`.

    Where what is done with it fails before anything else is in the folder, the description is taken out again.

    Raises:
        OutputError: As there; or another process has locked it, or it can't be written.
    """
    # Before the lock, so that a folder for another use is not touched.
    check_folder(folder, description, file, what, ours, grown)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unwritable(folder, error) from None
    try:
        if not lock(descriptor, wait=False):
            raise OutputError(f"{folder} is in use by another naslab process; wait for it or give another --out")
        unwritten = _unwritten(folder, description, file, what, ours, grown)
        if unwritten is not None:
            try:
                for abandoned in folder.glob(f".{file}.*"):  # by a process that was killed
                    abandoned.unlink(missing_ok=True)
                with written_whole(folder / file) as draft:
                    draft.write_text(json.dumps(unwritten, indent=1) + "\n")
            except OSError as error:
                raise unwritable(folder, error) from None
        try:
            yield
        except BaseException:
            if unwritten is not None and {path.name for path in folder.iterdir()} <= {file, LOCK}:
                (folder / file).unlink(missing_ok=True)  # nothing came of it: the folder is free for anything
            raise
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> OutputError:
    """What went wrong with a folder, in one line."""
    return OutputError(f"{folder} can't be written: {reason(error)}")
