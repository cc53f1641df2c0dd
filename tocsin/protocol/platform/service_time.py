"""The service's time, as a machine knows it that has clocks of its own.

A moment belongs to the machine that set it. The service sets when a payload expires and when a channel ends, so both are
judged by the service's time, on the device too. A machine knows it by what the service has said last, and by what has
gone by since on a clock that goes steadily, whatever the wall clock is set to. After a start it is only known what time
it is at the service at least; how long the machine was off is what its wall clock says, until the service is heard again.
Where it was not off, and only the process was, the steady clock has gone on, and says it exactly.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import define, frozen

DOUBTFUL = 86_400.0
"""Seconds of absence from which on a wall clock that was set is as likely as a machine that was off."""


@frozen
class Absence:
    """How long a process did not run, in seconds, and whether that is certain or only what the wall clock says."""

    seconds: float
    certain: bool

    @property
    def doubtful(self) -> bool:
        """Whether the wall clock may have been set meanwhile rather than so much time gone by."""
        return not self.certain and self.seconds >= DOUBTFUL


@frozen
class Mark:
    """One moment on several clocks, kept for the next start: the service's time and a wall clock, in seconds since the epoch.

    ``steady`` is what the steady clock showed, ``boot`` names the run of the machine in which it shows that; empty where
    that is not known. Where no mark was kept, nothing is known of the service's time but that it should be what the wall
    clock says.
    """

    service: float = 0.0
    wall: float = 0.0
    steady: float = 0.0
    boot: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Mark:
        """Read a mark as it is kept; None for one that was not.

        :raises ValueError: it is none.
        """
        if text is None:
            return cls()
        service, wall, *rest = text.split()
        if not rest:
            return cls(float(service), float(wall))
        steady, boot = rest
        return cls(float(service), float(wall), float(steady), boot)

    def __str__(self) -> str:
        return f"{self.service!r} {self.wall!r}" + (f" {self.steady!r} {self.boot}" if self.boot else "")

    def absence(self, wall: float, steady: float, boot: str) -> Absence:
        """Tell how long it is since the mark was kept, by what the clocks show now.

        In the same run of the machine the steady clock says it, whatever the wall clock was set to. After another start
        only the wall clock can; one that went back says nothing.
        """
        if boot and boot == self.boot and steady >= self.steady:
            return Absence(steady - self.steady, certain=True)
        return Absence(max(wall - self.wall, 0.0), certain=self.wall == 0.0)


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
    def recalled(cls, mark: Mark, wall: float, steady: float, boot: str = "") -> ServiceTime:
        """Begin with what was kept; ``boot`` names this run of the machine, if that is known."""
        return cls(mark.service, steady, mark.absence(wall, steady, boot).seconds)

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


SLEW: Final = 0.1
"""Of the time that goes by, the part by which a followed time is faster or slower until it is right again."""


@define
class FollowedTime:
    """The service's time at one of its nodes, which hear it from a clock that they share, and go on by their steady ones.

    It neither goes back nor stands still, and it does not jump: where the shared clock was set, the nodes come to it by a
    tenth of the time that goes by. Until then they agree as far as they began before that.
    """

    _time: float
    _since: float
    _wrong: float = 0.0  # seconds that were to be made up then

    @classmethod
    def heard(cls, said: float, asked: float, answered: float) -> FollowedTime:
        """Begin with what the shared clock has said between two moments of the steady clock."""
        return cls(said + (answered - asked) / 2, answered)

    def at(self, steady: float) -> float:
        """Return what time it is."""
        gone = steady - self._since
        most = SLEW * gone
        return self._time + (gone + max(-most, min(most, self._wrong)))

    def hear(self, said: float, asked: float, answered: float) -> None:
        """Take what the shared clock has said; where in between it has, is not known, so what fits is right."""
        now = self.at(answered)
        least, most = said, said + (answered - asked)
        self._time, self._since = now, answered
        self._wrong = max(least - now, min(most - now, 0.0))
