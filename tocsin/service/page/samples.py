"""What the service has done in the last minutes, as curves: samples of its counters, of which so many are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from attrs import field, frozen

EVERY: Final = 5.0
"""Seconds from one sample to the next."""

SPAN: Final = 900.0
"""Seconds that the curves tell of."""


@frozen
class Sample:
    """What was counted up to a moment, in seconds on a clock that never goes back, and how many devices were connected."""

    at: float
    answered: int
    refused: int
    devices: int


@frozen
class Curve:
    """How something went: pairs of how many seconds ago, and how much, the oldest first."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def latest(self) -> float:
        """The last value; 0 where there is none."""
        return self.points[-1][1] if self.points else 0.0

    @property
    def highest(self) -> float:
        """The highest value; 0 where there is none."""
        return max((value for _, value in self.points), default=0.0)


@frozen
class Samples:
    """The samples."""

    _kept: deque[Sample] = field(factory=lambda: deque(maxlen=int(SPAN / EVERY) + 1))

    def add(self, sample: Sample) -> None:
        """Keep a sample; the oldest one goes, when there are too many."""
        self._kept.append(sample)

    def curves(self) -> tuple[Curve, ...]:
        """Return how it went up to the latest sample."""
        latest = self._kept[-1].at if self._kept else 0.0
        devices = tuple((latest - each.at, float(each.devices)) for each in self._kept)
        return (
            Curve("Answers a second", self._rates(latest, lambda each: each.answered)),
            Curve("Refusals a second", self._rates(latest, lambda each: each.refused)),
            Curve("Connected devices", devices),
        )

    def _rates(self, latest: float, count: Callable[[Sample], int]) -> tuple[tuple[float, float], ...]:
        return tuple(
            (latest - after.at, (count(after) - count(before)) / (after.at - before.at))
            for before, after in pairwise(self._kept)
            if after.at > before.at
        )
