"""Pushes that nothing can be done with yet: there is no agent, or it has no connection."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.calling.push_notification import PushNotificationDetails

MOST: Final = 32
"""Pushes that are kept, the newest."""


class KeptPushes:
    """Keeps pushes, those about the same call and of the same kind once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int], PushNotificationDetails] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, details: PushNotificationDetails) -> PushNotificationDetails | None:
        """Keep a push, in place of one that says the same; return the one that there is no room for any more."""
        key = (details.call_id, "" if details.call_id else details.context, details.event_id)
        self._kept.pop(key, None)
        self._kept[key] = details
        if len(self._kept) <= MOST:
            return None
        return self._kept.pop(next(iter(self._kept)))

    def take(self) -> list[PushNotificationDetails]:
        """Return all that are kept, the oldest first, and keep them no more."""
        kept, self._kept = list(self._kept.values()), {}
        return kept
