"""The launch of an app: from its turn to the end of its process, which claims its payload on the way.

A claim is good once, from the moment when its process is being started until it has ended or is being stopped. A process
that is stopped has ``KILL_AFTER`` seconds for its last things, and so has what else it has started: the process itself is
taken leave of only then, since until then its number, by which all of them are reached, is that of no other process.

Its driver is ``tocsin.agent.launcher``.
"""

from __future__ import annotations

from enum import IntEnum, auto, unique
from typing import Final

from tocsin.protocol.kernel.machine import Label


@unique
class LaunchPurpose(IntEnum):
    """What a process is launched for."""

    PUSH = 0
    """The background work of a payload."""
    TOAST = 1
    """A click on a toast."""


CLAIM_ARGUMENTS: Final = {LaunchPurpose.PUSH: "----tocsin-push:", LaunchPurpose.TOAST: "----tocsin-toast:"}
"""What the last argument of a launched process begins with; its claim follows."""

MAX_UNCLAIMED: Final = 16
"""Processes that have yet to connect, or to claim their payload, at most; further launches wait their turn."""


class Phase(Label):
    """Where a launch stands."""

    WAITING = auto()
    STARTING = auto()
    OVERTAKEN = auto()
    """It has claimed before it was known that it runs."""
    CALLED_OFF = auto()
    """It is to be stopped before it was known that it runs."""
    STARTED = auto()
    CLAIMED = auto()
    STOPPING = auto()
    LINGERING = auto()
    """The process has ended; what it has started may still be about its last things."""
    KILLED = auto()
    ENDED = auto()


class Event(Label):
    """What happens to it."""

    TURN = auto()
    STARTED = auto()
    FAILED = auto()
    """The process could not be started."""
    CLAIM = auto()
    CONNECTED = auto()
    """The process has a session: it may take its payload by a claim, or by a handler."""
    CALL_OFF = auto()
    """A handler has taken the payload: only a process that has not been started is not needed."""
    STOP = auto()
    GRACE_OVER = auto()
    PROCESS_ENDED = auto()


class Effect(Label):
    """What its driver has to do."""

    START = auto()
    WATCH = auto()
    """Tell when the process has ended."""
    HAND_OVER = auto()
    """Tell the supervisor which session has the payload."""
    FREE_PLACE = auto()
    """Let another have its turn, if it still had a place among those that have yet to claim."""
    REPORT = auto()
    """Tell the supervisor that nothing will come of it."""
    TERMINATE = auto()
    """Ask the process and what it has started to end, and tell when their grace is over."""
    KILL = auto()
    REAP = auto()
    """Take leave of the process that has ended, and see how it did."""


STARTING = frozenset({Phase.STARTING, Phase.OVERTAKEN, Phase.CALLED_OFF})
"""Where it is not known yet which process it is."""

STOPPING = frozenset({Phase.CALLED_OFF, Phase.STOPPING, Phase.LINGERING, Phase.KILLED})
"""Where a process is to end, and has not yet."""

_ENDED = (Effect.REAP, Effect.FREE_PLACE)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.WAITING, Event.TURN): (Phase.STARTING, (Effect.START,)),
    (Phase.WAITING, Event.CALL_OFF): (Phase.ENDED, ()),
    (Phase.WAITING, Event.STOP): (Phase.ENDED, ()),
    (Phase.STARTING, Event.STARTED): (Phase.STARTED, (Effect.WATCH,)),
    (Phase.STARTING, Event.FAILED): (Phase.ENDED, (Effect.FREE_PLACE, Effect.REPORT)),
    (Phase.STARTING, Event.CLAIM): (Phase.OVERTAKEN, (Effect.FREE_PLACE, Effect.HAND_OVER)),
    (Phase.STARTING, Event.STOP): (Phase.CALLED_OFF, ()),
    (Phase.OVERTAKEN, Event.STARTED): (Phase.CLAIMED, (Effect.WATCH,)),
    (Phase.OVERTAKEN, Event.FAILED): (Phase.ENDED, ()),
    (Phase.OVERTAKEN, Event.STOP): (Phase.CALLED_OFF, ()),
    (Phase.CALLED_OFF, Event.STARTED): (Phase.STOPPING, (Effect.WATCH, Effect.TERMINATE)),
    (Phase.CALLED_OFF, Event.FAILED): (Phase.ENDED, (Effect.FREE_PLACE,)),
    (Phase.CALLED_OFF, Event.STOP): (Phase.CALLED_OFF, ()),
    (Phase.STARTED, Event.CLAIM): (Phase.CLAIMED, (Effect.FREE_PLACE, Effect.HAND_OVER)),
    (Phase.STARTED, Event.CONNECTED): (Phase.STARTED, (Effect.FREE_PLACE,)),
    (Phase.STARTED, Event.STOP): (Phase.STOPPING, (Effect.TERMINATE,)),
    (Phase.STARTED, Event.PROCESS_ENDED): (Phase.ENDED, (*_ENDED, Effect.REPORT)),
    (Phase.CLAIMED, Event.STOP): (Phase.STOPPING, (Effect.TERMINATE,)),
    (Phase.CLAIMED, Event.PROCESS_ENDED): (Phase.ENDED, (Effect.REAP,)),
    (Phase.STOPPING, Event.STOP): (Phase.STOPPING, ()),
    (Phase.STOPPING, Event.GRACE_OVER): (Phase.KILLED, (Effect.KILL,)),
    (Phase.STOPPING, Event.PROCESS_ENDED): (Phase.LINGERING, (Effect.FREE_PLACE,)),
    (Phase.LINGERING, Event.STOP): (Phase.LINGERING, ()),
    (Phase.LINGERING, Event.GRACE_OVER): (Phase.ENDED, (Effect.KILL, Effect.REAP)),
    (Phase.KILLED, Event.STOP): (Phase.KILLED, ()),
    (Phase.KILLED, Event.PROCESS_ENDED): (Phase.ENDED, _ENDED),
}
