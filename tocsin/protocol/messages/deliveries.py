"""A payload's way down to its app, its outcome's way up, and its cancellation."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.activation import CancellationReason
from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.values import DropReason, NotificationType, Outcome


@tagged(60)
@frozen
class Delivery(Message):
    """A payload on its way to a handler: the router's frame goes on unchanged to supervisor, registry and app.

    ``sequence`` is its place in the inbox, ``attempt`` counts from 1.
    """

    sequence: int
    app: str
    channel: str
    id: str
    type: NotificationType
    body: bytes
    attempt: int
    expires: float | None


@tagged(61)
@frozen
class NoSink(Message):
    """The registry had nobody to give that delivery to."""

    sequence: int


@tagged(62)
@frozen
class Returned(Message):
    """The app is through with a delivery; ``detail`` says what failed, ``attempt`` which time it was handed out."""

    sequence: int
    outcome: Outcome
    detail: str
    attempt: int


@tagged(63)
@frozen
class Settled(Message):
    """The supervisor is through with a delivery."""

    sequence: int
    channel: str
    outcome: Outcome
    reason: DropReason | None
    detail: str


@tagged(64)
@frozen
class Parked(Message):
    """A payload waits for the background: it is on its way no more, but has not ended."""

    sequence: int
    channel: str


@tagged(65)
@frozen
class Activation(Message):
    """Background work begins: the payload's own frame, for the session that does the work."""

    sequence: int
    session: str
    delivery: bytes


@tagged(66)
@frozen
class CancelDelivery(Message):
    """The app is told that the work on a payload is cancelled."""

    sequence: int
    reason: CancellationReason


@tagged(67)
@frozen
class AbortDelivery(Message):
    """The work on a payload is cut off; the answer is ``Returned``."""

    sequence: int
