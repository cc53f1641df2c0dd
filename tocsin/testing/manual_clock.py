"""A clock that tests move ahead."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from tocsin.protocol.arguments import check_finite
from tocsin.protocol.errors import InvalidArgument


class Clock:
    """The service's wall clock: it goes as the machine's does, and jumps when told to."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """Tell the time in seconds since the epoch."""
        return time.time() + self._ahead

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return datetime.fromtimestamp(self(), UTC)

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Jump ahead.

        :raises InvalidArgument: that would be backwards, or is no time.
        """
        for name, value in {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}.items():
            check_finite(value, name)
        try:
            jump = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
            datetime.fromtimestamp(self() + jump, UTC)
        except (OverflowError, ValueError):
            raise InvalidArgument("no calendar goes as far as that") from None
        if jump < 0:
            raise InvalidArgument("time goes forward only")
        self._ahead += jump

    def reset(self) -> None:
        """Go as the machine's clock does again."""
        self._ahead = 0.0
