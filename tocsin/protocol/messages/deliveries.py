"""A payload's way down to its app, its outcome's way up, and its cancellation.

What every payload passes is sent in batches: a row a payload, in the order in which they go.
"""

from __future__ import annotations

from typing import NamedTuple

from attrs import frozen

from tocsin.protocol.messages.base import Columns, Message, tagged
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.toast_label import NO_LABEL, LabelText
from tocsin.protocol.values import DropReason, NotificationType, Outcome


class PayloadRow(NamedTuple):
    """A payload in the inbox and on its way to a handler, made once for both.

    A decoded batch, and whatever else the hot path makes, holds it as a plain tuple: see
    :mod:`tocsin.protocol.delivery.plain_rows`.

    ``sequence`` is its place in the inbox, ``attempt`` counts how often it was handed on, this time included;
    ``expires`` is in the service's time. ``received`` is when the device took it in, by its wall clock, in seconds since the
    epoch; None for one that an earlier version has kept.
    """

    sequence: int
    id: str
    type: NotificationType
    body: bytes
    attempt: int
    expires: float | None
    channel: str
    label: LabelText = NO_LABEL
    received: float | None = None


class OutcomeRow(NamedTuple):
    """The app is through with a delivery; ``detail`` says what failed, ``attempt`` which time it was handed out."""

    sequence: int
    outcome: Outcome
    detail: str
    attempt: int


class SettlementRow(NamedTuple):
    """The supervisor is through with a delivery; ``reason`` is there for one that was dropped."""

    sequence: int
    channel: str
    outcome: Outcome
    reason: DropReason | None
    detail: str


@tagged(57)
@frozen
class Deliveries(Message):
    """Payloads of one app, whatever their channels: the router's frame goes on unchanged to supervisor and app."""

    app: str
    rows: tuple[PayloadRow, ...]


@tagged(58)
@frozen
class Handled(Columns):
    """Deliveries that were handled, as most are: the app's frame goes on unchanged to supervisor and router."""

    sequences: tuple[int, ...]
    attempts: tuple[int, ...]


@tagged(75)
@frozen
class Outcomes(Message):
    """What else an app has done with its deliveries."""

    rows: tuple[OutcomeRow, ...]


@tagged(76)
@frozen
class Settlements(Message):
    """What else has become of deliveries."""

    rows: tuple[SettlementRow, ...]


@tagged(78)
@frozen
class HandledLate(Message):
    """Payloads that were handled when they were with no session of the app any more; whether they are the app's is yet to be seen."""

    app: str
    sequences: tuple[int, ...]


@tagged(64)
@frozen
class Parked(Message):
    """A payload waits for the background: it is on its way no more, but has not ended."""

    sequence: int
    channel: str


@tagged(56)
@frozen
class Activation(Message):
    """Background work begins: a frame of ``Deliveries`` with one row; ``request`` is that of the claim that it answers, or 0."""

    delivery: bytes
    request: int


@tagged(66)
@frozen
class CancelDelivery(Message):
    """The app is told that the work on a payload is cancelled."""

    sequence: int
    reason: CancellationReason


@tagged(67)
@frozen
class AbortDelivery(Message):
    """The work on a payload is cut off; the answer is its outcome."""

    sequence: int
