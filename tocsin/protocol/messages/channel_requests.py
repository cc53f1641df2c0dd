"""Channel requests: between apps, the channel requester and the retry scheduler."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.values import PushNotificationChannelStatus


@tagged(30)
@frozen
class CreateChannel(Message):
    """An app asks for its channel; ``remote_id`` as in :class:`RequestChannel`."""

    request: int
    remote_id: str


@tagged(31)
@frozen
class CancelCreateChannel(Message):
    """The app no longer waits for that request."""

    request: int


@tagged(32)
@frozen
class CloseChannel(Message):
    """An app closes its channel, and with it all of its others."""

    request: int
    channel: str


@tagged(33)
@frozen
class CreateChannelProgress(Message):
    """The request goes on; ``extended_error`` is 0, and ``text`` empty, while nothing has failed yet."""

    request: int
    status: PushNotificationChannelStatus
    extended_error: int
    retry_count: int
    text: str


@tagged(34)
@frozen
class CreateChannelDone(Message):
    """The request has ended; a channel is there on success only.

    Of a push subscription ``keys`` is what its senders need: its public key, 65 bytes, and the secret ``auth``, 16.
    """

    request: int
    status: PushNotificationChannelStatus
    extended_error: int
    text: str
    channel: str
    uri: str
    expires: float
    keys: bytes = b""


@tagged(35)
@frozen
class Done(Message):
    """The answer to a question that has no other: it was done."""

    request: int


@tagged(36)
@frozen
class Failed(Message):
    """The answer to a question that could not be met; ``error`` is the class of ``tocsin.protocol.errors``."""

    request: int
    error: str
    text: str
    hresult: int


@tagged(37)
@frozen
class ChannelLost(Message):
    """The app's channel was closed or revoked; no payload will come over it."""

    channel: str


@tagged(47)
@frozen
class ClosedByApp(Message):
    """The app has closed the channel that will be lost next."""

    channel: str


@tagged(46)
@frozen
class ChannelList(Message):
    """These are all channels that the device holds; any other that an app knows has ended unnoticed."""

    channels: tuple[str, ...]


@tagged(38)
@frozen
class ChannelOpened(Message):
    """The requester has stored a channel: the router may take payloads for it."""

    channel: str
    app: str


@tagged(40)
@frozen
class PlanRetry(Message):
    """A channel request has failed: is there to be another attempt, and when?"""

    key: int
    failures: int
    hresult: int
    retry_after: float | None


@tagged(41)
@frozen
class RetryPlanned(Message):
    """There will be another attempt, ``delay`` seconds from now."""

    key: int
    retry_count: int
    delay: float


@tagged(42)
@frozen
class RetryDenied(Message):
    """There will be no other attempt: the error is critical or the attempts are used up."""

    key: int


@tagged(43)
@frozen
class RetryDue(Message):
    """The wait is over."""

    key: int


@tagged(44)
@frozen
class ForgetRetry(Message):
    """The request does not wait for that attempt any more."""

    key: int


@tagged(45)
@frozen
class ResumeRetry(Message):
    """A wait from before a restart goes on, for ``delay`` seconds more."""

    key: int
    delay: float


@tagged(39)
@frozen
class ChannelRenewed(Message):
    """A channel was granted that no session waits for: the one before ends soon, or the app that asked has left."""

    app: str
    remote_id: str
    channel: str
    uri: str
    expires: float
