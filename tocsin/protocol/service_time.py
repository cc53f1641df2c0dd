"""The service's time, as a machine knows it that has clocks of its own.

A moment belongs to the machine that set it. The service sets when a payload expires and when a channel ends, so both are
judged by the service's time, on the device too. A machine knows it by what the service has said last, and by what has
gone by since on a clock that goes steadily, whatever the wall clock is set to. After a start it is only known what time
it is at the service at least; how long the machine was off is what its wall clock says, until the service is heard again.
"""

from __future__ import annotations

from enum import Enum, auto

from attrs import define, frozen


@frozen
class Mark:
    """One moment on two clocks, kept for the next start: the service's time and a wall clock, in seconds since the epoch.

    Where none was kept, nothing is known of the service's time but that it should be what the wall clock says.
    """

    service: float = 0.0
    wall: float = 0.0

    @classmethod
    def parse(cls, text: str | None) -> Mark:
        """Read a mark as it is kept; None for one that was not.

        :raises ValueError: it is none.
        """
        if text is None:
            return cls()
        service, wall = map(float, text.split())
        return cls(service, wall)

    def __str__(self) -> str:
        return f"{self.service!r} {self.wall!r}"


class Verdict(Enum):
    """What the service's time says of a moment."""

    AHEAD = auto()
    PAST = auto()
    IN_DOUBT = auto()
    """It has passed if this machine was off for as long as its wall clock says, which may have been set meanwhile."""


@define
class ServiceTime:
    """What a machine knows of it; ``steady`` is always what its steady clock shows, in seconds from anywhere."""

    _heard: float
    _since: float
    _off: float
    known: bool = False
    """Whether the service was heard since the start."""

    @classmethod
    def recalled(cls, mark: Mark, wall: float, steady: float) -> ServiceTime:
        """Begin with what was kept."""
        return cls(mark.service, steady, max(wall - mark.wall, 0.0))

    def hear(self, service: float, steady: float) -> None:
        """Take what the service says."""
        self._heard, self._since, self._off, self.known = service, steady, 0.0, True

    def least(self, steady: float) -> float:
        """Return what time it is at the service at least: what went by while this machine was off does not count."""
        return self._heard + steady - self._since

    def likely(self, steady: float) -> float:
        """Return what time it is at the service if this machine was off for as long as its wall clock says."""
        return self.least(steady) + self._off

    def judge(self, moment: float, steady: float) -> Verdict:
        """Tell whether a moment that the service has set has passed."""
        if moment > self.likely(steady):
            return Verdict.AHEAD
        return Verdict.PAST if moment <= self.least(steady) else Verdict.IN_DOUBT
