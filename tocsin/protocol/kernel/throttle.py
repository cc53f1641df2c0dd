"""Token buckets: who may do how much, of many at a time, in bounded memory.

A bucket holds ``burst`` tokens at most and gains ``rate`` of them a second. It is kept as one number, the time at which it
will be full again (the "generic cell rate algorithm"), so a bucket that is full need not be kept at all.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

CAPACITY: Final = 65_536
"""Buckets that one throttle remembers at most. Above it the one that was not looked at for longest is taken for full."""


class Throttle:
    """A bucket for each key.

    :param rate: tokens a second that each bucket gains; 0 means that there is no limit.
    :param burst: tokens that a bucket holds at most, 1 or more.
    """

    def __init__(self, rate: float, burst: int, capacity: int = CAPACITY) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._burst = burst
        self._slack = self._interval * burst
        self._capacity = capacity
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, key: str, now: float, tokens: int = 1) -> float:
        """Take a token, or several, and return 0, or the seconds until there will be so many; more than fit into a bucket are as many as do."""
        if not self._interval:
            return 0.0
        taken = self._interval if tokens == 1 else self._interval * min(tokens, self._burst)
        full_at = self._full_at.get(key)
        if full_at is None:
            self._make_room(now)
            full_at = now
        elif full_at < now:
            full_at = now
        wait = full_at + taken - self._slack - now
        if wait > 1e-9:  # less is rounding
            return wait
        self._full_at[key] = full_at + taken
        return 0.0

    def peek(self, key: str, now: float) -> float:
        """Return the seconds until there will be a token; 0 if there is one."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return 0.0
        wait = full_at + self._interval - self._slack - now
        return wait if wait > 1e-9 else 0.0

    def _make_room(self, now: float) -> None:
        """Look at the two buckets that were not looked at for longest; forget those that are full, or one too many."""
        for _ in range(min(2, len(self._full_at))):
            key = next(iter(self._full_at))
            if self._full_at[key] <= now or len(self._full_at) >= self._capacity:
                del self._full_at[key]
            else:
                self._full_at.move_to_end(key)
