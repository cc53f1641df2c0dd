"""The enumerations and limits that all rooms share."""

from __future__ import annotations

from enum import IntEnum, StrEnum, unique
from typing import Final

PROTOCOL_VERSION = 3
"""What a device and a service agree on in their greeting."""

OLDEST_PROTOCOL_VERSION = 2
"""The oldest version of a device that a service still serves."""

AGENT_VERSION = 4
"""What an app and the agent of its user agree on in their greeting."""

OLDEST_AGENT_VERSION = 1
"""The oldest version of an app that an agent still serves."""

MAX_PAYLOAD = 5_000
"""Bytes of a notification's body at most; WNS answers 413 above it."""

MAX_APP_NAME = 128
"""Characters of an app's name, and of its package family name, at most."""

MAX_TOAST_LENGTH = 5_120
"""Characters of the XML of a toast, a tile or a badge of an app at most, as the Windows App SDK has it."""

MAX_TOAST_SIZE = 16 * 1024
"""Bytes of that XML at most, in UTF-8; and characters of all values that are bound to a toast, with their names."""

MAX_TOAST_LABEL = 64
"""Characters of the tag and of the group of a toast at most, and of the name of a tile."""

MAX_TOAST_DATA = 64
"""Values that may be bound to one toast."""

MAX_SEQUENCE_NUMBER = 2**32 - 1
"""The greatest number of an update of a toast, as ``NotificationData`` of Windows has it."""

MAX_OUTCOMES = 1024
"""Outcomes of deliveries that one message carries at most."""

CHANNEL_LIFETIME = 30 * 24 * 3600
"""Seconds that a channel URI stays valid."""

SUBSCRIPTION_LIFETIME = 365 * 24 * 3600
"""Seconds that a push subscription stays valid after its device was heard of it last."""

RENEW_BEFORE = 24 * 3600.0
"""Seconds before its end at which a channel is renewed; a service gives another URI from then on."""

TOKEN_LIFETIME = 24 * 3600
"""Seconds that an access token stays valid."""


OFFLINE_NO_CACHE = "Device is offline and X-WNS-Cache-Policy is no-cache"
"""As WNS says it: the notification was dropped, and the sender had wanted nothing else."""


@unique
class NotificationType(StrEnum):
    """What a notification is; all but a message of Web Push as ``X-WNS-Type`` spells it behind ``wns/``."""

    RAW = "raw"
    TOAST = "toast"
    TILE = "tile"
    BADGE = "badge"
    PUSH = "push"
    """A message of Web Push, which only its device can read: for the app, which gets the plaintext, it is a raw one."""


WNS_TYPES: Final = (NotificationType.RAW, NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE)
"""What a sender of WNS may send, and what reaches apps."""


def wns_type(text: str) -> NotificationType:
    """Return one of ``WNS_TYPES``, by its name.

    :raises ValueError: it is another, or none.
    """
    return WNS_TYPES[WNS_TYPES.index(text)]


@unique
class NotificationStatus(StrEnum):
    """What became of an accepted notification, as ``X-WNS-Status`` says it."""

    RECEIVED = "received"
    DROPPED = "dropped"
    CHANNEL_THROTTLED = "channelthrottled"


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
    GIVEN_BACK = 1
    """The app went away before it had finished: the payload waits for its next handler."""
    NOT_HANDLED = 2
    HANDLER_FAILED = 3
    DROPPED = 4
    """It has ended without being handled, for a reason that is told beside it."""
    SHOWN = 5
    """The desktop has it, or its tile or badge is set."""
    SUPPRESSED = 6
    """It was to be shown, and is not, for a reason that is told beside it: nothing is wrong with it."""


@unique
class DropReason(StrEnum):
    """Why a payload ended without being handled; each is kept and counted."""

    CLOUD_DISABLED = "cloud_disabled"
    """Group policy forbids notifications from the network."""
    NOTIFICATIONS_DISABLED = "notifications_disabled"
    """The user has switched the app's notifications off."""
    EXPIRED = "expired"
    UNKNOWN_CHANNEL = "unknown_channel"
    """The device holds no such channel: it has ended, or its state was lost."""
    CLOSED = "closed"
    """The app has closed the channel before it took the payload."""
    NOT_HANDLED = "not_handled"
    HANDLER_FAILED = "handler_failed"
    BACKGROUND_DENIED = "background_denied"
    """No foreground handler took it, and background work of the app is not allowed."""
    QUEUE_FULL = "queue_full"
    """Too many payloads wait for the app's background work."""
    LAUNCH_FAILED = "launch_failed"
    """The process that was to do the work could not be started, or ended before it took the payload."""
    CRASH_LOOP = "crash_loop"
    """The processes that had it have died again and again."""
    UNREADABLE = "unreadable"
    """It is no toast, tile or badge that could be read; the detail says where and why."""
    TYPE_DISABLED = "type_disabled"
    """The user has switched off what is of this type, toasts, tiles or badges, for the app."""
    NO_DESKTOP = "no_desktop"
    """No desktop is there that could show it."""
    SHELL_FULL = "shell_full"
    """More was to be shown at once than a desktop takes."""
    SHELL_FAILED = "shell_failed"
    """The desktop would not show it; the detail has its reason."""
    WITHDRAWN = "withdrawn"
    """Its sender has deleted it before it was shown."""
    # The rest go by the reason for which the work was cancelled.
    ABORT = "abort"
    TERMINATING = "terminating"
    LOGGING_OFF = "logging_off"
    SERVICING_UPDATE = "servicing_update"
    IDLE_TASK = "idle_task"
    UNINSTALL = "uninstall"
    CONDITION_LOSS = "condition_loss"
    SYSTEM_POLICY = "system_policy"
    QUIET_HOURS_ENTERED = "quiet_hours_entered"
    EXECUTION_TIME_EXCEEDED = "execution_time_exceeded"
    RESOURCE_REVOCATION = "resource_revocation"
    ENERGY_SAVER = "energy_saver"
