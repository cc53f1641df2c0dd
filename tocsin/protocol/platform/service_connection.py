"""The device's connection to its push service: attempts, greeting, loss, an orderly end, and the wait between attempts.

That a connection was made is no success yet: what went wrong before is forgotten when it has lasted as long as the
longest wait. Else a service that cuts each connection, or a second device with the same identity, would be called
without end as fast as after the first failure.

Where group policy forbids it, there is none, and no attempt at one. Its driver is ``tocsin.transport.service_connection``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from typing import Final

from attrs import Factory, define, field, frozen, validators

from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.network.causes import ConnectionCause


class Phase(Label):
    """Where the connection stands."""

    DOWN = auto()
    CONNECTING = auto()
    GREETING = auto()
    UP = auto()
    FINISHING = auto()
    """Nothing more is taken in; what was taken in is still acknowledged."""
    LEAVING = auto()
    """Group policy has come to forbid it: what waits to go out still does, in which the service is told so."""
    FORBIDDEN = auto()
    """No attempt is made until it is allowed."""
    CLOSED = auto()


class Event(Label):
    """What happens to it."""

    ATTEMPT = auto()
    OPENED = auto()
    WELCOMED = auto()
    LASTED = auto()
    """It has been up for as long as :meth:`Course.lasting` says."""
    LOST = auto()
    REPLACED = auto()
    """The service has another connection of the same device: another process has this one's identity."""
    FINISH = auto()
    """The device is about to end, in order."""
    FORBIDDEN = auto()
    """Group policy forbids notifications from the network, and with them this connection."""
    LEFT = auto()
    """It has been left, or the attempt to make it was broken off."""
    ALLOWED = auto()
    CLOSE = auto()


class Effect(Label):
    """What its driver has to do."""

    OPEN_WIRE = auto()
    """Open it and hold it until it is lost, or the connection ends; it is closed then, whatever the reason."""
    SEND_HELLO = auto()
    REPORT_UP = auto()
    CARRY_FRAMES = auto()
    BACK_OFF = auto()
    """Choose the usual wait until the next attempt."""
    STAND_BACK = auto()
    """Choose a long one: a device that comes back at once takes the place of the other, which comes back too."""
    REPORT_DOWN = auto()
    WAIT = auto()
    FORGET_FAILURES = auto()
    """Begin another course; if it was said that there is no connection, say that there is one again."""
    STOP_READING = auto()
    GIVE_UP = auto()
    """End at once: there is nothing to be said."""
    BREAK_OFF = auto()
    """End the attempt, or the wait for it: there is nothing to be said."""
    REPORT_FORBIDDEN = auto()
    AWAIT_PERMISSION = auto()


