"""The service's end of a device's connection: the greeting, what is stored before what comes now, suspension, the end.

Its inputs are the events: the device's hello, its ``Suspended``, what the offline queue has for it, a newer connection of a device that may
have several, and the end by either side. Payloads and acknowledgements step nothing: they look at the phase. Its driver is
``tocsin.service.devices.device_connection``.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where the connection stands."""

    GREETING = auto()
    """The device has yet to say who it is."""
    UP = auto()
    """What comes now goes out."""
    REPLAYING = auto()
    """What comes now waits until what is stored has gone."""
    SUSPENDED = auto()
    """The device says that it can store nothing."""
    OVERTAKEN = auto()
    """A newer connection of the device gets what comes; what the device says here counts."""
    CLOSING = auto()
    """No payload goes out any more."""
    CLOSED = auto()


class Event(Label):
    """What happens to it."""

    GREETED = auto()
    BEHIND = auto()
    """Something stored has to go before what comes now."""
    CAUGHT_UP = auto()
    """Nothing stored has to go first."""
    SUSPENDED = auto()
    RESUMED = auto()
    OVERTAKEN = auto()
    """The device has a newer connection beside this one."""
    NEWEST = auto()
    """Those that were newer have ended."""
    LEFT = auto()
    """Either side ends it: nothing more is read."""
    ENDED = auto()
    """All its tasks have ended."""


class Effect(Label):
    """What its driver has to do."""

    ADMIT = auto()
    """Make it the connection of its device."""
    WELCOME = auto()
    LOOK = auto()
    """Look at what is stored, and whether that has to go first."""
    SEND = auto()
    """Send what waited."""
    GIVE_BACK = auto()
    """Settle what waits, and give back to the queue what was not sent of it."""
    PASS_ON = auto()
    """Settle what waits, and leave to a newer connection what was not acknowledged."""
    STOP = auto()
    """Cancel its tasks."""
    DISMISS = auto()
    FAIL = auto()
    """Tell all who wait that the connection is lost."""
    FORGET = auto()
    """Nothing of it runs any more."""


SERVING: Final = (Phase.UP, Phase.REPLAYING, Phase.SUSPENDED)
"""The phases in which a device may be sent what is stored for it, as soon as it can store that."""

ENDING: Final = (Phase.CLOSING, Phase.CLOSED)
"""The phases in which nothing that a device says counts."""

TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.GREETING, Event.GREETED): (Phase.UP, (Effect.ADMIT, Effect.WELCOME, Effect.LOOK)),
    (Phase.UP, Event.BEHIND): (Phase.REPLAYING, ()),
    (Phase.UP, Event.CAUGHT_UP): (Phase.UP, ()),
    (Phase.REPLAYING, Event.BEHIND): (Phase.REPLAYING, ()),
    (Phase.REPLAYING, Event.CAUGHT_UP): (Phase.UP, (Effect.SEND,)),
    (Phase.SUSPENDED, Event.BEHIND): (Phase.SUSPENDED, ()),
    (Phase.SUSPENDED, Event.CAUGHT_UP): (Phase.SUSPENDED, ()),
    **{(phase, Event.SUSPENDED): (Phase.SUSPENDED, (Effect.GIVE_BACK, Effect.LOOK)) for phase in SERVING},
    (Phase.UP, Event.RESUMED): (Phase.UP, (Effect.LOOK,)),
    (Phase.REPLAYING, Event.RESUMED): (Phase.REPLAYING, (Effect.LOOK,)),
    (Phase.SUSPENDED, Event.RESUMED): (Phase.UP, (Effect.LOOK,)),
    **{(phase, Event.OVERTAKEN): (Phase.OVERTAKEN, (Effect.PASS_ON,)) for phase in SERVING},
    # What is stored was being sent, until that learns that it is another's.
    (Phase.OVERTAKEN, Event.BEHIND): (Phase.OVERTAKEN, ()),
    (Phase.OVERTAKEN, Event.CAUGHT_UP): (Phase.OVERTAKEN, ()),
    (Phase.OVERTAKEN, Event.NEWEST): (Phase.UP, (Effect.LOOK,)),
    (Phase.GREETING, Event.LEFT): (Phase.CLOSING, (Effect.STOP,)),
    **{
        (phase, Event.LEFT): (Phase.CLOSING, (Effect.STOP, Effect.DISMISS, Effect.FAIL))
        for phase in (*SERVING, Phase.OVERTAKEN)
    },
    # What is stored was being sent, until that learns of the end.
    (Phase.CLOSING, Event.BEHIND): (Phase.CLOSING, ()),
    (Phase.CLOSING, Event.CAUGHT_UP): (Phase.CLOSING, ()),
    (Phase.CLOSING, Event.ENDED): (Phase.CLOSED, (Effect.FORGET,)),
}
