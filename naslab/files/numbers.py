"""A number from text, as a person writes it: ASCII digits, a point, an exponent.

Python's own ``float`` and ``int`` take more: ``1_0`` is 10 to them, and so are the digits of every other script. In a
file or on a command line that is a slip of the pen or another program's notation, never a number.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_MOST_DIGITS = 300
"""Of a whole number: more than any float can hold, and few enough to convert at once."""


def read_number(text: str, *, infinite: bool = False) -> float | None:
    """The number that a text spells, or None if it spells none.

    Args:
        text: White space around it is ignored.
        infinite: Whether ``inf`` and ``-inf`` are numbers; a number too large for a float is infinite, too.
    """
    text = text.strip(" \t\r\n")
    if not _NUMBER.fullmatch(text) and not (infinite and _INFINITE.fullmatch(text)):
        return None
    number = float(text)
    return number if infinite or math.isfinite(number) else None


def read_whole(text: str) -> int | None:
    """The whole number that a text spells, or None if it spells none."""
    text = text.strip(" \t\r\n")
    return int(text) if _WHOLE.fullmatch(text) and len(text) <= _MOST_DIGITS else None
