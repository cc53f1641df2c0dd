"""The connection of a node to another, from the side that dials: dialled when it is wanted, rested after a failure, ended in order.

What waits goes out once the other has said welcome. What was sent and not answered when the connection is lost may have been handed over
or not, and its callers are told so; what was not sent is sent on the next connection, or its callers hear that the node cannot be reached.
A node of which nothing is heard is not tried again at once: it would not be heard of then either.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where the connection stands."""

    IDLE = auto()
    """There is none, and none is wanted."""
    DIALING = auto()
    """It is being made, until the other has said welcome."""
    UP = auto()
    PARTING = auto()
    """The other has said goodbye: it answers what it was sent."""
    RESTING = auto()
    """It could not be made, or the other has left: it is not tried for a while."""
    CLOSING = auto()
    """This node leaves: what it was given still goes, and is answered."""
    CLOSED = auto()


class Event(Label):
    """What happens to it."""

    WANTED = auto()
    """There is something to be sent."""
    WELCOMED = auto()
    FAILED = auto()
    """It could not be made, or the other has refused it."""
    LOST = auto()
    SILENT = auto()
    """Nothing was heard of the other for too long, though it has something to answer."""
    GOODBYE = auto()
    SETTLED = auto()
    """Nothing waits, and all that was sent is answered."""
    RESTED = auto()
    LEAVE = auto()
    """This node needs it no more."""
    CUT = auto()
    """The other node is known to be dead."""


class Effect(Label):
    """What has to be done about it."""

    DIAL = auto()
    SEND = auto()
    REFUSE = auto()
    """Tell the callers of what waits that the node cannot be reached."""
    GIVE_UP = auto()
    """Tell the callers of what was sent that it is not known what has become of it."""
    REST = auto()
    PART = auto()
    """End the connection in order."""
    HANG_UP = auto()
    """End the connection at once, also while it is being made."""


TABLE: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]]] = {
    (Phase.IDLE, Event.WANTED): (Phase.DIALING, (Effect.DIAL,)),
    (Phase.IDLE, Event.LEAVE): (Phase.CLOSED, ()),
    (Phase.IDLE, Event.CUT): (Phase.CLOSED, ()),
    (Phase.DIALING, Event.WANTED): (Phase.DIALING, ()),
    (Phase.DIALING, Event.WELCOMED): (Phase.UP, (Effect.SEND,)),
    (Phase.DIALING, Event.FAILED): (Phase.RESTING, (Effect.REST, Effect.REFUSE)),
    (Phase.DIALING, Event.LEAVE): (Phase.CLOSED, (Effect.HANG_UP, Effect.REFUSE)),
    (Phase.DIALING, Event.CUT): (Phase.CLOSED, (Effect.HANG_UP, Effect.REFUSE)),
    (Phase.UP, Event.WANTED): (Phase.UP, (Effect.SEND,)),
    (Phase.UP, Event.LOST): (Phase.IDLE, (Effect.GIVE_UP,)),
    (Phase.UP, Event.SILENT): (Phase.RESTING, (Effect.HANG_UP, Effect.REST, Effect.GIVE_UP, Effect.REFUSE)),
    (Phase.UP, Event.GOODBYE): (Phase.PARTING, (Effect.REFUSE,)),
    (Phase.UP, Event.LEAVE): (Phase.CLOSING, ()),
    (Phase.UP, Event.CUT): (Phase.CLOSED, (Effect.HANG_UP, Effect.GIVE_UP, Effect.REFUSE)),
    (Phase.PARTING, Event.SETTLED): (Phase.RESTING, (Effect.PART, Effect.REST)),
    (Phase.PARTING, Event.LOST): (Phase.RESTING, (Effect.REST, Effect.GIVE_UP)),
    (Phase.PARTING, Event.SILENT): (Phase.RESTING, (Effect.HANG_UP, Effect.REST, Effect.GIVE_UP)),
    (Phase.PARTING, Event.LEAVE): (Phase.CLOSING, ()),
    (Phase.PARTING, Event.CUT): (Phase.CLOSED, (Effect.HANG_UP, Effect.GIVE_UP)),
    (Phase.RESTING, Event.RESTED): (Phase.IDLE, ()),
    (Phase.RESTING, Event.LEAVE): (Phase.CLOSED, ()),
    (Phase.RESTING, Event.CUT): (Phase.CLOSED, ()),
    (Phase.CLOSING, Event.GOODBYE): (Phase.CLOSING, (Effect.REFUSE,)),
    (Phase.CLOSING, Event.SETTLED): (Phase.CLOSED, (Effect.PART,)),
    (Phase.CLOSING, Event.LOST): (Phase.CLOSED, (Effect.GIVE_UP, Effect.REFUSE)),
    (Phase.CLOSING, Event.SILENT): (Phase.CLOSED, (Effect.HANG_UP, Effect.GIVE_UP, Effect.REFUSE)),
    (Phase.CLOSING, Event.LEAVE): (Phase.CLOSING, ()),
    (Phase.CLOSING, Event.CUT): (Phase.CLOSED, (Effect.HANG_UP, Effect.GIVE_UP, Effect.REFUSE)),
}

TAKING: Final = (Phase.IDLE, Phase.DIALING, Phase.UP)
"""The phases in which something may be given to it to be sent."""

SENDING: Final = (Phase.UP, Phase.CLOSING)
"""The phases in which what waits goes out."""

CONNECTED: Final = (Phase.UP, Phase.PARTING, Phase.CLOSING)
"""The phases in which the other has said welcome, and its answers are awaited."""
