"""How long something took, each time: counts by upper bounds, as a histogram of Prometheus has them."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from attrs import Factory, define

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds."""


@define(eq=False)
class Durations:
    """What was added since the start."""

    seconds: float = 0.0
    """All of it together."""
    counts: list[int] = Factory(lambda: [0] * (len(BUCKETS) + 1))
    """How many took no longer than each bound, but longer than the one before; the last took longer than all."""

    def add(self, seconds: float) -> None:
        """Count one that took so long."""
        self.seconds += seconds
        self.counts[bisect_left(BUCKETS, seconds)] += 1
