"""The enumerations and limits that all rooms share."""

from __future__ import annotations

from enum import IntEnum, StrEnum, unique

PROTOCOL_VERSION = 1
"""What a device and a service agree on in their greeting."""

MAX_PAYLOAD = 5_000
"""Bytes of a notification's body at most; WNS answers 413 above it."""

CHANNEL_LIFETIME = 30 * 24 * 3600
"""Seconds that a channel URI stays valid."""

TOKEN_LIFETIME = 24 * 3600
"""Seconds that an access token stays valid."""


@unique
class NotificationType(StrEnum):
    """What a notification is, as ``X-WNS-Type`` spells it behind ``wns/``."""

    RAW = "raw"
    TOAST = "toast"
    TILE = "tile"
    BADGE = "badge"


@unique
class PushNotificationChannelStatus(IntEnum):
    """Where a channel request stands (WinRT enum of the same name)."""

    IN_PROGRESS = 0
    IN_PROGRESS_RETRY = 1
    COMPLETED_SUCCESS = 2
    COMPLETED_FAILURE = 3


@unique
class Outcome(IntEnum):
    """How one attempt to hand a payload to its app ended."""

    HANDLED = 0
    RETURNED = 1
    """The app went away before it had finished: the payload waits for its next handler."""
    NOT_HANDLED = 2
    HANDLER_FAILED = 3


@unique
class DropReason(StrEnum):
    """Why a payload ended without being handled; each is kept and counted."""

    EXPIRED = "expired"
    NOT_HANDLED = "not_handled"
    HANDLER_FAILED = "handler_failed"
    UNKNOWN_CHANNEL = "unknown_channel"
    """The device holds no such channel: it was closed, or its state was lost."""


DROPS = {Outcome.NOT_HANDLED: DropReason.NOT_HANDLED, Outcome.HANDLER_FAILED: DropReason.HANDLER_FAILED}
"""The outcomes that end a payload unhandled, and the reason each stands for."""
