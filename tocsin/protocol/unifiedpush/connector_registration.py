"""A registration of a UnifiedPush connector: from its first call of ``Register`` until nothing is kept of it.

It is kept while its app is running or can be started by the bus, and dropped only when neither was so for days: an app that is being
replaced by another version of itself is neither for a moment. One that has no endpoint for want of a network is kept while the app's
process runs, which alone may know the token: the next one may ask with another.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import field, frozen

from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.unifiedpush.names import app_of

MAX_REGISTRATIONS: Final = 256
"""Registrations that a distributor keeps at a time."""

ABSENCE: Final = 14 * 86_400.0
"""Seconds for which a registration is kept whose app is not running and cannot be started."""

LAST_CHANCE: Final = 3_600.0
"""Seconds after the start of the agent in which no registration is dropped: its app may not have been started yet."""

ENDPOINT_PATIENCE: Final = 5.0
"""Seconds that a connector waits for its first endpoint; then it is told that there is none."""


class AppPresence(Enum):
    """How an app stands on the bus."""

    RUNNING = auto()
    """A process owns its name."""
    STARTABLE = auto()
    """None does, and a file says how the bus starts one."""
    ABSENT = auto()


class Phase(Label):
    """Where a registration stands."""

    NEW = auto()
    REGISTERING = auto()
    """It has no endpoint yet, and its app waits for the answer."""
    WISHED = auto()
    """It has none, as its app was told for want of a network; it gets one when there is a network."""
    REGISTERED = auto()
    """It has one, and its app is running or can be started."""
    WAITING = auto()
    """It has one, and its app is neither: pushes wait for it."""
    UNREGISTERING = auto()
    """It is to go, and its endpoint is not revoked yet."""
    DROPPED = auto()


class Event(Label):
    """What happens to it."""

    REGISTER = auto()
    """Its app has called ``Register`` with its token."""
    ENDPOINT = auto()
    """The push service has given an endpoint, the first or another one."""
    NO_ENDPOINT = auto()
    """There was no first one in time, and trying on would help nothing."""
    NO_NETWORK = auto()
    """There was no first one in time, for want of a network."""
    APP_GONE = auto()
    """Its app was running or could be started, and is no more; while it is only wished for: the app's process has ended."""
    APP_CAME = auto()
    UNREGISTER = auto()
    """Its app has called ``Unregister``."""
    OTHER_KEY = auto()
    """Its app has called ``Register`` with another sender's key: this one makes room for another."""
    OTHER_TOKEN = auto()
    """Its app has called ``Register`` with another token since it was told that there is no network: it tries again so."""
    REMOVED = auto()
    """The user has removed it from the agent."""
    ABSENT_FOR_DAYS = auto()
    REVOKED = auto()
    """The endpoint is no more at the push service."""


class Effect(Label):
    """What is to be done."""

    KEEP = auto()
    """Write it down as it is now."""
    ASK_ENDPOINT = auto()
    TELL_ENDPOINT = auto()
    REVOKE = auto()
    CONFIRM = auto()
    """Tell the app that it is unregistered, as it has asked for."""
    TELL_UNREGISTERED = auto()
    """Tell it although it has not asked."""
    FORGET = auto()


