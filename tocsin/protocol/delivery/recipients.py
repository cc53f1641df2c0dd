"""Which type of payload goes to whom: the one table, which the supervisor and the background queues obey."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from tocsin.protocol.values import NotificationType


class Recipient(Enum):
    """A part of an app that takes payloads."""

    FOREGROUND = auto()
    """The session that has subscribed to the channel."""
    BACKGROUND = auto()
    """The app's background work, for what the foreground has not handled."""


_APP = frozenset({Recipient.FOREGROUND, Recipient.BACKGROUND})
RECIPIENTS: Mapping[str, frozenset[Recipient]] = {
    NotificationType.RAW: _APP,
    NotificationType.TOAST: _APP,
    NotificationType.TILE: _APP,
    NotificationType.BADGE: _APP,
}
"""The whole table. Nothing shows toasts, tiles and badges yet, so that the app gets them as it gets raw payloads.

A row that leaves out the background needs more than the row: the router hands on whatever has an app whose background
work is ready, and would do so again and again.
"""


def goes_to(kind: str, recipient: Recipient) -> bool:
    """Tell whether payloads of a type may go there."""
    return recipient in RECIPIENTS[kind]


def withheld_from(recipient: Recipient) -> frozenset[str]:
    """Return the types of which no payload may go there: where it is empty, a batch need not be looked at."""
    return frozenset([kind for kind, recipients in RECIPIENTS.items() if recipient not in recipients])
