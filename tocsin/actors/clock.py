"""The one seam through which actors take time."""

from __future__ import annotations

import time
from random import Random

import anyio


class Clock:
    """Time and chance of the running event loop; a test hands in another."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311  # jitter, no secret

    def monotonic(self) -> float:
        """Return the event loop's time in seconds: for budgets, waits and alarms."""
        return anyio.current_time()

    def wall(self) -> float:
        """Return the seconds since the epoch: for expiry only."""
        return time.time()

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return self._random.random()
