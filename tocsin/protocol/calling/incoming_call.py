"""A call that rings here: from its first ring to its answer or its end, which is told once.

The bell is silent from the moment at which the user has decided, whatever the service says later. What was asked and has no answer when
the connection breaks is asked again on the next one: the service takes each question as often as it comes. ``tocsin.calling.incoming_call`` is what an app
holds of it.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where the ring stands."""

    NEW = auto()
    RINGING = auto()
    ACCEPTING = auto()
    """The service has been asked to accept it."""
    REJECTING = auto()
    """The service has been asked to decline it."""
    LEAVING = auto()
    """The service has been asked to hang up what the user no longer wants, or has never accepted, and is accepted at the service."""
    QUIET = auto()
    """It rings on at the service, which would not do what it was asked; the bell here stays silent, and the user may decide again."""
    ACCEPTED = auto()
    """It goes on as a call."""
    ENDED = auto()


class Event(Label):
    """What happens to it."""

    RANG = auto()
    """The service says that it rings."""
    ACCEPT = auto()
    REJECT = auto()
    HANG_UP = auto()
    """The user no longer wants what was to be accepted."""
    TAKEN = auto()
    """The service says that it was accepted here."""
    GONE = auto()
    """The service says that it has ended, or knows no such call any more."""
    REFUSED = auto()
    """The service would not do what it was asked."""
    RANG_OUT = auto()
    """Its time is over on the agent's clock, and the service has told nothing."""
    RECONNECTED = auto()


class Effect(Label):
    """What has to be done about it."""

    RING = auto()
    SILENCE = auto()
    ASK_ACCEPT = auto()
    ASK_REJECT = auto()
    ASK_HANG_UP = auto()
    BEGIN_CALL = auto()
    END = auto()
    """Tell its end, and remember it."""


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.RANG): (Phase.RINGING, (Effect.RING,)),
    (Phase.RINGING, Event.RANG): (Phase.RINGING, ()),
    (Phase.RINGING, Event.ACCEPT): (Phase.ACCEPTING, (Effect.SILENCE, Effect.ASK_ACCEPT)),
    (Phase.RINGING, Event.REJECT): (Phase.REJECTING, (Effect.SILENCE, Effect.ASK_REJECT)),
    (Phase.RINGING, Event.TAKEN): (Phase.LEAVING, (Effect.SILENCE, Effect.ASK_HANG_UP)),
    (Phase.RINGING, Event.GONE): (Phase.ENDED, (Effect.SILENCE, Effect.END)),
    (Phase.RINGING, Event.RANG_OUT): (Phase.ENDED, (Effect.SILENCE, Effect.END)),
    (Phase.RINGING, Event.RECONNECTED): (Phase.RINGING, ()),
    (Phase.ACCEPTING, Event.RANG): (Phase.ACCEPTING, ()),
    (Phase.ACCEPTING, Event.HANG_UP): (Phase.LEAVING, (Effect.ASK_HANG_UP,)),
    (Phase.ACCEPTING, Event.TAKEN): (Phase.ACCEPTED, (Effect.BEGIN_CALL,)),
    (Phase.ACCEPTING, Event.GONE): (Phase.ENDED, (Effect.END,)),
    (Phase.ACCEPTING, Event.REFUSED): (Phase.QUIET, ()),
    (Phase.ACCEPTING, Event.RANG_OUT): (Phase.ENDED, (Effect.END,)),
    (Phase.ACCEPTING, Event.RECONNECTED): (Phase.ACCEPTING, (Effect.ASK_ACCEPT,)),
    (Phase.REJECTING, Event.RANG): (Phase.REJECTING, ()),
    (Phase.REJECTING, Event.TAKEN): (Phase.LEAVING, (Effect.ASK_HANG_UP,)),
    (Phase.REJECTING, Event.GONE): (Phase.ENDED, (Effect.END,)),
    (Phase.REJECTING, Event.REFUSED): (Phase.QUIET, ()),
    (Phase.REJECTING, Event.RANG_OUT): (Phase.ENDED, (Effect.END,)),
    (Phase.REJECTING, Event.RECONNECTED): (Phase.REJECTING, (Effect.ASK_REJECT,)),
    (Phase.LEAVING, Event.RANG): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.TAKEN): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.GONE): (Phase.ENDED, (Effect.END,)),
    (Phase.LEAVING, Event.REFUSED): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.RANG_OUT): (Phase.ENDED, (Effect.END,)),
    (Phase.LEAVING, Event.RECONNECTED): (Phase.LEAVING, (Effect.ASK_HANG_UP,)),
    (Phase.QUIET, Event.RANG): (Phase.QUIET, ()),
    (Phase.QUIET, Event.ACCEPT): (Phase.ACCEPTING, (Effect.ASK_ACCEPT,)),
    (Phase.QUIET, Event.REJECT): (Phase.REJECTING, (Effect.ASK_REJECT,)),
    (Phase.QUIET, Event.TAKEN): (Phase.LEAVING, (Effect.ASK_HANG_UP,)),
    (Phase.QUIET, Event.GONE): (Phase.ENDED, (Effect.END,)),
    (Phase.QUIET, Event.RANG_OUT): (Phase.ENDED, (Effect.END,)),
    (Phase.QUIET, Event.RECONNECTED): (Phase.QUIET, ()),
}

ENDED: Final = frozenset(Phase) - {phase for phase, _ in TABLE}
"""The phases in which nothing happens any more."""

UNDECIDED: Final = frozenset({Phase.RINGING, Phase.QUIET})
"""The phases in which the user may accept or decline it."""
