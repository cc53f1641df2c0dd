"""How many notifications are kept for devices that are away, and whether there is room for one more."""

from __future__ import annotations

from attrs import define

from tocsin.protocol.service.offline_queue import OfflineQueue
from tocsin.protocol.values import NotificationType


@define
class KeptCount:
    """So many are kept, and so many of them are messages of Web Push.

    Strangers may send these, to endpoints that any device gets: so they have half of the places, and what registered apps send has
    room whatever comes from strangers.
    """

    total: int = 0
    messages: int = 0

    def add(self, kind: NotificationType) -> None:
        """Count one more."""
        self.total += 1
        self.messages += kind is NotificationType.PUSH

    def take_off(self, queue: OfflineQueue) -> None:
        """Count those no more that have ended in a queue."""
        self.total -= queue.ended.total()
        self.messages -= queue.ended_messages.total()

    def has_room(self, kind: NotificationType, limit: int) -> bool:
        """Tell whether one more of a kind may be kept, where so many may in all."""
        has_share = kind is not NotificationType.PUSH or self.messages < max(limit // 2, 1)
        return has_share and self.total < limit
