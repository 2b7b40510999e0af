"""Dates as people write them: year first, day first or month first, with or without a time of day."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

DateOrder = Literal["year-month-day", "day-month-year", "month-day-year"]
ORDERS: tuple[DateOrder, ...] = get_args(DateOrder)
_EPOCH = datetime(1970, 1, 1)
_TIME = r"(?:[T ]\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]+)?)?\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_YEAR_FIRST = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_TIME}")
_YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([-/.])([0-9]{{1,2}})\2([0-9]{{4}}){_TIME}")


def parse_date(text: str, order: DateOrder) -> float | None:
    """Days since the beginning of 1970, with fractions; None if the text is no date in this order.

    A time with an offset from UTC is turned into UTC; one without is taken as it is.
    """
    found = (_YEAR_FIRST if order == "year-month-day" else _YEAR_LAST).fullmatch(text)
    if found is None:
        return None
    one, _, two, three, hour, minute, second, fraction, offset = found.groups()
    year, month, day = {
        "year-month-day": (one, two, three), "day-month-year": (three, two, one), "month-day-year": (three, one, two),
    }[order]  # fmt: skip
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:  # such as 31 February
        return None
    return days_of(moment) + (float(fraction or 0) - _offset(offset)) / 86400


def days_of(moment: datetime) -> float:
    """Days since the beginning of 1970, in UTC where the moment has a time zone."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - _EPOCH) / timedelta(days=1)


def infer_order(counts: Mapping[str, int]) -> tuple[DateOrder, int]:
    """The order in which the most cells of a column are dates, and how many are.

    Where 03/04/2020 and the like leave it open, the month comes first with slashes and the day with points or dashes.

    Args:
        counts: The column's texts and how often they occur.
    """
    if not any(_YEAR_FIRST.fullmatch(text) or _YEAR_LAST.fullmatch(text) for text in list(counts)[:1000]):
        return ORDERS[0], 0
    fits = {order: sum(n for text, n in counts.items() if parse_date(text, order) is not None) for order in ORDERS}
    slashes = sum("/" in text for text in counts) * 2 > len(counts)
    preferred = "month-day-year" if slashes else "day-month-year"
    best = max(ORDERS, key=lambda order: (fits[order], order == preferred))
    return best, fits[best]


def _offset(text: str | None) -> float:
    """Seconds."""
    if not text or text == "Z":
        return 0.0
    seconds = 3600.0 * int(text[1:3]) + 60.0 * int(text[-2:])
    return seconds if text[0] == "+" else -seconds
