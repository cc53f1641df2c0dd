"""Every message that crosses a mailbox, a socket or the device connection.

A message is frozen, and encoded as one msgpack array ``[tag, field, ...]``. Tags are never reused. The groups below go
by who speaks to whom; ``tocsin/actors/topology.py`` says which actor stands behind each.

Times are seconds since the epoch, durations are seconds, ``request`` numbers a question so that its answer finds back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from attrs import frozen

from tocsin.protocol.values import NotificationType, Outcome, PushNotificationChannelStatus

M = TypeVar("M", bound="type[Message]")

MESSAGES: dict[int, type[Message]] = {}
"""All messages by tag; filled below, once, while this module is imported."""


class Message:
    """What all messages are."""

    __slots__ = ()
    TAG: ClassVar[int]


def _tagged(tag: int) -> Callable[[M], M]:
    """Give a message class its tag."""

    def register(cls: M) -> M:
        if tag in MESSAGES:
            raise ValueError(f"tag {tag} is taken by {MESSAGES[tag].__name__}")
        cls.TAG = tag
        MESSAGES[tag] = cls
        return cls

    return register


# Device and service, over the device connection


@_tagged(1)
@frozen
class Hello(Message):
    """The device opens the conversation; its key is a secret that only it and a hash in the service know."""

    version: int
    device_key: str


@_tagged(2)
@frozen
class Welcome(Message):
    """The service accepts the device; ``window`` is how many payloads may be unacknowledged at a time."""

    version: int
    window: int


@_tagged(3)
@frozen
class RequestChannel(Message):
    """The device asks for a channel of an app; ``known_uri`` is the one it holds, or empty."""

    request: int
    app: str
    remote_id: str
    known_uri: str


@_tagged(4)
@frozen
class ChannelGranted(Message):
    """The service gives a channel; ``channel`` is its name, which is not secret, ``uri`` the capability."""

    request: int
    channel: str
    uri: str
    expires: float


@_tagged(5)
@frozen
class ChannelRefused(Message):
    """The service refuses a channel, or the closing of one."""

    request: int
    hresult: int
    text: str
    retry_after: float | None


@_tagged(6)
@frozen
class RevokeChannels(Message):
    """The device gives up all channels of an app."""

    request: int
    app: str


@_tagged(7)
@frozen
class ChannelsRevoked(Message):
    """The service has revoked these channels; ``request`` is 0 where no one asked for it."""

    request: int
    channels: tuple[str, ...]


@_tagged(8)
@frozen
class Payload(Message):
    """A notification on its way to the device; ``expires`` is None for one that does not expire."""

    id: str
    channel: str
    type: NotificationType
    body: bytes
    expires: float | None


@_tagged(9)
@frozen
class Acknowledge(Message):
    """The device has committed these payloads."""

    ids: tuple[str, ...]


# From the device connection, about itself


@_tagged(20)
@frozen
class ConnectionUp(Message):
    """The service has welcomed the device."""

    window: int


@_tagged(21)
@frozen
class ConnectionDown(Message):
    """The connection was lost, or could not be made."""

    hresult: int
    text: str


# From the kernel


@_tagged(22)
@frozen
class ActorRestarted(Message):
    """An actor failed and began anew: what it held in memory only is gone."""

    actor: str


@_tagged(23)
@frozen
class AlarmRang(Message):
    """A moment that an actor had set its alarm for has come."""


@_tagged(24)
@frozen
class Quiesce(Message):
    """The platform is about to stop: begin nothing new."""


# App and channel requester


@_tagged(30)
@frozen
class CreateChannel(Message):
    """An app asks for its channel."""

    session: str
    request: int
    app: str
    remote_id: str


@_tagged(31)
@frozen
class CancelCreateChannel(Message):
    """The app no longer waits for that request."""

    session: str
    request: int


@_tagged(32)
@frozen
class CloseChannel(Message):
    """An app closes its channel, and with it all of its others."""

    session: str
    request: int
    app: str
    channel: str


@_tagged(33)
@frozen
class CreateChannelProgress(Message):
    """The request goes on; ``extended_error`` is 0 while nothing has failed yet."""

    request: int
    status: PushNotificationChannelStatus
    extended_error: int
    retry_count: int


@_tagged(34)
@frozen
class CreateChannelDone(Message):
    """The request has ended; a channel is there on success only."""

    request: int
    status: PushNotificationChannelStatus
    extended_error: int
    text: str
    channel: str
    uri: str
    expires: float


@_tagged(35)
@frozen
class Done(Message):
    """The answer to a question that has no other: it was done."""

    request: int


@_tagged(36)
@frozen
class Failed(Message):
    """The answer to a question that could not be met; ``error`` is the class of ``tocsin.protocol.errors``."""

    request: int
    error: str
    text: str
    hresult: int


@_tagged(37)
@frozen
class ChannelLost(Message):
    """The app's channel was closed or revoked; no payload will come over it."""

    channel: str


@_tagged(38)
@frozen
class ChannelOpened(Message):
    """The requester has stored a channel: the router may take payloads for it."""

    channel: str


# Channel requester and retry scheduler


@_tagged(40)
@frozen
class PlanRetry(Message):
    """A channel request has failed: is there to be another attempt, and when?"""

    key: int
    failures: int
    hresult: int
    retry_after: float | None


@_tagged(41)
@frozen
class RetryPlanned(Message):
    """There will be another attempt, ``delay`` seconds from now."""

    key: int
    retry_count: int
    delay: float


@_tagged(42)
@frozen
class RetryDenied(Message):
    """There will be no other attempt: the error is critical or the attempts are used up."""

    key: int


@_tagged(43)
@frozen
class RetryDue(Message):
    """The wait is over."""

    key: int


@_tagged(44)
@frozen
class ForgetRetry(Message):
    """No one waits for that attempt any more."""

    key: int


# App and activator registry


@_tagged(50)
@frozen
class AttachSink(Message):
    """A session of the app takes the payloads of a channel from now on; the last one to say so wins."""

    session: str
    request: int
    channel: str


@_tagged(51)
@frozen
class DetachSink(Message):
    """The session takes no more payloads of that channel."""

    session: str
    request: int
    channel: str


@_tagged(52)
@frozen
class SinkOpened(Message):
    """There is somebody to take the payloads of that channel."""

    channel: str


@_tagged(53)
@frozen
class SinkClosed(Message):
    """There is nobody left to take the payloads of that channel."""

    channel: str


# The payload's way down, and its outcome's way up


@_tagged(60)
@frozen
class Delivery(Message):
    """A payload on its way to a handler: the router's frame goes on unchanged to supervisor, registry and app.

    ``sequence`` is its place in the inbox, ``attempt`` counts from 1.
    """

    sequence: int
    channel: str
    id: str
    type: NotificationType
    body: bytes
    attempt: int
    expires: float | None


@_tagged(61)
@frozen
class NoSink(Message):
    """The registry had nobody to give that delivery to."""

    sequence: int


@_tagged(62)
@frozen
class Returned(Message):
    """The app is through with a delivery; ``detail`` says what failed."""

    sequence: int
    outcome: Outcome
    detail: str


@_tagged(63)
@frozen
class Settled(Message):
    """The supervisor is through with a delivery."""

    sequence: int
    channel: str
    outcome: Outcome
    detail: str
