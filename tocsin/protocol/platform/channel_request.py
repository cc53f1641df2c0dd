"""A channel request: from an app's ``create_channel`` to its one result.

Source: ``CreateChannelAsync`` of the Windows App SDK. Progress is reported once when the request begins, then once
before each wait; a failed request is a result, not an exception.
"""

from __future__ import annotations

from enum import auto
from uuid import UUID

from attrs import define

from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.text import quoted
from tocsin.protocol.values import RENEW_BEFORE, SUBSCRIPTION_LIFETIME
from tocsin.protocol.webpush.sender import is_web_push


class Phase(Label):
    """Where a request stands."""

    NEW = auto()
    QUEUED = auto()
    """Waits until the connection is up, or is known to be down."""
    REQUESTED = auto()
    """The service has been asked."""
    DECIDING = auto()
    """It has failed, and the scheduler has been asked whether it goes on."""
    BACKING_OFF = auto()
    SUCCEEDED = auto()
    FAILED = auto()
    CANCELED = auto()


class Event(Label):
    """What happens to a request."""

    BEGIN_ONLINE = auto()
    BEGIN_OFFLINE = auto()
    RESUME = auto()
    """It was waiting for its next attempt when the platform stopped."""
    CONNECTED = auto()
    DISCONNECTED = auto()
    GRANTED = auto()
    REFUSED = auto()
    RETRY_PLANNED = auto()
    RETRY_DENIED = auto()
    RETRY_DUE_ONLINE = auto()
    RETRY_DUE_OFFLINE = auto()
    SCHEDULER_LOST = auto()
    FORBIDDEN = auto()
    """Group policy forbids notifications from the network, or those of the app are off: there is nothing to be waited for."""
    CANCEL = auto()


class Effect(Label):
    """What the requester has to do."""

    REPORT_PROGRESS = auto()
    SEND_REQUEST = auto()
    PLAN_RETRY = auto()
    RESUME_WAIT = auto()
    KEEP_REQUEST = auto()
    """Write down the attempt that is waited for, so that it is made also after a restart."""
    DROP_REQUEST = auto()
    REPORT_RETRY = auto()
    FORGET_RETRY = auto()
    KEEP_CHANNEL = auto()
    REPORT_SUCCESS = auto()
    REPORT_FAILURE = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.NEW, Event.BEGIN_ONLINE): (Phase.REQUESTED, (Effect.REPORT_PROGRESS, Effect.SEND_REQUEST)),
    (Phase.NEW, Event.BEGIN_OFFLINE): (Phase.QUEUED, (Effect.REPORT_PROGRESS,)),
    (Phase.NEW, Event.RESUME): (Phase.BACKING_OFF, (Effect.RESUME_WAIT,)),
    (Phase.QUEUED, Event.CONNECTED): (Phase.REQUESTED, (Effect.SEND_REQUEST,)),
    (Phase.QUEUED, Event.DISCONNECTED): (Phase.DECIDING, (Effect.PLAN_RETRY,)),
    (Phase.QUEUED, Event.CANCEL): (Phase.CANCELED, (Effect.DROP_REQUEST,)),
    (Phase.REQUESTED, Event.GRANTED): (
        Phase.SUCCEEDED,
        (Effect.KEEP_CHANNEL, Effect.DROP_REQUEST, Effect.REPORT_SUCCESS),
    ),
    (Phase.REQUESTED, Event.REFUSED): (Phase.DECIDING, (Effect.PLAN_RETRY,)),
    (Phase.REQUESTED, Event.DISCONNECTED): (Phase.DECIDING, (Effect.PLAN_RETRY,)),
    (Phase.REQUESTED, Event.CANCEL): (Phase.CANCELED, (Effect.DROP_REQUEST,)),
    (Phase.DECIDING, Event.RETRY_PLANNED): (Phase.BACKING_OFF, (Effect.KEEP_REQUEST, Effect.REPORT_RETRY)),
    (Phase.DECIDING, Event.RETRY_DENIED): (Phase.FAILED, (Effect.DROP_REQUEST, Effect.REPORT_FAILURE)),
    (Phase.DECIDING, Event.SCHEDULER_LOST): (Phase.DECIDING, (Effect.PLAN_RETRY,)),
    (Phase.DECIDING, Event.CANCEL): (Phase.CANCELED, (Effect.FORGET_RETRY, Effect.DROP_REQUEST)),
    (Phase.BACKING_OFF, Event.RETRY_DUE_ONLINE): (Phase.REQUESTED, (Effect.SEND_REQUEST,)),
    (Phase.BACKING_OFF, Event.RETRY_DUE_OFFLINE): (Phase.QUEUED, ()),
    (Phase.BACKING_OFF, Event.SCHEDULER_LOST): (Phase.BACKING_OFF, (Effect.PLAN_RETRY,)),
    (Phase.BACKING_OFF, Event.RETRY_PLANNED): (Phase.BACKING_OFF, ()),
    (Phase.BACKING_OFF, Event.CANCEL): (Phase.CANCELED, (Effect.FORGET_RETRY, Effect.DROP_REQUEST)),
}

