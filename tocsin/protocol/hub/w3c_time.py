"""Moments as hubs and their clients write them: ``2026-11-29T13:00:00.000Z``, and a date of the year 9999 for never."""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from typing import Final

NEVER: Final = "9999-12-31T23:59:59.999Z"
"""How it is written that something does not expire."""

_MAX_TIME: Final = 64
"""Characters; what is longer is no moment."""
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.IGNORECASE,
)
_NO_TIME: Final = "it is no date and time such as 2030-01-31T12:00:00Z"
_DAY: Final = 86_400


def read_time(text: str) -> float | None:
    """Return a moment in seconds since the epoch; None for one on the last day that there is, which means never.

    :param text: a date and time as the W3C has them, with or without seconds and their fraction. What names no zone is UTC.
    :raises ValueError: it is none.
    """
    found = _TIME.fullmatch(text) if len(text) <= _MAX_TIME else None
    if found is None:
        raise ValueError(_NO_TIME)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (1 <= month <= 12 and year and 1 <= day <= monthrange(year, month)[1]):
        raise ValueError(_NO_TIME)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(_NO_TIME)
    if (year, month, day) == (9999, 12, 31):
        return None
    fraction = float(f"0.{found[7] or 0}")
    return timegm((year, month, day, hour, minute, second)) + fraction - _offset(found[8] or "Z")


def write_time(moment: float | None) -> str:
    """Write a moment in UTC, to the millisecond; what is not from the year 1 to the year 9999 counts as the nearest that is."""
    if moment is None:
        return NEVER
    first, last = timegm((1, 1, 1, 0, 0, 0)), timegm((9999, 12, 30, 0, 0, 0))
    milliseconds = round(min(max(moment, first), last) * 1000)
    seconds, millisecond = divmod(milliseconds, 1000)
    days, second = divmod(seconds, _DAY)
    year, month, day = _date(days)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"


def _offset(zone: str) -> int:
    """Return the seconds by which a zone is ahead of UTC."""
    if zone in {"Z", "z"}:
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 14 or minutes > 59:
        raise ValueError(_NO_TIME)
    return (hours * 60 + minutes) * (-60 if zone[0] == "-" else 60)


def _date(days: int) -> tuple[int, int, int]:
    """Return the date that is so many days after 1970-01-01, by eras of 400 years that begin in March."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + (3 if month_from_march < 10 else -9)
    return year_of_era + era * 400 + (month <= 2), month, day
