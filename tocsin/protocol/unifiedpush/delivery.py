"""What the result of a delivery to a connector means, and when the next one is tried.

A push is acknowledged by the connector that returns its id (version 2). Version 1 returns nothing: there a push is delivered once it has
gone to a process of the app. What was not delivered is kept, and comes again with the same id, unless its sender wants it delivered
now or never.

Source: UnifiedPush, D-Bus specification 0.2 and 0.3; RFC 8030 section 5.2; the names of errors are those of the D-Bus specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final

from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.platform.activation import BUDGET
from tocsin.protocol.webpush.codings import AES128GCM

PATIENCE: Final = BUDGET - 10.0
"""Seconds in which an app is started, called and heard: within the budget of a handler, so that the push goes back by its own choice."""

NOW: Final = BUDGET
"""Seconds for which it is now: what waits longer, behind others or for power, is too late where it was for now or never."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
"""Seconds after which a push that was not taken is tried again: doubled each time; an app that comes ends the wait."""

READABLE: Final = AES128GCM
"""The only coding that connectors decrypt (RFC 8291); what comes in another, or empty, is dropped, and counted."""

_NO_APP: Final = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
)


class Delivery(Enum):
    """What has become of a push that was carried to its app."""

    ACKNOWLEDGED = auto()
    KEPT = auto()
    """The app has not taken it: it comes again."""
    ABSENT = auto()
    """There is no app: its name has no owner, and no file starts it. It comes again when there is one."""
    DROPPED = auto()
    """It was for now or never, and the app has not taken it now."""


def delivery_of_answer(message_id: str, signature: str, body: Sequence[Any]) -> Delivery:
    """Decide what an answer to ``Message`` of version 2 means."""
    if signature != "a{sv}" or not body:
        return Delivery.KEPT
    returned = body[0].get("id")
    return Delivery.ACKNOWLEDGED if returned == ("s", message_id) else Delivery.KEPT


def delivery_of_error(name: str) -> Delivery:
    """Decide what an error means, by its name; the calls are those of ``Message`` and of the start of an app."""
    return Delivery.ABSENT if name in _NO_APP else Delivery.KEPT


def is_now_or_never(expires: float | None) -> bool:
    """Tell whether a push is to be delivered now or never: its sender has said TTL 0, since with any other it expires some day.

    A dead letter that its user has tried again does not expire either, and is for now as well.
    """
    return expires is None


def is_missed(age: float, there_for: float) -> bool:
    """Tell whether it is too late for a push that is for now or never.

    :param age: seconds since this device took it in.
    :param there_for: seconds for which its app has been there, and pushes are carried to it.
    """
    return age > min(there_for, NOW)


def end_of(delivery: Delivery, *, now_or_never: bool) -> Delivery:
    """Decide what becomes of a push after that delivery: one that is for now or never has no second."""
    return Delivery.DROPPED if now_or_never and delivery is not Delivery.ACKNOWLEDGED else delivery


def pause_after(failures: int) -> float:
    """Return the seconds until a push is tried again that has failed so many times in a row, from 1."""
    return backoff(FIRST_PAUSE, LONGEST_PAUSE, failures)
