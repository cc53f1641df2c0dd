"""A call that was started or accepted here, from its beginning to its end, and what an app sees of it.

The numbers of ``CallState`` and ``ParticipantState`` are those of the calling SDKs. Of the call states three have no way in here: there is
no media before an answer (``EARLY_MEDIA``), no lobby (``IN_LOBBY``), and a call that is there has begun (``NONE``).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto, unique
from typing import Final

from tocsin.protocol.kernel.machine import Label


@unique
class CallState(IntEnum):
    """How a call stands, as an app sees it."""

    NONE = 0
    EARLY_MEDIA = 1
    CONNECTING = 3
    """It was started and does not ring yet, or it was accepted and is not ready yet."""
    RINGING = 4
    """It rings at the callee."""
    CONNECTED = 5
    LOCAL_HOLD = 6
    """This side has put it on hold, whatever the other has done."""
    DISCONNECTING = 7
    DISCONNECTED = 8
    IN_LOBBY = 9
    REMOTE_HOLD = 10
    """The other side has put it on hold, and this one has not."""


@unique
class ParticipantState(IntEnum):
    """How the other side of a call stands, as an app sees it."""

    IDLE = 0
    EARLY_MEDIA = 1
    CONNECTING = 2
    CONNECTED = 3
    HOLD = 4
    """It has put the call on hold."""
    IN_LOBBY = 5
    DISCONNECTED = 6
    RINGING = 7


class Phase(Label):
    """Where the call stands."""

    NEW = auto()
    STARTING = auto()
    """The service has been asked to ring the callee."""
    RINGING = auto()
    PICKED_UP = auto()
    """The callee has accepted, and gets ready."""
    PREPARING = auto()
    """It was accepted here, and this side gets ready."""
    CONNECTED = auto()
    LOCAL_HOLD = auto()
    REMOTE_HOLD = auto()
    BOTH_HOLD = auto()
    DISCONNECTING = auto()
    """The service has been asked to hang up."""
    DISCONNECTED = auto()


class Event(Label):
    """What happens to it."""

    START = auto()
    ACCEPTED = auto()
    """A ring was accepted here, and the service has said so."""
    RINGS = auto()
    """The service says that it rings."""
    ANSWERED = auto()
    """The service says that it was accepted."""
    CONNECTED = auto()
    """The service says that both sides are ready."""
    HOLD = auto()
    RESUME = auto()
    PEER_HELD = auto()
    PEER_RESUMED = auto()
    HANG_UP = auto()
    GONE = auto()
    """The service says that it has ended, or knows no such call any more."""
    REFUSED = auto()
    """The service would not do what it was asked for this phase."""
    OVERDUE = auto()
    """The service has not answered for long."""
    RECONNECTED = auto()


class Effect(Label):
    """What has to be done about it."""

    BEGIN = auto()
    """Tell that there is another call."""
    ASK_START = auto()
    ASK_READY = auto()
    ASK_HANG_UP = auto()
    END = auto()
    """Tell its end, and remember it."""


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.START): (Phase.STARTING, (Effect.BEGIN, Effect.ASK_START)),
    (Phase.NEW, Event.ACCEPTED): (Phase.PREPARING, (Effect.BEGIN, Effect.ASK_READY)),
    (Phase.STARTING, Event.RINGS): (Phase.RINGING, ()),
    (Phase.STARTING, Event.ANSWERED): (Phase.PICKED_UP, ()),
    (Phase.STARTING, Event.CONNECTED): (Phase.CONNECTED, ()),
    (Phase.STARTING, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.STARTING, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.STARTING, Event.REFUSED): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.STARTING, Event.OVERDUE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.STARTING, Event.RECONNECTED): (Phase.STARTING, (Effect.ASK_START,)),
    (Phase.RINGING, Event.RINGS): (Phase.RINGING, ()),
    (Phase.RINGING, Event.ANSWERED): (Phase.PICKED_UP, ()),
    (Phase.RINGING, Event.CONNECTED): (Phase.CONNECTED, ()),
    (Phase.RINGING, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.RINGING, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.RINGING, Event.RECONNECTED): (Phase.RINGING, ()),
    (Phase.PICKED_UP, Event.RINGS): (Phase.PICKED_UP, ()),
    (Phase.PICKED_UP, Event.ANSWERED): (Phase.PICKED_UP, ()),
    (Phase.PICKED_UP, Event.CONNECTED): (Phase.CONNECTED, ()),
    (Phase.PICKED_UP, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.PICKED_UP, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.PICKED_UP, Event.RECONNECTED): (Phase.PICKED_UP, ()),
    (Phase.PREPARING, Event.RINGS): (Phase.PREPARING, ()),
    (Phase.PREPARING, Event.ANSWERED): (Phase.PREPARING, ()),
    (Phase.PREPARING, Event.CONNECTED): (Phase.CONNECTED, ()),
    (Phase.PREPARING, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.PREPARING, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.PREPARING, Event.REFUSED): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.PREPARING, Event.RECONNECTED): (Phase.PREPARING, (Effect.ASK_READY,)),
    (Phase.CONNECTED, Event.RINGS): (Phase.CONNECTED, ()),
    (Phase.CONNECTED, Event.ANSWERED): (Phase.CONNECTED, ()),
    (Phase.CONNECTED, Event.CONNECTED): (Phase.CONNECTED, ()),
    (Phase.CONNECTED, Event.HOLD): (Phase.LOCAL_HOLD, ()),
    (Phase.CONNECTED, Event.PEER_HELD): (Phase.REMOTE_HOLD, ()),
    (Phase.CONNECTED, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.CONNECTED, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.CONNECTED, Event.RECONNECTED): (Phase.CONNECTED, ()),
    (Phase.LOCAL_HOLD, Event.RINGS): (Phase.LOCAL_HOLD, ()),
    (Phase.LOCAL_HOLD, Event.ANSWERED): (Phase.LOCAL_HOLD, ()),
    (Phase.LOCAL_HOLD, Event.CONNECTED): (Phase.LOCAL_HOLD, ()),
    (Phase.LOCAL_HOLD, Event.RESUME): (Phase.CONNECTED, ()),
    (Phase.LOCAL_HOLD, Event.PEER_HELD): (Phase.BOTH_HOLD, ()),
    (Phase.LOCAL_HOLD, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.LOCAL_HOLD, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.LOCAL_HOLD, Event.RECONNECTED): (Phase.LOCAL_HOLD, ()),
    (Phase.REMOTE_HOLD, Event.RINGS): (Phase.REMOTE_HOLD, ()),
    (Phase.REMOTE_HOLD, Event.ANSWERED): (Phase.REMOTE_HOLD, ()),
    (Phase.REMOTE_HOLD, Event.CONNECTED): (Phase.REMOTE_HOLD, ()),
    (Phase.REMOTE_HOLD, Event.HOLD): (Phase.BOTH_HOLD, ()),
    (Phase.REMOTE_HOLD, Event.PEER_RESUMED): (Phase.CONNECTED, ()),
    (Phase.REMOTE_HOLD, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.REMOTE_HOLD, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.REMOTE_HOLD, Event.RECONNECTED): (Phase.REMOTE_HOLD, ()),
    (Phase.BOTH_HOLD, Event.RINGS): (Phase.BOTH_HOLD, ()),
    (Phase.BOTH_HOLD, Event.ANSWERED): (Phase.BOTH_HOLD, ()),
    (Phase.BOTH_HOLD, Event.CONNECTED): (Phase.BOTH_HOLD, ()),
    (Phase.BOTH_HOLD, Event.RESUME): (Phase.REMOTE_HOLD, ()),
    (Phase.BOTH_HOLD, Event.PEER_RESUMED): (Phase.LOCAL_HOLD, ()),
    (Phase.BOTH_HOLD, Event.HANG_UP): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
    (Phase.BOTH_HOLD, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.BOTH_HOLD, Event.RECONNECTED): (Phase.BOTH_HOLD, ()),
    (Phase.DISCONNECTING, Event.RINGS): (Phase.DISCONNECTING, ()),
    (Phase.DISCONNECTING, Event.ANSWERED): (Phase.DISCONNECTING, ()),
    (Phase.DISCONNECTING, Event.CONNECTED): (Phase.DISCONNECTING, ()),
    (Phase.DISCONNECTING, Event.GONE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.DISCONNECTING, Event.REFUSED): (Phase.DISCONNECTING, ()),
    (Phase.DISCONNECTING, Event.OVERDUE): (Phase.DISCONNECTED, (Effect.END,)),
    (Phase.DISCONNECTING, Event.RECONNECTED): (Phase.DISCONNECTING, (Effect.ASK_HANG_UP,)),
}

ENDED: Final = frozenset({Phase.DISCONNECTED})
"""The phase in which nothing happens any more."""

IN_CALL: Final = frozenset({Phase.CONNECTED, Phase.LOCAL_HOLD, Phase.REMOTE_HOLD, Phase.BOTH_HOLD})
"""The phases in which both sides are there."""

HELD_HERE: Final = frozenset({Phase.LOCAL_HOLD, Phase.BOTH_HOLD})
HELD_THERE: Final = frozenset({Phase.REMOTE_HOLD, Phase.BOTH_HOLD})

UNANSWERED: Final = frozenset({Phase.STARTING, Phase.RINGING})
"""The phases in which a caller that hangs up has cancelled the call."""

_STATES: Final[Mapping[Phase, CallState]] = {
    Phase.NEW: CallState.NONE,
    Phase.STARTING: CallState.CONNECTING,
    Phase.RINGING: CallState.RINGING,
    Phase.PICKED_UP: CallState.CONNECTING,
    Phase.PREPARING: CallState.CONNECTING,
    Phase.CONNECTED: CallState.CONNECTED,
    Phase.LOCAL_HOLD: CallState.LOCAL_HOLD,
    Phase.REMOTE_HOLD: CallState.REMOTE_HOLD,
    Phase.BOTH_HOLD: CallState.LOCAL_HOLD,
    Phase.DISCONNECTING: CallState.DISCONNECTING,
    Phase.DISCONNECTED: CallState.DISCONNECTED,
}

_PARTICIPANT_STATES: Final[Mapping[Phase, ParticipantState]] = {
    Phase.NEW: ParticipantState.IDLE,
    Phase.STARTING: ParticipantState.IDLE,
    Phase.RINGING: ParticipantState.RINGING,
    Phase.PICKED_UP: ParticipantState.CONNECTING,
    Phase.PREPARING: ParticipantState.CONNECTING,
    Phase.CONNECTED: ParticipantState.CONNECTED,
    Phase.LOCAL_HOLD: ParticipantState.CONNECTED,
    Phase.REMOTE_HOLD: ParticipantState.HOLD,
    Phase.BOTH_HOLD: ParticipantState.HOLD,
    Phase.DISCONNECTED: ParticipantState.DISCONNECTED,
}


def state_of(phase: Phase) -> CallState:
    """Return what an app sees of a phase."""
    return _STATES[phase]


def participant_state_of(phase: Phase, before: ParticipantState) -> ParticipantState:
    """Return what an app sees of the other side; while this side hangs up, that stays as it was before."""
    return _PARTICIPANT_STATES.get(phase, before)
