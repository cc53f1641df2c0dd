"""What a shared access key of a hub allows, and the names under which keys are given out."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Final


@unique
class Right(StrEnum):
    """What a key is given out for."""

    LISTEN = "listen"
    """Registrations and installations are made, read and removed: the key that apps have."""
    SEND = "send"
    MANAGE = "manage"
    """All of it, and lists of all registrations."""


KEY_NAMES: Final = {
    Right.LISTEN: "DefaultListenSharedAccessSignature",
    Right.SEND: "DefaultSendSharedAccessSignature",
    Right.MANAGE: "DefaultFullSharedAccessSignature",
}
"""The name of each key, as ``SharedAccessKeyName`` of a connection string."""

GRANTED: Final = {
    Right.LISTEN: frozenset({Right.LISTEN}),
    Right.SEND: frozenset({Right.SEND}),
    Right.MANAGE: frozenset(Right),
}
"""What a key that was given out for a right allows."""
