"""Who takes payloads: sessions in the foreground, activators in the background."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.activation import SystemConditionType


@tagged(54)
@frozen
class Subscribe(Message):
    """A session of the app takes the payloads of a channel from now on; the last one to say so wins."""

    session: str
    channel: str


@tagged(55)
@frozen
class Unsubscribe(Message):
    """The session takes no more payloads of that channel."""

    session: str
    channel: str


@tagged(52)
@frozen
class ChannelSubscribed(Message):
    """A session takes the payloads of that channel."""

    channel: str


@tagged(53)
@frozen
class ChannelUnsubscribed(Message):
    """No session takes the payloads of that channel any more."""

    channel: str


@tagged(70)
@frozen
class RegisterActivator(Message):
    """A session registers activators of its app."""

    session: str
    request: int
    app: str
    packaged: bool
    activators: int
    clsid: str
    conditions: tuple[SystemConditionType, ...]
    cancel_on_condition_loss: bool
    has_handler: bool


@tagged(71)
@frozen
class UnregisterActivators(Message):
    """A session unregisters activators of its app; with ``every`` all of them, whoever registered them."""

    session: str
    request: int
    app: str
    activators: int
    every: bool


@tagged(72)
@frozen
class ActivatorChanged(Message):
    """What wakes an app in the background: whether a trigger does, and the session that does the work, or empty."""

    app: str
    triggered: bool
    session: str
    conditions: tuple[SystemConditionType, ...]
    cancel_on_condition_loss: bool
    aborted: bool


@tagged(73)
@frozen
class AppReady(Message):
    """Whether there is somebody to do an app's background work."""

    app: str
    ready: bool


@tagged(74)
@frozen
class LeaveSession(Message):
    """A session has ended: its subscriptions are gone, its triggers stay."""

    session: str
