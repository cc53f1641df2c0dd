"""The registration of a device for pushes about calls: asked for, renewed in time, moved to another channel, and given up.

It holds for as long as the service grants, and is renewed long before that is over; also on each new connection, as the service may have
forgotten it meanwhile, say because a channel was gone. What the app wants while there is no connection is done when there is one, and what
it wants in the meantime takes the place of it. Of several questions only the answer to the last counts; answers to others, and all of a
connection that is lost, are no events. Where one asks to leave on every device, so does each that takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from math import isnan
from typing import Final

from tocsin.protocol.arguments import check_finite
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label

DEFAULT_TTL: Final = 86_400.0
"""Seconds that a registration is asked for where the app does not say: a day."""

MIN_TTL: Final = 300.0
MAX_TTL: Final = 15_552_000.0
"""Seconds that it may be asked for, and is granted: 5 minutes to 180 days."""

MAX_TEAMS_TTL: Final = 86_400.0
"""Seconds for a Teams user at most."""

RENEWED_AT: Final = 0.8
"""After which part of what was granted it is renewed."""

SOONEST_RENEWAL: Final = 60.0
"""Seconds until it is renewed at least, however little was granted."""

FIRST_RETRY: Final = 5.0
LONGEST_RETRY: Final = 600.0
"""Seconds until a renewal is tried again that the service was not able to do: doubled each time, up to the longest."""


class Phase(Label):
    """Where the registration stands."""

    UNREGISTERED = auto()
    WAITING = auto()
    """It is made when there is a connection."""
    REGISTERING = auto()
    REGISTERED = auto()
    RENEWING = auto()
    """The service has been asked again, for the same channel or another; what was granted before holds."""
    ADRIFT = auto()
    """It was granted, and there is no connection: it is renewed on the next one."""
    UNREGISTERING = auto()
    LEAVING = auto()
    """It is given up when there is a connection."""


class Event(Label):
    """What happens to it."""

    REGISTER = auto()
    """The app wants it, for this channel, and there is a connection."""
    REGISTER_OFFLINE = auto()
    """The same without a connection."""
    UNREGISTER = auto()
    UNREGISTER_OFFLINE = auto()
    CONFIRMED = auto()
    """The service has done what it was asked last."""
    REFUSED = auto()
    """It will not, however often it is asked."""
    TRY_LATER = auto()
    """It is not able to, just now."""
    DUE = auto()
    """It is time for a renewal, or for another try."""
    LOST = auto()
    CONNECTED = auto()


class Effect(Label):
    """What its driver has to do."""

    SEND_REGISTER = auto()
    SEND_UNREGISTER = auto()
    ARM_RENEWAL = auto()
    """Tell when it is due: ``renewal_after``."""
    ARM_RETRY = auto()
    """Tell when it is due: ``retry_after``."""
    DISARM = auto()
    TELL_DONE = auto()
    """To those that wait for what was asked."""
    TELL_FAILED = auto()
    """To those that wait; where none does, to the log, once."""
    TELL_CANCELED = auto()
    """To those that wait for what was wanted before, in whose place another thing is wanted now."""


_LEAVE = (Effect.TELL_CANCELED, Effect.SEND_UNREGISTER)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.UNREGISTERED, Event.REGISTER): (Phase.REGISTERING, (Effect.SEND_REGISTER,)),
    (Phase.UNREGISTERED, Event.REGISTER_OFFLINE): (Phase.WAITING, ()),
    (Phase.UNREGISTERED, Event.UNREGISTER): (Phase.UNREGISTERING, (Effect.SEND_UNREGISTER,)),
    (Phase.UNREGISTERED, Event.UNREGISTER_OFFLINE): (Phase.LEAVING, ()),
    (Phase.UNREGISTERED, Event.LOST): (Phase.UNREGISTERED, ()),
    (Phase.UNREGISTERED, Event.CONNECTED): (Phase.UNREGISTERED, ()),
    (Phase.WAITING, Event.REGISTER_OFFLINE): (Phase.WAITING, ()),
    (Phase.WAITING, Event.UNREGISTER_OFFLINE): (Phase.LEAVING, (Effect.TELL_CANCELED,)),
    (Phase.WAITING, Event.CONNECTED): (Phase.REGISTERING, (Effect.SEND_REGISTER,)),
    (Phase.REGISTERING, Event.REGISTER): (Phase.REGISTERING, (Effect.SEND_REGISTER,)),
    (Phase.REGISTERING, Event.UNREGISTER): (Phase.UNREGISTERING, _LEAVE),
    (Phase.REGISTERING, Event.CONFIRMED): (Phase.REGISTERED, (Effect.ARM_RENEWAL, Effect.TELL_DONE)),
    (Phase.REGISTERING, Event.REFUSED): (Phase.UNREGISTERED, (Effect.TELL_FAILED,)),
    (Phase.REGISTERING, Event.TRY_LATER): (Phase.UNREGISTERED, (Effect.TELL_FAILED,)),
    (Phase.REGISTERING, Event.LOST): (Phase.WAITING, ()),
    (Phase.REGISTERED, Event.REGISTER): (Phase.RENEWING, (Effect.DISARM, Effect.SEND_REGISTER)),
    (Phase.REGISTERED, Event.UNREGISTER): (Phase.UNREGISTERING, (Effect.DISARM, Effect.SEND_UNREGISTER)),
    (Phase.REGISTERED, Event.DUE): (Phase.RENEWING, (Effect.SEND_REGISTER,)),
    (Phase.REGISTERED, Event.LOST): (Phase.ADRIFT, (Effect.DISARM,)),
    (Phase.RENEWING, Event.REGISTER): (Phase.RENEWING, (Effect.SEND_REGISTER,)),
    (Phase.RENEWING, Event.UNREGISTER): (Phase.UNREGISTERING, _LEAVE),
    (Phase.RENEWING, Event.CONFIRMED): (Phase.REGISTERED, (Effect.ARM_RENEWAL, Effect.TELL_DONE)),
    (Phase.RENEWING, Event.REFUSED): (Phase.UNREGISTERED, (Effect.TELL_FAILED,)),
    (Phase.RENEWING, Event.TRY_LATER): (Phase.REGISTERED, (Effect.ARM_RETRY, Effect.TELL_FAILED)),
    (Phase.RENEWING, Event.LOST): (Phase.ADRIFT, ()),
    (Phase.ADRIFT, Event.REGISTER_OFFLINE): (Phase.ADRIFT, ()),
    (Phase.ADRIFT, Event.UNREGISTER_OFFLINE): (Phase.LEAVING, (Effect.TELL_CANCELED,)),
    (Phase.ADRIFT, Event.CONNECTED): (Phase.RENEWING, (Effect.SEND_REGISTER,)),
    (Phase.UNREGISTERING, Event.REGISTER): (Phase.REGISTERING, (Effect.TELL_CANCELED, Effect.SEND_REGISTER)),
    (Phase.UNREGISTERING, Event.UNREGISTER): (Phase.UNREGISTERING, (Effect.SEND_UNREGISTER,)),
    (Phase.UNREGISTERING, Event.CONFIRMED): (Phase.UNREGISTERED, (Effect.TELL_DONE,)),
    (Phase.UNREGISTERING, Event.REFUSED): (Phase.UNREGISTERED, (Effect.TELL_FAILED,)),
    (Phase.UNREGISTERING, Event.TRY_LATER): (Phase.UNREGISTERED, (Effect.TELL_FAILED,)),
    (Phase.UNREGISTERING, Event.LOST): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.REGISTER_OFFLINE): (Phase.WAITING, (Effect.TELL_CANCELED,)),
    (Phase.LEAVING, Event.UNREGISTER_OFFLINE): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.CONNECTED): (Phase.UNREGISTERING, (Effect.SEND_UNREGISTER,)),
}

OFFLINE: Final[Mapping[Event, Event]] = {
    Event.REGISTER: Event.REGISTER_OFFLINE,
    Event.UNREGISTER: Event.UNREGISTER_OFFLINE,
}
"""What the wishes of the app are while there is no connection."""

_FOR_NOW: Final = frozenset(
    {
        *("Busy", "PlatformUnavailable", "StateUnavailable", "ServiceUnavailable", "Throttled", "TimedOut"),
        "PushError",  # the service has failed at it
        "NotSupported",  # it makes no pushes, until it is started with a way to make them
    }
)


def check_ttl(ttl: float, *, is_teams: bool = False) -> None:
    """Refuse what is no time to be registered for, in seconds.

    :raises InvalidArgument: it is not from 300 to 15,552,000, or to 86,400 for a Teams user.
    """
    check_finite(ttl, "the push notification TTL")
    most = MAX_TEAMS_TTL if is_teams else MAX_TTL
    if not MIN_TTL <= ttl <= most:
        users = " for a Teams user" if is_teams else ""
        raise InvalidArgument(
            f"the push notification TTL{users} must be from {MIN_TTL:.0f} to {most:.0f} seconds, not {ttl:.12g}"
        )


def renewal_after(granted: float) -> float:
    """Return the seconds from a confirmation to the renewal, by what the service has granted."""
    within = 0.0 if isnan(granted) else min(granted, MAX_TTL)
    return max(RENEWED_AT * within, SOONEST_RENEWAL)


def retry_after(failures: int, fraction: float) -> float:
    """Return the seconds until a renewal is tried again after that many failures in a row, from 1; ``fraction`` is random, 0 to 1."""
    return backoff(FIRST_RETRY, LONGEST_RETRY, failures, fraction)


def event_of_refusal(error: str) -> Event:
    """Decide which event a refusal of the service is, by the class of its error."""
    return Event.TRY_LATER if error in _FOR_NOW else Event.REFUSED
