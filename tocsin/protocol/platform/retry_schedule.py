"""The retry schedule: which failures of a channel request are worth another attempt, and when it is made.

Source: the constants of ``PushNotificationManager.cpp`` (60 s, 60 s more each time, up to 5 minutes, so five retries),
with jitter and the service's ``Retry-After`` added.
"""

from __future__ import annotations

from enum import auto

from attrs import field, frozen

from tocsin.protocol.arguments import number
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where the schedule of one request stands."""

    IDLE = auto()
    WAITING = auto()
    ENDED = auto()


class Event(Label):
    """What happens to it."""

    FAILED = auto()
    RESUMED = auto()
    """A wait from before a restart goes on."""
    GAVE_UP = auto()
    DUE = auto()
    FORGOTTEN = auto()


class Effect(Label):
    """What the scheduler has to do."""

    SET_ALARM = auto()
    TELL_PLAN = auto()
    TELL_DENIAL = auto()
    TELL_DUE = auto()
    """Tell that the wait is over; its alarm has rung, and is none any more."""
    CLEAR_ALARM = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.IDLE, Event.FAILED): (Phase.WAITING, (Effect.SET_ALARM, Effect.TELL_PLAN)),
    (Phase.IDLE, Event.RESUMED): (Phase.WAITING, (Effect.SET_ALARM,)),
    (Phase.IDLE, Event.GAVE_UP): (Phase.ENDED, (Effect.TELL_DENIAL,)),
    (Phase.IDLE, Event.FORGOTTEN): (Phase.ENDED, ()),
    (Phase.WAITING, Event.DUE): (Phase.IDLE, (Effect.TELL_DUE,)),
    (Phase.WAITING, Event.FORGOTTEN): (Phase.ENDED, (Effect.CLEAR_ALARM,)),
}

RETRYABLE = frozenset(
    {
        HResult.ERROR_TIMEOUT,
        HResult.WNP_E_NOT_CONNECTED,
        HResult.WNP_E_RECONNECTING,
        HResult.WNP_E_BIND_USER_BUSY,
        HResult.WPN_E_OUTSTANDING_CHANNEL_REQUEST,
        HResult.RPC_S_SERVER_UNAVAILABLE,
    }
)
"""The failures that may pass by themselves; every other one is critical."""


def left(due: float, planned: float, now: float) -> float:
    """Return the seconds that are left of a wait; a wall clock that was set back meanwhile makes it no longer."""
    return max(0.0, min(due - now, due - planned))


@frozen
class RetryPolicy:
    """How long to wait before each retry, in seconds; ``jitter`` is the fraction by which a wait may be off.

    Example::

        quick = tocsin.RetryPolicy(first=1, increment=2, longest=30)
        async with tocsin.embedded("contoso.chat", "./chat-state", retries=quick) as manager:
            print(manager.app)
    """

    first: float = field(default=60.0, validator=number(0, above=True))
    increment: float = field(default=60.0, validator=number(0))
    longest: float = field(default=300.0, validator=number(0, above=True))
    jitter: float = field(default=0.1, validator=number(0, 1, below=True))

    def wait(self, failures: int, retry_after: float | None, fraction: float) -> float | None:
        """Return the seconds to wait after that many failures, or None when the attempts are used up.

        :param failures: how many attempts have failed, from 1.
        :param retry_after: what the service asked for, in seconds; the wait is never shorter. Less than 0 is no time
            that could be meant, and waits longest.
        :param fraction: from 0 to 1, where in the span of the jitter this wait lies.
        """
        backoff = self.first + self.increment * (failures - 1)
        if backoff > self.longest:
            return None
        spread = backoff * (1 + self.jitter * (2 * fraction - 1))
        told = retry_after or 0.0
        return max(spread, told if told >= 0 else self.longest)


def classify(hresult: int, wait: float | None) -> Event:
    """Decide which event a failure is: one to wait after, or the last."""
    return Event.FAILED if wait is not None and hresult in RETRYABLE else Event.GAVE_UP
