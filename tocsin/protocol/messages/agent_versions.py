"""What earlier versions of the protocol between app and agent do not have: so an agent serves apps that are older than it.

A message grows at its end only, by fields that have a value which stands for them where they are missing.
"""

from __future__ import annotations

from typing import Any, Final

from tocsin.protocol.errors import NotSupported
from tocsin.protocol.messages.agent_protocol import SessionDismissed, SessionWelcome
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.codec import pack, unpack, unpack_own
from tocsin.protocol.values import AGENT_VERSION, OLDEST_AGENT_VERSION

ADDED: Final[dict[type[Message], tuple[tuple[int, Any], ...]]] = {
    SessionWelcome: ((2, b""),),  # how the platform stands; of version 1 it comes behind the welcome
}
"""The fields behind those of version 1, for each the version that brought it and what stands for it."""

NEW: Final[dict[type[Message], int]] = {
    SessionDismissed: 2,  # the agent hangs up behind it, which an older app takes for the end of the agent
}
"""The messages to apps that version 1 did not have, each with the version that brought it."""

_SINCE: Final = {kind.TAG: version for kind, version in NEW.items()}
_BY_TAG: Final = {kind.TAG: fields for kind, fields in ADDED.items()}


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
    values = unpack_own(frame)
    if _SINCE.get(values[0], version) > version:
        return None
    newer = sum(since > version for since, _ in _BY_TAG.get(values[0], ()))
    return pack(values[:-newer]) if newer else frame


def from_version(version: int, frame: bytes) -> bytes:
    """Return a frame of an earlier version as this one has it.

    :raises FrameError: the bytes are no frame.
    """
    values = unpack(frame)
    missing = tuple(value for since, value in _BY_TAG.get(values[0], ()) if since > version)
    return pack(values + missing) if missing else frame
