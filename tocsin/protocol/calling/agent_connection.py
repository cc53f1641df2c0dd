"""An agent's connection to its calling service: attempts, tokens, loss, and the wait between attempts.

A token that is refused, as expired ones are, is refreshed once an attempt; where the fresh one is refused too, the agent waits before it
asks for another. An agent that was displaced by another process of its device does not come back: the two would take turns for ever.
That a connection was made is no success yet: the failures before it are forgotten when it has lasted as long as the longest wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto, unique
from typing import Final

from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 10.0
"""Seconds until the next attempt: doubled each time, up to the longest, which leaves time within the 30 s that a call waits for its agent."""

REFRESHED_BEFORE: Final = 600.0
"""Seconds before a token expires at which it is refreshed; where it is good for less than twice that, half of what is left."""

SOONEST_REFRESH: Final = 10.0
"""Seconds until a token is refreshed at least."""


@unique
class ConnectionState(IntEnum):
    """Whether calls can come and go, as an app sees it."""

    DISCONNECTED = 0
    CONNECTING = 1
    CONNECTED = 2


@unique
class DisconnectedReason(IntEnum):
    """Why an agent is not connected."""

    NONE = 0
    """It is, or it tries to be, or it has not begun."""
    CONNECTION_ISSUE = 1
    """The service cannot be reached; the agent keeps trying."""
    INVALID_TOKEN = 2
    """The service does not take its token; the agent keeps trying if it can have another."""
    REPLACED = 3
    """Another process of the same device has taken its place."""
    DISPOSED = 4


class Phase(Label):
    """Where the connection stands."""

    NEW = auto()
    CONNECTING = auto()
    REFRESHING = auto()
    """The attempt goes on when there is another token."""
    CONNECTING_AFRESH = auto()
    """With a token that was refreshed for this attempt."""
    CONNECTED = auto()
    WAITING = auto()
    UNTRUSTED = auto()
    """There is no token that the service takes; the agent asks for another after a wait."""
    INVALID_TOKEN = auto()
    """There is none, and no way to have another."""
    REPLACED = auto()
    DISPOSED = auto()


class Event(Label):
    """What happens to it."""

    BEGIN = auto()
    WELCOMED = auto()
    LASTED = auto()
    """It has been connected for as long as the longest wait."""
    LOST = auto()
    """The connection broke, or the attempt failed."""
    RETRY = auto()
    """The wait is over."""
    TOKEN_REFUSED = auto()
    """The service does not take the token, or not any more; or it is known to be expired before the service is asked."""
    TOKEN_AGES = auto()
    """It is time to refresh the token of a connection."""
    TOKEN_REFRESHED = auto()
    TOKEN_TAKEN = auto()
    """The service has taken the fresh token of a connection."""
    REFRESH_FAILED = auto()
    """There is no other token for now; or the service would not take the fresh token of a connection."""
    NO_REFRESHER = auto()
    """There is no way to have another token."""
    REPLACED = auto()
    DISPOSE = auto()


class Effect(Label):
    """What its driver has to do."""

    CONNECT = auto()
    """Open a wire, and say hello with the newest token."""
    CLOSE = auto()
    """Close the wire, if there is one; what else belongs to the connection, such as a refresh on it, is broken off with it."""
    REFRESH_TOKEN = auto()
    """Ask the app for another token, if it has a refresher."""
    SEND_TOKEN = auto()
    ARM_REFRESH = auto()
    """Tell when the token is to be refreshed: ``refresh_after``; where that is not wanted, nothing."""
    BACK_OFF = auto()
    """Count a failure, and tell when its wait is over: ``wait_after``."""
    FORGET_FAILURES = auto()


_LOST = (Effect.CLOSE, Effect.BACK_OFF)
_END = (Effect.CLOSE,)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.BEGIN): (Phase.CONNECTING, (Effect.CONNECT,)),
    (Phase.NEW, Event.DISPOSE): (Phase.DISPOSED, ()),
    (Phase.CONNECTING, Event.WELCOMED): (Phase.CONNECTED, (Effect.ARM_REFRESH,)),
    (Phase.CONNECTING, Event.LOST): (Phase.WAITING, _LOST),
    (Phase.CONNECTING, Event.TOKEN_REFUSED): (Phase.REFRESHING, (Effect.CLOSE, Effect.REFRESH_TOKEN)),
    (Phase.CONNECTING, Event.REPLACED): (Phase.REPLACED, _END),
    (Phase.CONNECTING, Event.DISPOSE): (Phase.DISPOSED, _END),
    (Phase.REFRESHING, Event.TOKEN_REFRESHED): (Phase.CONNECTING_AFRESH, (Effect.CONNECT,)),
    (Phase.REFRESHING, Event.REFRESH_FAILED): (Phase.UNTRUSTED, (Effect.BACK_OFF,)),
    (Phase.REFRESHING, Event.NO_REFRESHER): (Phase.INVALID_TOKEN, ()),
    (Phase.REFRESHING, Event.DISPOSE): (Phase.DISPOSED, _END),
    (Phase.CONNECTING_AFRESH, Event.WELCOMED): (Phase.CONNECTED, (Effect.ARM_REFRESH,)),
    (Phase.CONNECTING_AFRESH, Event.LOST): (Phase.WAITING, _LOST),
    (Phase.CONNECTING_AFRESH, Event.TOKEN_REFUSED): (Phase.UNTRUSTED, _LOST),
    (Phase.CONNECTING_AFRESH, Event.REPLACED): (Phase.REPLACED, _END),
    (Phase.CONNECTING_AFRESH, Event.DISPOSE): (Phase.DISPOSED, _END),
    (Phase.CONNECTED, Event.LASTED): (Phase.CONNECTED, (Effect.FORGET_FAILURES,)),
    (Phase.CONNECTED, Event.LOST): (Phase.WAITING, _LOST),
    (Phase.CONNECTED, Event.TOKEN_AGES): (Phase.CONNECTED, (Effect.REFRESH_TOKEN,)),
    (Phase.CONNECTED, Event.TOKEN_REFRESHED): (Phase.CONNECTED, (Effect.SEND_TOKEN,)),
    (Phase.CONNECTED, Event.TOKEN_TAKEN): (Phase.CONNECTED, (Effect.ARM_REFRESH,)),
    (Phase.CONNECTED, Event.REFRESH_FAILED): (Phase.CONNECTED, (Effect.ARM_REFRESH,)),
    (Phase.CONNECTED, Event.NO_REFRESHER): (Phase.CONNECTED, ()),
    (Phase.CONNECTED, Event.TOKEN_REFUSED): (Phase.REFRESHING, (Effect.CLOSE, Effect.REFRESH_TOKEN)),
    (Phase.CONNECTED, Event.REPLACED): (Phase.REPLACED, _END),
    (Phase.CONNECTED, Event.DISPOSE): (Phase.DISPOSED, _END),
    (Phase.WAITING, Event.RETRY): (Phase.CONNECTING, (Effect.CONNECT,)),
    (Phase.WAITING, Event.DISPOSE): (Phase.DISPOSED, ()),
    (Phase.UNTRUSTED, Event.RETRY): (Phase.REFRESHING, (Effect.REFRESH_TOKEN,)),
    (Phase.UNTRUSTED, Event.DISPOSE): (Phase.DISPOSED, ()),
    (Phase.INVALID_TOKEN, Event.DISPOSE): (Phase.DISPOSED, ()),
    (Phase.REPLACED, Event.DISPOSE): (Phase.DISPOSED, ()),
}

ENDED: Final = frozenset({Phase.DISPOSED})
"""The phase in which nothing happens any more."""

FINAL: Final = frozenset({Phase.INVALID_TOKEN, Phase.REPLACED, Phase.DISPOSED})
"""The phases from which there is no way to a connection."""

_STATES: Final[Mapping[Phase, ConnectionState]] = {
    Phase.CONNECTING: ConnectionState.CONNECTING,
    Phase.REFRESHING: ConnectionState.CONNECTING,
    Phase.CONNECTING_AFRESH: ConnectionState.CONNECTING,
    Phase.CONNECTED: ConnectionState.CONNECTED,
}
_REASONS: Final[Mapping[Phase, DisconnectedReason]] = {
    Phase.WAITING: DisconnectedReason.CONNECTION_ISSUE,
    Phase.UNTRUSTED: DisconnectedReason.INVALID_TOKEN,
    Phase.INVALID_TOKEN: DisconnectedReason.INVALID_TOKEN,
    Phase.REPLACED: DisconnectedReason.REPLACED,
    Phase.DISPOSED: DisconnectedReason.DISPOSED,
}
_REFUSALS: Final[Mapping[str, Event]] = {
    "IllegalCall": Event.REPLACED,
    "InvalidArgument": Event.TOKEN_REFUSED,
    "SenderNotAllowed": Event.TOKEN_REFUSED,
}


def state_of(phase: Phase) -> ConnectionState:
    """Return what an app sees of a phase."""
    return _STATES.get(phase, ConnectionState.DISCONNECTED)


def reason_of(phase: Phase) -> DisconnectedReason:
    """Return why an agent is not connected in a phase."""
    return _REASONS.get(phase, DisconnectedReason.NONE)


def event_of_refusal(error: str) -> Event:
    """Decide which event the last frame of a service is, a ``CallRefused`` with the request 0, by the class of its error."""
    return _REFUSALS.get(error, Event.LOST)


def wait_after(failures: int, fraction: float) -> float:
    """Return the seconds to wait after that many failures in a row, from 1; ``fraction`` is random, 0 to 1."""
    return backoff(FIRST_WAIT, LONGEST_WAIT, failures, fraction)


def refresh_after(token_left: float) -> float:
    """Return the seconds until a token is refreshed that is good for ``token_left`` seconds."""
    # In this order, what is no number counts for nothing.
    return max(SOONEST_REFRESH, token_left - REFRESHED_BEFORE, token_left / 2)