_LOST = (Effect.BACK_OFF, Effect.REPORT_DOWN, Effect.WAIT)
_REPLACED = (Effect.STAND_BACK, Effect.REPORT_DOWN, Effect.WAIT)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.DOWN, Event.ATTEMPT): (Phase.CONNECTING, (Effect.OPEN_WIRE,)),
    (Phase.DOWN, Event.FINISH): (Phase.DOWN, (Effect.GIVE_UP,)),
    (Phase.DOWN, Event.FORBIDDEN): (Phase.LEAVING, (Effect.BREAK_OFF,)),
    (Phase.DOWN, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.CONNECTING, Event.OPENED): (Phase.GREETING, (Effect.SEND_HELLO,)),
    (Phase.CONNECTING, Event.LOST): (Phase.DOWN, _LOST),
    (Phase.CONNECTING, Event.FINISH): (Phase.CONNECTING, (Effect.GIVE_UP,)),
    (Phase.CONNECTING, Event.FORBIDDEN): (Phase.LEAVING, (Effect.BREAK_OFF,)),
    (Phase.CONNECTING, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.GREETING, Event.WELCOMED): (Phase.UP, (Effect.REPORT_UP, Effect.CARRY_FRAMES)),
    (Phase.GREETING, Event.LOST): (Phase.DOWN, _LOST),
    (Phase.GREETING, Event.REPLACED): (Phase.DOWN, _REPLACED),
    (Phase.GREETING, Event.FINISH): (Phase.GREETING, (Effect.GIVE_UP,)),
    (Phase.GREETING, Event.FORBIDDEN): (Phase.LEAVING, (Effect.BREAK_OFF,)),
    (Phase.GREETING, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.UP, Event.LASTED): (Phase.UP, (Effect.FORGET_FAILURES,)),
    (Phase.UP, Event.LOST): (Phase.DOWN, _LOST),
    (Phase.UP, Event.REPLACED): (Phase.DOWN, _REPLACED),
    (Phase.UP, Event.FINISH): (Phase.FINISHING, (Effect.STOP_READING,)),
    (Phase.UP, Event.FORBIDDEN): (Phase.LEAVING, (Effect.STOP_READING,)),
    (Phase.UP, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.FINISHING, Event.LASTED): (Phase.FINISHING, ()),
    (Phase.FINISHING, Event.FINISH): (Phase.FINISHING, ()),
    (Phase.FINISHING, Event.FORBIDDEN): (Phase.FINISHING, ()),
    (Phase.FINISHING, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.LEAVING, Event.LASTED): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.FORBIDDEN): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.LEFT): (Phase.FORBIDDEN, (Effect.REPORT_FORBIDDEN, Effect.AWAIT_PERMISSION)),
    (Phase.LEAVING, Event.FINISH): (Phase.FINISHING, ()),
    (Phase.LEAVING, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.FORBIDDEN, Event.FORBIDDEN): (Phase.FORBIDDEN, ()),
    (Phase.FORBIDDEN, Event.ALLOWED): (Phase.CONNECTING, (Effect.OPEN_WIRE,)),
    (Phase.FORBIDDEN, Event.FINISH): (Phase.FORBIDDEN, (Effect.GIVE_UP,)),
    (Phase.FORBIDDEN, Event.CLOSE): (Phase.CLOSED, ()),
}


def loss(cause: ConnectionCause) -> Event:
    """Decide which event the end of a connection, or of the attempt to make one, is."""
    return Event.REPLACED if cause is ConnectionCause.REPLACED else Event.LOST


@frozen
class ReconnectPolicy:
    """How long to wait before the next attempt to connect, in seconds: doubled each time, with full jitter above half."""

    first: float = field(default=0.25, validator=validators.gt(0))
    longest: float = field(default=30.0, validator=validators.gt(0))

    def wait(self, failures: int, fraction: float) -> float:
        """Return the seconds to wait after that many failures in a row, from 1; ``fraction`` is random, 0 to 1."""
        return backoff(self.first, self.longest, failures, fraction)


POLICIES: Final[Mapping[Effect, ReconnectPolicy]] = {
    Effect.BACK_OFF: ReconnectPolicy(),
    Effect.STAND_BACK: ReconnectPolicy(first=300.0, longest=3600.0),
}
"""How long each way of waiting is."""

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds that a service may ask a device to wait; it is not believed in more."""


@define
class Course:
    """What has gone wrong since a connection lasted: it decides about the next wait, and what the log has yet to hear."""

    failures: dict[Effect, int] = Factory(dict)
    """How often, by the way of waiting."""
    said: set[ConnectionCause] = Factory(set)
    """The causes that the log has heard of."""

    def lasting(self) -> float:
        """Return the seconds that a connection has to be up for all of this to be forgotten: the longest wait of its kinds."""
        return max((POLICIES[way].longest for way in self.failures), default=0.0)

    def failed(self, way: Effect, told: float | None, fraction: float) -> float:
        """Count a failure, and return the seconds until the next attempt.

        :param way: how it is waited after.
        :param told: the seconds that the service has asked for; the wait is no shorter, within ``MAX_RETRY_AFTER``.
        :param fraction: random, from 0 to 1.
        """
        count = self.failures[way] = self.failures.get(way, 0) + 1
        wait = POLICIES[way].wait(count, fraction)
        return max(wait, min(told or 0.0, MAX_RETRY_AFTER) * (1 + 0.1 * fraction))

    def is_news(self, cause: ConnectionCause) -> bool:
        """Tell whether the log has yet to hear of a cause; it has from then on."""
        news = cause not in self.said
        self.said.add(cause)
        return news
