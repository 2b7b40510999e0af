"""JSON and TOML, refused where they are larger or deeper than anything that naslab or a person writes.

Python's parsers recurse into nested values, and its TOML parser takes time that grows with the square of the length of
a dotted key: 20,000 parts take 40 seconds. Both are looked for before parsing.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

MOST_JSON = 64 * 2**20
MOST_TOML = 2**20
DEEPEST = 32
"""Brackets within brackets, and parts of a dotted key."""

# Strings and comments, in which brackets and dots mean nothing. What stands after an unclosed quote is never parsed.
_QUOTED = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|" r"#[^\n]*",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}")
_BRACKETS = re.compile(r"[\[\]{}]")


def load_json(path: Path | str) -> Any:
    """What a JSON file holds; errors as of :func:`read_json`, and OSError where the file can't be read."""
    return read_json(_beginning(path, MOST_JSON))


def load_toml(path: Path | str) -> dict[str, Any]:
    """What a TOML file holds; errors as of :func:`read_toml`, and OSError where the file can't be read."""
    return read_toml(_beginning(path, MOST_TOML))


def read_json(data: bytes | str) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: It is no JSON (a ``JSONDecodeError`` or ``UnicodeDecodeError``), too large or too deep.
    """
    if len(data) > MOST_JSON:
        raise ValueError(f"more than {MOST_JSON:,} bytes")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None


def _beginning(path: Path | str, most: int) -> bytes:
    """A file's bytes; of one that is too large one byte more than is allowed, which tells."""
    with Path(path).open("rb") as stream:
        return stream.read(most + 1)


def read_toml(data: bytes) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        ValueError: It is no TOML, no UTF-8, too large, or its brackets or dotted keys are too deep.
    """
    if len(data) > MOST_TOML:
        raise ValueError(f"more than {MOST_TOML:,} bytes")
    text = data.decode("utf-8").replace("\r\n", "\n")
    # A quoted part of a key stays a part.
    bare = _QUOTED.sub(lambda found: "" if found[0].startswith("#") else "s", text)
    if _LONG_KEY.search(bare):
        raise ValueError(f"a key has more than {DEEPEST} parts")
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"brackets are nested more than {DEEPEST} deep")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("values are nested too deeply") from None
