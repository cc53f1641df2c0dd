"""The device's connection to its push service: attempts, greeting, loss, an orderly end, and the wait between attempts."""

from __future__ import annotations

from enum import auto

from attrs import field, frozen, validators

from tocsin.protocol.machine import Label


class Phase(Label):
    """Where the connection stands."""

    DOWN = auto()
    CONNECTING = auto()
    GREETING = auto()
    UP = auto()
    FINISHING = auto()
    """Nothing more is taken in; what was taken in is still acknowledged."""
    CLOSED = auto()


class Event(Label):
    """What happens to it."""

    ATTEMPT = auto()
    OPENED = auto()
    WELCOMED = auto()
    LOST = auto()
    FINISH = auto()
    """The device is about to end, in order."""
    CLOSE = auto()


class Effect(Label):
    """What its driver has to do."""

    OPEN_WIRE = auto()
    SEND_HELLO = auto()
    REPORT_UP = auto()
    REPORT_DOWN = auto()
    CLOSE_WIRE = auto()
    BACK_OFF = auto()
    STOP_READING = auto()
    GIVE_UP = auto()
    """End at once: there is nothing to be said."""


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.DOWN, Event.ATTEMPT): (Phase.CONNECTING, (Effect.OPEN_WIRE,)),
    (Phase.DOWN, Event.FINISH): (Phase.DOWN, (Effect.GIVE_UP,)),
    (Phase.DOWN, Event.CLOSE): (Phase.CLOSED, ()),
    (Phase.CONNECTING, Event.OPENED): (Phase.GREETING, (Effect.SEND_HELLO,)),
    (Phase.CONNECTING, Event.LOST): (Phase.DOWN, (Effect.REPORT_DOWN, Effect.BACK_OFF)),
    (Phase.CONNECTING, Event.FINISH): (Phase.CONNECTING, (Effect.GIVE_UP,)),
    (Phase.CONNECTING, Event.CLOSE): (Phase.CLOSED, (Effect.CLOSE_WIRE,)),
    (Phase.GREETING, Event.WELCOMED): (Phase.UP, (Effect.REPORT_UP,)),
    (Phase.GREETING, Event.LOST): (Phase.DOWN, (Effect.CLOSE_WIRE, Effect.REPORT_DOWN, Effect.BACK_OFF)),
    (Phase.GREETING, Event.FINISH): (Phase.GREETING, (Effect.GIVE_UP,)),
    (Phase.GREETING, Event.CLOSE): (Phase.CLOSED, (Effect.CLOSE_WIRE,)),
    (Phase.UP, Event.LOST): (Phase.DOWN, (Effect.CLOSE_WIRE, Effect.REPORT_DOWN, Effect.BACK_OFF)),
    (Phase.UP, Event.FINISH): (Phase.FINISHING, (Effect.STOP_READING,)),
    (Phase.UP, Event.CLOSE): (Phase.CLOSED, (Effect.CLOSE_WIRE,)),
    (Phase.FINISHING, Event.FINISH): (Phase.FINISHING, ()),
    (Phase.FINISHING, Event.CLOSE): (Phase.CLOSED, (Effect.CLOSE_WIRE,)),
}


@frozen
class ReconnectPolicy:
    """How long to wait before the next attempt to connect, in seconds: doubled each time, with full jitter above half."""

    first: float = field(default=0.25, validator=validators.gt(0))
    longest: float = field(default=30.0, validator=validators.gt(0))

    def wait(self, failures: int, fraction: float) -> float:
        """Return the seconds to wait after that many failures in a row, from 1; ``fraction`` is random, 0 to 1."""
        span = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return span * (0.5 + 0.5 * fraction)
