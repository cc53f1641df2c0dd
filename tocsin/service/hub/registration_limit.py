"""How many registrations a hub may have, those that are parts of installations included."""

from __future__ import annotations

from anyio import Lock

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.service.registry.hub_store import HubRow, HubStore


class RegistrationLimit:
    """Counts what is added to hubs; what goes is found out when the limit seems to be reached.

    :param limit: registrations of one hub at most.
    """

    def __init__(self, store: HubStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._counts: dict[int, int] = {}  # by hub, at least as many as there are
        self._counting = Lock(fast_acquire=True)

    def recount(self) -> None:
        """Count anew what there is when more is added."""
        self._counts.clear()

    async def add(self, hub: HubRow, more: int) -> None:
        """Count what is about to be saved.

        :raises HubRefused: 403: the hub has no room for so many more.
        :raises StateUnavailable: they cannot be counted.
        """
        if not more:
            return
        async with self._counting:
            if self._counts.get(hub.id, self._limit) + more > self._limit:
                counts = await self._store.counts(hub.id)
                self._counts[hub.id] = there = counts.registrations + counts.parts
                if there + more > self._limit:
                    text = f"The hub has {there} of the {self._limit} registrations that it may have, and takes no {more} more."
                    raise HubRefused(HubReason.TOO_MANY_REGISTERED, text)
            self._counts[hub.id] += more
