"""A call as its service sees it, from the first ring to its one end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from typing import Final

from tocsin.protocol.calling.end_reason import (
    APP_CLOSED,
    CANCELLED,
    DECLINED,
    HUNG_UP,
    NO_ENDPOINT,
    NOT_ANSWERED,
    NOT_ONLINE,
    REMOVED,
    SETUP_FAILED,
    CallEndReason,
)
from tocsin.protocol.kernel.machine import Label

GRACE: Final = 30.0
"""Seconds for which an endpoint in a call may be away before it is lost."""

SETUP_TIME: Final = 60.0
"""Seconds within which the endpoint that has accepted gets ready."""


class Phase(Label):
    """Where a call stands."""

    RINGING = auto()
    CONNECTING = auto()
    """An endpoint has accepted it, and gets ready."""
    CONNECTED = auto()
    ENDED = auto()


class Event(Label):
    """What happens to it."""

    ACCEPTED = auto()
    READY = auto()
    """The endpoint that has accepted it is ready."""
    REJECTED = auto()
    CANCELLED = auto()
    """The caller has hung up before it was answered."""
    TIMED_OUT = auto()
    """It was not answered in time; or the endpoint that has accepted it did not get ready in time."""
    NO_ENDPOINT = auto()
    """The callee has no endpoint that could ring."""
    NOT_ONLINE = auto()
    """The callee's endpoints are not connected, and no push reaches them."""
    HUNG_UP = auto()
    CALLER_LOST = auto()
    """The endpoint of the caller was away for too long, or its process has ended."""
    CALLEE_LOST = auto()
    """The same of the endpoint that has accepted."""
    MEDIA_CHANGED = auto()
    REMOVED = auto()
    """One of the two users was removed."""


class Effect(Label):
    """What has to be done about it."""

    STOP_RINGING = auto()
    """Tell the callee's endpoints that it rings no more: the connected ones, and by a push the others."""
    TELL_SIDES = auto()
    """Tell the two endpoints that are in it how it stands."""


_TELL = (Effect.TELL_SIDES,)
_STOP = (Effect.STOP_RINGING, Effect.TELL_SIDES)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.RINGING, Event.ACCEPTED): (Phase.CONNECTING, _STOP),
    (Phase.RINGING, Event.REJECTED): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.CANCELLED): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.TIMED_OUT): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.NO_ENDPOINT): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.NOT_ONLINE): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.CALLER_LOST): (Phase.ENDED, _STOP),
    (Phase.RINGING, Event.MEDIA_CHANGED): (Phase.RINGING, _TELL),
    (Phase.RINGING, Event.REMOVED): (Phase.ENDED, _STOP),
    (Phase.CONNECTING, Event.READY): (Phase.CONNECTED, _TELL),
    (Phase.CONNECTING, Event.TIMED_OUT): (Phase.ENDED, _TELL),
    (Phase.CONNECTING, Event.HUNG_UP): (Phase.ENDED, _TELL),
    (Phase.CONNECTING, Event.CALLER_LOST): (Phase.ENDED, _TELL),
    (Phase.CONNECTING, Event.CALLEE_LOST): (Phase.ENDED, _TELL),
    (Phase.CONNECTING, Event.MEDIA_CHANGED): (Phase.CONNECTING, _TELL),
    (Phase.CONNECTING, Event.REMOVED): (Phase.ENDED, _TELL),
    (Phase.CONNECTED, Event.HUNG_UP): (Phase.ENDED, _TELL),
    (Phase.CONNECTED, Event.CALLER_LOST): (Phase.ENDED, _TELL),
    (Phase.CONNECTED, Event.CALLEE_LOST): (Phase.ENDED, _TELL),
    (Phase.CONNECTED, Event.MEDIA_CHANGED): (Phase.CONNECTED, _TELL),
    (Phase.CONNECTED, Event.REMOVED): (Phase.ENDED, _TELL),
}

ENDINGS: Final[Mapping[tuple[Phase, Event], CallEndReason]] = {
    (Phase.RINGING, Event.REJECTED): DECLINED,
    (Phase.RINGING, Event.CANCELLED): CANCELLED,
    (Phase.RINGING, Event.TIMED_OUT): NOT_ANSWERED,
    (Phase.RINGING, Event.NO_ENDPOINT): NO_ENDPOINT,
    (Phase.RINGING, Event.NOT_ONLINE): NOT_ONLINE,
    (Phase.RINGING, Event.CALLER_LOST): CANCELLED,
    (Phase.RINGING, Event.REMOVED): REMOVED,
    (Phase.CONNECTING, Event.TIMED_OUT): SETUP_FAILED,
    (Phase.CONNECTING, Event.HUNG_UP): HUNG_UP,
    (Phase.CONNECTING, Event.CALLER_LOST): APP_CLOSED,
    (Phase.CONNECTING, Event.CALLEE_LOST): SETUP_FAILED,
    (Phase.CONNECTING, Event.REMOVED): REMOVED,
    (Phase.CONNECTED, Event.HUNG_UP): HUNG_UP,
    (Phase.CONNECTED, Event.CALLER_LOST): APP_CLOSED,
    (Phase.CONNECTED, Event.CALLEE_LOST): APP_CLOSED,
    (Phase.CONNECTED, Event.REMOVED): REMOVED,
}
"""Why a call has ended, by the step that has ended it."""
