"""Why the service does not do what a sender asks, whichever way it asked."""

from __future__ import annotations

from enum import Enum, auto, unique

from attrs import frozen


@unique
class RefusalKind(Enum):
    """What stands against it; each way in has its own status and words for each."""

    TOKEN_FORGED = auto()
    """The access token was not issued by this service."""
    TOKEN_EXPIRED = auto()
    """The access token was good, and is no longer."""
    TOKEN_OF_UNKNOWN_APP = auto()
    """The access token is of an app that is no longer registered."""
    ADDRESS_THROTTLED = auto()
    """Too much came from the sender's address."""
    APP_THROTTLED = auto()
    """Too much came from the app."""
    CHANNEL_THROTTLED = auto()
    """Too much came for the channel."""
    UNKNOWN_CHANNEL = auto()
    """No channel has that token."""
    CHANNEL_EXPIRED = auto()
    """The channel's time is over."""
    CHANNEL_REVOKED = auto()
    """The channel was closed by its app, or its app was removed."""
    NOT_AUTHORIZED = auto()
    """The channel is another app's."""
    TOO_LARGE = auto()
    """The body has more bytes than a payload may have."""
    STORE_UNREADABLE = auto()
    """The service cannot look the channel up just now."""
    STORE_UNWRITABLE = auto()
    """The service's store was to be written, and cannot be just now."""
    NODE_LAPSED = auto()
    """The node that was asked is none of the service's just now: it has no lease, or does not know what others have changed."""
    NOT_ACKNOWLEDGED = auto()
    """The device is connected, but did not acknowledge in time; it may have the notification or not."""
    DEVICE_SUSPENDED = auto()
    """The device is connected, but can store nothing just now; it may have the notification or not."""
    TOO_MANY_WAITING = auto()
    """Too many notifications wait for the device."""


@frozen
class Refusal:
    """A notification that the service does not take on; ``retry_after`` in seconds, None where no time is known."""

    kind: RefusalKind
    retry_after: int | None = None
