"""Results that are kept as they are made, so that nothing is computed twice: a file of JSON lines.

A file serves one thing: a header line says which, then there is a line per piece of work, written by one call. A kill
at any moment loses at most the last line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from naslab.errors import OutputError
from naslab.files import read_json, reason, unreadable
from naslab.running.trace import differences


class Kept:
    """Results in a file.

    Args:
        path: The file; it may hold the beginning, or more than will be asked for. None: nothing is kept.
        header: What the results depend on, as JSON.
        what: What they are, for messages: ``"scores"``.

    Attributes:
        header: The same, as read back from JSON.
        entries: What the file held when it was opened.

    Raises:
        OutputError: The file holds results of something else, is damaged, or can't be read.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any], what: str) -> None:
        self.path, self.what = path, what
        self.header = json.loads(json.dumps(header))
        self.entries: list[Any] = []
        if path is not None and path.exists():
            self._read(path)

    def add(self, entry: Any, separators: tuple[str, str] | None = None) -> None:
        """Keep a result.

        Args:
            entry: JSON.
            separators: As of :func:`json.dumps`.

        Raises:
            OutputError: The file can't be written; what is in it is kept.
        """
        if self.path is None:
            return
        line = json.dumps(entry, separators=separators) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            begun = self.path.exists() and self.path.stat().st_size > 0
            with self.path.open("ab", buffering=0) as file:
                file.write((line if begun else json.dumps(self.header) + "\n" + line).encode())
        except OSError as error:
            raise OutputError(f"{self.path}: {reason(error)}; what is in it is kept") from None

    def damaged(self) -> OutputError:
        """The error for a file that no run can have written."""
        return OutputError(f"{self.path} is damaged; move it away to compute these {self.what} again")

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            lines = [read_json(line) for line in whole.splitlines()]
            if lines and lines[0] != self.header:
                found = differences(lines[0], self.header)
                raise OutputError(f"{path} holds other {self.what}: {found}; give another --out, or move it away")
            self.entries = lines[1:]
            if len(whole) < len(content) == path.stat().st_size:  # else somebody is writing to it
                os.truncate(path, len(whole))  # what a kill cut short
        except OSError as error:
            raise OutputError(unreadable(path, error)) from None
        except OutputError:  # which is a ValueError, too
            raise
        except (ValueError, TypeError, AttributeError):
            raise self.damaged() from None
