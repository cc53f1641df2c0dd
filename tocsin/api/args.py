"""What a handler gets: one payload, and the say in what becomes of it."""

from __future__ import annotations

from tocsin.protocol.messages import Delivery
from tocsin.protocol.values import NotificationType


class PushNotificationReceivedEventArgs:
    """A payload that has arrived (WinRT class of the same name)."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._handled: bool | None = None

    @property
    def payload(self) -> bytes:
        """The bytes as they were sent, 5,000 at most."""
        return self._delivery.body

    @property
    def id(self) -> str:
        """The message id that the service gave, as the sender saw it in ``X-WNS-Msg-ID``."""
        return self._delivery.id

    @property
    def type(self) -> NotificationType:
        """What kind of notification it is."""
        return self._delivery.type

    @property
    def attempt(self) -> int:
        """How often it was handed out, this time included: above 1, an earlier handler may have seen it."""
        return self._delivery.attempt

    @property
    def handled(self) -> bool:
        """Whether the app is done with it: false until a handler says so."""
        return bool(self._handled)

    @handled.setter
    def handled(self, value: bool) -> None:
        self._handled = bool(value)

    @property
    def undecided(self) -> bool:
        """Whether no handler has set ``handled`` yet, either way."""
        return self._handled is None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.type} {len(self.payload)} bytes, attempt {self.attempt}>"
