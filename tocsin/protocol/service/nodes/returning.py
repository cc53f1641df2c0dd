"""How a node that drains sends its devices away: a few at a time, so that those that come back do not come to the others at once.

A device that is told so connects again at once, to whichever node its load balancer has for it. A device is told only while nothing is on its way to it, or when its time is over.
"""

from __future__ import annotations

from attrs import define, field, frozen, validators


@frozen
class ReturnPolicy:
    """How fast devices are sent away; times in seconds."""

    per_node: float = field(default=500.0, validator=validators.gt(0))
    """Devices a second that each of the other nodes is to get at most."""
    shortest: float = field(default=1.0, validator=validators.ge(0))
    longest: float = field(default=60.0, validator=validators.ge(0))
    """However many there are, and also where no other node serves: devices wait at no node that leaves."""

    def span(self, devices: int, others: int) -> float:
        """Return over how many seconds so many devices are sent to so many other nodes."""
        if not others:
            return self.longest
        return min(max(devices / (self.per_node * others), self.shortest), self.longest)


@define(eq=False)
class Returning:
    """The devices of a node that drains: how many have to be told by when. Times are on the node's steady clock.

    :param devices: how many were connected when it began.
    """

    devices: int
    began: float
    span: float
    told: int = 0

    def due(self, now: float) -> int:
        """Return how many more have to be told now: at the end all, before that as much of them as of the time."""
        share = 1.0 if now >= self.ends else max(now - self.began, 0.0) / self.span
        return max(int(self.devices * share) - self.told, 0)

    @property
    def ends(self) -> float:
        """When all have to be told; also those that have come since."""
        return self.began + self.span

    def next_due(self) -> float:
        """Return when one more has to be told."""
        if self.told >= self.devices:
            return self.ends
        return self.began + self.span * (self.told + 1) / self.devices

    def tell(self, count: int) -> None:
        """Note that so many were told, or have left by themselves."""
        self.told += count
