"""How long a service asks to wait: ``Retry-After`` in every form that it may have (RFC 9110 §10.2.3)."""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from email.utils import parsedate_tz
from typing import Final

LONGEST: Final = 1e10
"""Seconds, three centuries: a wait that is asked for counts as no more than that, however many digits it has."""

_MAX_DATE: Final = 64  # characters; what is longer is no date of the web
_NUMBERS: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[ \t]*,[ \t]*[0-9]+(?:\.[0-9]*)?)*")


def parse_retry_after(text: str, date: str | None, now: float) -> float | None:
    """Return the seconds that a service asks to wait, from 0 to ``LONGEST``; None where it is not clear how many.

    An instruction that is not understood is still one: on None, wait as long as the caller ever does by itself.

    :param text: the header's value: a number, also with a fraction; several, of which the longest counts, as where
        the header came twice; or a date in one of the three forms of HTTP.
    :param date: the answer's own ``Date``, which a date is relative to: the clocks of two machines may be apart.
    :param now: this machine's time in seconds since the epoch, for an answer without a ``Date``.
    """
    text = text.strip()
    if _NUMBERS.fullmatch(text):
        return min(max(map(float, text.split(","))), LONGEST)
    moment = _moment(text)
    if moment is None:
        return None
    answered = None if date is None else _moment(date)
    return min(max(moment - (now if answered is None else answered), 0.0), LONGEST)


def _moment(text: str) -> float | None:
    """Read a date of the web, in seconds since the epoch; the obsolete forms too, which name no zone and mean UTC."""
    if not text.isascii() or len(text) > _MAX_DATE or text.count(":") != 2:  # the parser takes the first of several
        return None
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        year, month, day, hour, minute, second = parts[:6]
        if not (1 <= day <= monthrange(year, month)[1] and hour < 24 and minute < 60 and second <= 60):
            return None
        return float(timegm((year, month, day, hour, minute, second)) - (parts[9] or 0))
    except (ValueError, OverflowError):  # no such year
        return None
