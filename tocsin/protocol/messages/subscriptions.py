"""Who takes payloads: sessions in the foreground, activators in the background."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.activation import SystemConditionType


@tagged(54)
@frozen
class Subscribe(Message):
    """A session of the app takes the payloads of a channel from now on; the last one to say so wins."""

    channel: str


@tagged(55)
@frozen
class Unsubscribe(Message):
    """The session takes no more payloads of that channel."""

    channel: str


@tagged(52)
@frozen
class ChannelSubscribed(Message):
    """A session of the app takes the payloads of that channel."""

    app: str
    channel: str


@tagged(53)
@frozen
class ChannelUnsubscribed(Message):
    """No session of the app takes the payloads of that channel any more."""

    app: str
    channel: str


@tagged(79)
@frozen
class Holding(Message):
    """A session that comes to another agent is still doing the background work of these payloads: it is to have them again."""

    sequences: tuple[int, ...]


@tagged(111)
@frozen
class Resumed(Message):
    """A session that comes to another agent has told it all that it must know; no process of its app was launched until then."""


@tagged(70)
@frozen
class RegisterActivator(Message):
    """A session registers activators of its app; ``command`` is a packed ``Command`` that starts the app, or empty."""

    request: int
    packaged: bool
    activators: int
    clsid: str
    conditions: tuple[SystemConditionType, ...]
    cancel_on_condition_loss: bool
    has_handler: bool
    command: bytes


@tagged(71)
@frozen
class UnregisterActivators(Message):
    """A session unregisters activators of its app; with ``every`` all of them, those of other sessions too."""

    request: int
    activators: int
    every: bool


@tagged(72)
@frozen
class ActivatorChanged(Message):
    """What wakes an app in the background: whether a trigger does, and the session that does the work, or empty.

    ``command``, packed, starts a process to do it; it is empty where none can be started.
    """

    app: str
    triggered: bool
    session: str
    conditions: tuple[SystemConditionType, ...]
    cancel_on_condition_loss: bool
    aborted: bool
    command: bytes


@tagged(73)
@frozen
class AppReady(Message):
    """Whether a session is there to do an app's background work."""

    app: str
    ready: bool


@tagged(74)
@frozen
class LeaveSession(Message):
    """A session begins nothing more: its subscriptions and classes are gone, its triggers stay."""
