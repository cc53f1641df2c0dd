"""The life of one click on a toast: from when it is stored until its app, or what opens links, is through with it.

A click is handed out at least once: an app that dies with it gets it again, with ``attempt`` raised, and knows it by its
number. Its driver is ``tocsin.actors.activations``; which click has its turn is said in ``tocsin.protocol.toasts.click_turns``.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from attrs import define

from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.messages import TextPair, ToastActivationType

WAIT: Final = 3600.0
"""Seconds for which a click waits for its app, from when it was made: later it would surprise its user."""

LAUNCH_BUDGET: Final = 30.0
"""Seconds within which a process that was launched must ask for its click, or register a handler that takes it."""

MAX_DEATHS: Final = 3
"""Processes that may die with one click, or on their way for it; each that dies starts another."""


class Phase(Label):
    """Where a click stands."""

    WAITING = auto()
    """No session takes it, and it is not its turn to start a process, or no command is known that would."""
    OFFERED = auto()
    """A session has it."""
    LAUNCHING = auto()
    """A process is being started that will ask for it."""
    OPENING = auto()
    """It is a link, and the desktop's program for such links is being started."""
    DONE = auto()
    FAILED = auto()
    EXPIRED = auto()


class Event(Label):
    """What happens to it."""

    TAKEN = auto()
    """A session is there that takes the clicks of its app."""
    LAUNCH = auto()
    """Its turn has come and no session is there: a process can be started."""
    OPEN = auto()
    """It is a link of a kind that the desktop opens."""
    ARRIVED = auto()
    """The process that was launched has come for it: by its claim, or with a handler."""
    LAUNCH_FAILED = auto()
    """The process could not be started, or has ended itself before it came for the click."""
    LAUNCH_TIMED_OUT = auto()
    OPEN_FAILED = auto()
    SESSION_GONE = auto()
    """The session that had it has gone, or was not there to take it, or the process on its way for it was killed."""
    GONE_TOO_OFTEN = auto()
    """The same, and with one session more than it may cost."""
    DONE = auto()
    """The app, or what opens links, is through with it."""
    EXPIRED = auto()
    OVERFLOW = auto()
    """More clicks wait for the app than are kept."""
    FORGOTTEN = auto()
    """The app was removed."""


class Effect(Label):
    """What its driver has to do."""

    OFFER = auto()
    """Raise its attempt, durably, and hand it to its session."""
    LAUNCH = auto()
    START_BUDGET = auto()
    """Tell when ``LAUNCH_BUDGET`` is over."""
    STOP_LAUNCH = auto()
    """End the process that was launched: nothing is left for it."""
    OPEN = auto()
    """Raise its attempt, durably, and have the link opened."""
    SETTLE = auto()
    """Keep it no longer, and let the next have its turn."""
    REPORT = auto()
    """Say that it has come to nothing, and why."""


_LOST = (Effect.REPORT, Effect.SETTLE)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.WAITING, Event.TAKEN): (Phase.OFFERED, (Effect.OFFER,)),
    (Phase.WAITING, Event.LAUNCH): (Phase.LAUNCHING, (Effect.LAUNCH, Effect.START_BUDGET)),
    (Phase.WAITING, Event.OPEN): (Phase.OPENING, (Effect.OPEN,)),
    # By a session that was given up, or one of before a restart.
    (Phase.WAITING, Event.DONE): (Phase.DONE, (Effect.SETTLE,)),
    (Phase.WAITING, Event.EXPIRED): (Phase.EXPIRED, _LOST),
    (Phase.WAITING, Event.OVERFLOW): (Phase.FAILED, _LOST),
    (Phase.WAITING, Event.FORGOTTEN): (Phase.FAILED, (Effect.SETTLE,)),
    (Phase.OFFERED, Event.DONE): (Phase.DONE, (Effect.SETTLE,)),
    (Phase.OFFERED, Event.SESSION_GONE): (Phase.WAITING, ()),
    (Phase.OFFERED, Event.GONE_TOO_OFTEN): (Phase.FAILED, _LOST),
    (Phase.OFFERED, Event.FORGOTTEN): (Phase.FAILED, (Effect.SETTLE,)),
    (Phase.LAUNCHING, Event.ARRIVED): (Phase.OFFERED, (Effect.OFFER,)),
    (Phase.LAUNCHING, Event.TAKEN): (Phase.OFFERED, (Effect.STOP_LAUNCH, Effect.OFFER)),
    (Phase.LAUNCHING, Event.SESSION_GONE): (Phase.WAITING, ()),
    (Phase.LAUNCHING, Event.GONE_TOO_OFTEN): (Phase.FAILED, _LOST),
    (Phase.LAUNCHING, Event.LAUNCH_FAILED): (Phase.FAILED, _LOST),
    (Phase.LAUNCHING, Event.LAUNCH_TIMED_OUT): (Phase.FAILED, (Effect.STOP_LAUNCH, *_LOST)),
    (Phase.LAUNCHING, Event.DONE): (Phase.DONE, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.LAUNCHING, Event.FORGOTTEN): (Phase.FAILED, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.OPENING, Event.DONE): (Phase.DONE, (Effect.SETTLE,)),
    (Phase.OPENING, Event.OPEN_FAILED): (Phase.FAILED, _LOST),
    (Phase.OPENING, Event.FORGOTTEN): (Phase.FAILED, (Effect.SETTLE,)),
}

ENDS = frozenset(Phase) - frozenset(phase for phase, _ in TABLE)
"""The phases in which a click's life is over."""


@define(eq=False)
class Click:
    """One click: what its user has done, and where it stands.

    :param at: when it was made, in seconds since the epoch.
    :param attempt: how often it was handed out so far.
    :param expires: until when it waits for its app, on the loop's clock.
    """

    number: int
    app: str
    toast: int
    tag: str
    group: str
    kind: ToastActivationType
    argument: str
    inputs: tuple[TextPair, ...]
    at: float
    attempt: int = 0
    expires: float = 0.0
    phase: Phase = Phase.WAITING
    deadline: float = 0.0
    """When its launch has taken too long, on the loop's clock; 0 while there is none."""
    session: str = ""
    """The one that has it."""
    request: int = 0
    """The claim that is to be answered with it; 0 where it goes to a handler."""
    deaths: int = 0
    """Sessions that have gone with it, and processes that were killed on their way for it, since the agent has started."""
    detail: str = ""
    """Why it has come to nothing."""


def time_left(at: float, now: float) -> float:
    """Return for how many seconds a click may still wait.

    :param at: when it was made, ``now`` what time it is, in seconds since the epoch; a clock that was set back makes the wait
        no longer than it is for a click of now.
    """
    return min(max(at + WAIT - now, 0.0), WAIT)


def event_of_departure(deaths: int) -> Event:
    """Decide which event it is that the session has gone that had a click.

    :param deaths: how many have gone with it, this one included.
    """
    return Event.GONE_TOO_OFTEN if deaths >= MAX_DEATHS else Event.SESSION_GONE