_END_UNASKED = (Effect.KEEP, Effect.TELL_UNREGISTERED, Effect.REVOKE)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.REGISTER): (Phase.REGISTERING, (Effect.KEEP, Effect.ASK_ENDPOINT)),
    (Phase.REGISTERING, Event.REGISTER): (Phase.REGISTERING, ()),
    (Phase.REGISTERING, Event.ENDPOINT): (Phase.REGISTERED, (Effect.KEEP, Effect.TELL_ENDPOINT)),
    # An endpoint that comes too late is known to no sender.
    (Phase.REGISTERING, Event.NO_ENDPOINT): (Phase.DROPPED, (Effect.FORGET,)),
    (Phase.REGISTERING, Event.NO_NETWORK): (Phase.WISHED, (Effect.KEEP,)),
    (Phase.REGISTERING, Event.UNREGISTER): (Phase.DROPPED, (Effect.CONFIRM, Effect.FORGET)),
    (Phase.REGISTERING, Event.OTHER_KEY): (Phase.DROPPED, (Effect.FORGET,)),
    (Phase.REGISTERING, Event.REMOVED): (Phase.DROPPED, (Effect.TELL_UNREGISTERED, Effect.FORGET)),
    (Phase.WISHED, Event.REGISTER): (Phase.REGISTERING, (Effect.KEEP,)),
    (Phase.WISHED, Event.ENDPOINT): (Phase.REGISTERED, (Effect.KEEP, Effect.TELL_ENDPOINT)),
    (Phase.WISHED, Event.APP_GONE): (Phase.DROPPED, (Effect.FORGET,)),
    (Phase.WISHED, Event.OTHER_TOKEN): (Phase.DROPPED, (Effect.FORGET,)),
    (Phase.WISHED, Event.OTHER_KEY): (Phase.DROPPED, (Effect.FORGET,)),
    (Phase.WISHED, Event.UNREGISTER): (Phase.DROPPED, (Effect.CONFIRM, Effect.FORGET)),
    (Phase.WISHED, Event.REMOVED): (Phase.DROPPED, (Effect.TELL_UNREGISTERED, Effect.FORGET)),
    # Its version and description may be others than before.
    (Phase.REGISTERED, Event.REGISTER): (Phase.REGISTERED, (Effect.KEEP, Effect.TELL_ENDPOINT)),
    (Phase.REGISTERED, Event.ENDPOINT): (Phase.REGISTERED, (Effect.KEEP, Effect.TELL_ENDPOINT)),
    (Phase.REGISTERED, Event.APP_GONE): (Phase.WAITING, (Effect.KEEP,)),
    (Phase.REGISTERED, Event.UNREGISTER): (Phase.UNREGISTERING, (Effect.KEEP, Effect.CONFIRM, Effect.REVOKE)),
    (Phase.REGISTERED, Event.OTHER_KEY): (Phase.UNREGISTERING, (Effect.KEEP, Effect.REVOKE)),
    (Phase.REGISTERED, Event.REMOVED): (Phase.UNREGISTERING, _END_UNASKED),
    (Phase.WAITING, Event.REGISTER): (Phase.REGISTERED, (Effect.KEEP, Effect.TELL_ENDPOINT)),
    # An app that comes registers again, and hears of its endpoint then.
    (Phase.WAITING, Event.ENDPOINT): (Phase.WAITING, (Effect.KEEP,)),
    (Phase.WAITING, Event.APP_CAME): (Phase.REGISTERED, (Effect.KEEP,)),
    (Phase.WAITING, Event.UNREGISTER): (Phase.UNREGISTERING, (Effect.KEEP, Effect.CONFIRM, Effect.REVOKE)),
    (Phase.WAITING, Event.OTHER_KEY): (Phase.UNREGISTERING, (Effect.KEEP, Effect.REVOKE)),
    (Phase.WAITING, Event.REMOVED): (Phase.UNREGISTERING, _END_UNASKED),
    (Phase.WAITING, Event.ABSENT_FOR_DAYS): (Phase.UNREGISTERING, _END_UNASKED),
    (Phase.UNREGISTERING, Event.REVOKED): (Phase.DROPPED, (Effect.FORGET,)),
}


ENDING: Final = frozenset({Phase.UNREGISTERING, Phase.DROPPED})
"""The phases of a registration that takes nothing more."""

SETTLED: Final = frozenset(Phase) - {Phase.NEW, Phase.REGISTERING}
"""Those in which its app can be answered."""

WITH_ENDPOINT: Final = frozenset({Phase.REGISTERED, Phase.WAITING})
"""Those in which it has an endpoint that is to stay."""


@frozen
class ConnectorRegistration:
    """One registration; moments in seconds since the epoch."""

    token: str = field(repr=False)
    service: str
    version: int
    description: str
    key: bytes | None
    since: float
    phase: Phase = Phase.NEW
    endpoint: str = field(default="", repr=False)
    absent_since: float | None = None
    """Since when its app was seen neither running nor to be started; None while it is one of both."""

    @property
    def app(self) -> str:
        """The name of the app that it is to the platform."""
        return app_of(self.service, self.token)


def event_of_endpoint(registration: ConnectorRegistration, endpoint: str) -> Event | None:
    """Decide which event it is that the push service has given an endpoint; None where it is the known one, or comes too late."""
    if registration.phase in ENDING or endpoint == registration.endpoint:
        return None
    return Event.ENDPOINT


def event_of_presence(phase: Phase, presence: AppPresence) -> Event | None:
    """Decide which event it is that its app was found so on the bus; None where that changes nothing."""
    if phase is Phase.WISHED:
        return None if presence is AppPresence.RUNNING else Event.APP_GONE
    if presence is not AppPresence.ABSENT:
        return Event.APP_CAME if phase is Phase.WAITING else None
    return Event.APP_GONE if phase is Phase.REGISTERED else None


def dropped_at(absent_since: float, started: float) -> float:
    """Return when a registration is dropped whose app has gone, in an agent that started then."""
    return max(absent_since + ABSENCE, started + LAST_CHANCE)