_FORBIDDEN = (Effect.DROP_REQUEST, Effect.REPORT_FAILURE)
TABLE |= {
    (Phase.NEW, Event.FORBIDDEN): (Phase.FAILED, (Effect.REPORT_PROGRESS, *_FORBIDDEN)),
    (Phase.QUEUED, Event.FORBIDDEN): (Phase.FAILED, _FORBIDDEN),
    (Phase.REQUESTED, Event.FORBIDDEN): (Phase.FAILED, _FORBIDDEN),
    (Phase.DECIDING, Event.FORBIDDEN): (Phase.FAILED, (Effect.FORGET_RETRY, *_FORBIDDEN)),
    (Phase.BACKING_OFF, Event.FORBIDDEN): (Phase.FAILED, (Effect.FORGET_RETRY, *_FORBIDDEN)),
}

OPEN = frozenset(phase for phase, _ in TABLE)
"""The phases of a request that has not ended."""


@define
class ChannelRequest:
    """One request to the service, and the questions of apps that it answers: those for the same app are joined."""

    key: int
    app: str
    remote_id: str
    """The GUID of a registration, or what :func:`by_family` gives; of a push subscription what stands for its senders."""
    askers: list[tuple[str, int]]
    phase: Phase = Phase.NEW
    failures: int = 0
    retry_count: int = 0
    hresult: int = 0
    text: str = ""
    retry_after: float | None = None
    channel: str = ""
    delay: float = 0.0
    kept: bool = False


PATIENCE = 60.0
"""Seconds that a request waits for an attempt to connect; where the next is later, the request has failed for now."""

LEAST_LIFE = 60.0
"""Seconds that a channel must have before it when it is granted: a shorter one would be asked for again and again."""

LONGEST_LIFE = 1e10
"""Seconds that a channel may have before it: more than a calendar can show is a mistake."""


def fault_of_grant(expires: float, now: float) -> str:
    """Say what is wrong with a channel that was granted ``now`` and ends at ``expires``; nothing for one that is good."""
    life = expires - now
    if LEAST_LIFE <= life <= LONGEST_LIFE:
        return ""
    return (
        f"the push service granted a channel that lives {life:g} s from the moment of the grant on;"
        f" {LEAST_LIFE:g} to {LONGEST_LIFE:g} s would be right"
    )


def renewal(remote_id: str, expires: float) -> float:
    """Return when a channel is to be renewed, in the same seconds as its end; of a push subscription the end is put off then."""
    return expires - (SUBSCRIPTION_LIFETIME / 2 if is_web_push(remote_id) else RENEW_BEFORE)


def parse_remote_id(value: str | UUID) -> UUID:
    """Read the GUID of an app registration.

    :raises InvalidArgument: it is not a GUID, or the null GUID (E_INVALIDARG).
    """
    try:
        remote_id = value if isinstance(value, UUID) else UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise InvalidArgument(
            f"the remote id must be a GUID, such as the service's registration of the app has: {quoted(value)}"
        ) from None
    if remote_id.int == 0:
        raise InvalidArgument("the remote id must not be the null GUID")
    return remote_id


_FAMILY = "family:"  # no GUID begins so


def by_family(name: str) -> str:
    """Return what a device sends, and keeps, in the place of a remote id that only the service knows.

    :raises InvalidArgument: it is no package family name.
    """
    check_app_name(name, "a package family name")
    return f"{_FAMILY}{name}"


def family_of(remote_id: str) -> str | None:
    """Return the package family name that stands in the place of a remote id; None where none does."""
    return remote_id.removeprefix(_FAMILY) if remote_id.startswith(_FAMILY) else None
