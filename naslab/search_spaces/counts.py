"""How many cells or layers a graph may be built of: a slip of the pen must not fill the memory."""

from __future__ import annotations

from naslab.errors import InvalidValue
from naslab.files import clipped

MOST = 1000


def check_count(**counts: object) -> None:
    """Refuse numbers of parts, by the option's name, that no network has.

    Raises:
        InvalidValue: Not a whole number, or above 1,000.
    """
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count > MOST:
            raise InvalidValue(f"{name}={clipped(count)}: give a whole number of at most {MOST:,}")
