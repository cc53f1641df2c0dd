"""A call as its service sees it, from the first ring to its one end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from typing import Final

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

END_REASONS: Final[Mapping[tuple[Phase, Event], tuple[int, int]]] = {
    (Phase.RINGING, Event.REJECTED): (603, 0),
    (Phase.RINGING, Event.CANCELLED): (487, 0),
    (Phase.RINGING, Event.TIMED_OUT): (487, 10004),
    (Phase.RINGING, Event.NO_ENDPOINT): (480, 10037),
    (Phase.RINGING, Event.NOT_ONLINE): (480, 10077),
    (Phase.RINGING, Event.CALLER_LOST): (487, 0),
    (Phase.RINGING, Event.REMOVED): (0, 5300),
    (Phase.CONNECTING, Event.TIMED_OUT): (408, 10057),
    (Phase.CONNECTING, Event.HUNG_UP): (0, 0),
    (Phase.CONNECTING, Event.CALLER_LOST): (0, 4521),
    (Phase.CONNECTING, Event.CALLEE_LOST): (408, 10057),
    (Phase.CONNECTING, Event.REMOVED): (0, 5300),
    (Phase.CONNECTED, Event.HUNG_UP): (0, 0),
    (Phase.CONNECTED, Event.CALLER_LOST): (0, 4521),
    (Phase.CONNECTED, Event.CALLEE_LOST): (0, 4521),
    (Phase.CONNECTED, Event.REMOVED): (0, 5300),
}
"""Why a call has ended, by the step that has ended it: its code and subcode."""
