"""What earlier versions of the protocol between app and agent do not have: so an agent serves apps that are older than it.

A message grows at its end only, by fields that have a value which stands for them where they are missing; so does a value
that a message carries whole.
"""

from __future__ import annotations

from typing import Any, Final

from tocsin.protocol.errors import NotSupported
from tocsin.protocol.messages.agent_protocol import PlatformStanding, SessionDismissed, SessionWelcome
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.channel_requests import CreateChannelDone
from tocsin.protocol.messages.codec import pack, unpack, unpack_own
from tocsin.protocol.messages.deliveries import Activation, Deliveries
from tocsin.protocol.messages.host_state import AppSettingsChanged, HostChanged
from tocsin.protocol.messages.toasts import (
    TileList,
    ToastActivated,
    ToastDismissed,
    ToastList,
    ToastShown,
    ToastUpdated,
)
from tocsin.protocol.messages.usage_reports import UsageFound
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.values import AGENT_VERSION, OLDEST_AGENT_VERSION

ADDED: Final[dict[type[Message], tuple[tuple[int, Any], ...]]] = {
    SessionWelcome: ((2, b""),),  # how the platform stands; of version 1 it comes behind the welcome
    CreateChannelDone: ((4, b""),),
}
"""The fields behind those of version 1, for each the version that brought it and what stands for it."""

NEW: Final[dict[type[Message], int]] = {
    SessionDismissed: 2,  # the agent hangs up behind it, which an older app takes for the end of the agent
    ToastShown: 3,  # an older app has asked for none of these
    ToastUpdated: 3,
    ToastList: 3,
    ToastActivated: 3,
    ToastDismissed: 3,
    TileList: 3,
    UsageFound: 3,
}
"""The messages to apps that version 1 did not have, each with the version that brought it."""


CARRIED: Final[dict[type[Message], tuple[int, int, int]]] = {
    HostChanged: (3, 1, 8),
    AppSettingsChanged: (3, 2, 3),
}
"""The values that messages to apps carry whole and that have grown: in which version each did, its place in the frame, and how
many fields it had before."""

ROWS: Final[dict[type[Message], tuple[int, int]]] = {
    Deliveries: (3, 7),
}
"""The messages to apps whose rows have grown: in which version they did, and how many fields they had before."""

CAUSES: Final[dict[ConnectionCause, tuple[int, ConnectionCause]]] = {
    ConnectionCause.CLOUD_DISABLED: (3, ConnectionCause.DENIED),
}
"""The causes that version 1 did not have: which version brought each, and what an older app is told; the text says the rest."""

_SINCE: Final = {kind.TAG: version for kind, version in NEW.items()}
_BY_TAG: Final = {kind.TAG: fields for kind, fields in ADDED.items()}
_CARRIED: Final = {kind.TAG: carried for kind, carried in CARRIED.items()}
_ROWS: Final = {kind.TAG: rows for kind, rows in ROWS.items()}


def check_version(version: int) -> None:
    """See that an app of a version can be served.

    :raises NotSupported: it is too old, or newer than this agent.
    """
    if not OLDEST_AGENT_VERSION <= version <= AGENT_VERSION:
        older = "the app" if version < AGENT_VERSION else "the agent"
        raise NotSupported(
            f"the agent speaks the versions {OLDEST_AGENT_VERSION} to {AGENT_VERSION} and the app version {version}:"
            f" upgrade {older}"
        )


def as_of(version: int, frame: bytes) -> bytes | None:
    """Return a frame of this version as an earlier one has it; None where that has no such message."""
    values: tuple[Any, ...] = unpack_own(frame)
    tag = values[0]
    if _SINCE.get(tag, version) > version:
        return None
    newer = sum(since > version for since, _ in _BY_TAG.get(tag, ()))
    values = values[: len(values) - newer]
    since, place, fields = _CARRIED.get(tag, (0, 0, 0))
    if since > version:
        values = (*values[:place], values[place][:fields], *values[place + 1 :])
    since, fields = _ROWS.get(tag, (0, 0))
    if since > version:
        values = (*values[:-1], tuple(row[:fields] for row in values[-1]))
    if tag == PlatformStanding.TAG and values[3] is not None:
        since, instead = CAUSES.get(ConnectionCause(values[3]), (0, values[3]))
        values = (*values[:3], instead if since > version else values[3], *values[4:])
    if tag == Activation.TAG:
        values = (tag, as_of(version, values[1]), *values[2:])  # the frame in it
    return pack(values)


def from_version(version: int, frame: bytes) -> bytes:
    """Return a frame of an earlier version as this one has it.

    :raises FrameError: the bytes are no frame.
    """
    values = unpack(frame)
    missing = tuple(value for since, value in _BY_TAG.get(values[0], ()) if since > version)
    return pack(values + missing) if missing else frame
