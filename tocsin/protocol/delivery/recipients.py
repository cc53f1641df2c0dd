"""Which type of payload goes to whom: the one table, which windows, supervisor and background queues obey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto

from tocsin.protocol.values import NotificationType


class Recipient(Enum):
    """What takes payloads."""

    FOREGROUND = auto()
    """The session of the app that has subscribed to the channel."""
    BACKGROUND = auto()
    """The app's background work, for what the foreground has not handled."""
    SHELL = auto()
    """What shows toasts, tiles and badges to the user, for what the foreground has not kept from it."""


_APP = frozenset({Recipient.FOREGROUND, Recipient.BACKGROUND})
_SHOWN = frozenset({Recipient.FOREGROUND, Recipient.SHELL})
RECIPIENTS: Mapping[str, frozenset[Recipient]] = {
    NotificationType.RAW: _APP,
    NotificationType.PUSH: _APP,
    NotificationType.TOAST: _SHOWN,
    NotificationType.TILE: _SHOWN,
    NotificationType.BADGE: _SHOWN,
}
"""The whole table."""


def goes_to(kind: str, recipient: Recipient) -> bool:
    """Tell whether payloads of a type may go there."""
    return recipient in RECIPIENTS[kind]


def withheld_from(recipient: Recipient) -> frozenset[str]:
    """Return the types of which no payload may go there: where it is empty, a batch need not be looked at."""
    return frozenset([kind for kind, recipients in RECIPIENTS.items() if recipient not in recipients])


def taken_by(present: Iterable[Recipient]) -> frozenset[str]:
    """Return the types that any of those who are present may take."""
    there = frozenset(present)
    return frozenset([kind for kind, recipients in RECIPIENTS.items() if recipients & there])
