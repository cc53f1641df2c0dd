"""The promise of a store that several nodes share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.service.registry.change_feed import ChangeFeed
from tocsin.service.registry.hub_store import EngineStore, SharedHubStore
from tocsin.service.registry.node_store import NodeStore


class SharedStore(EngineStore, Protocol):
    """All that a service keeps, and what its nodes agree by."""

    @property
    def hubs(self) -> SharedHubStore:
        """What is kept of notification hubs."""
        ...

    @property
    def nodes(self) -> NodeStore:
        """Leases, and where devices are."""
        ...

    @property
    def changes(self) -> ChangeFeed:
        """What other nodes have changed."""
        ...

    async def time(self) -> float:
        """Return what time it is for all nodes, in seconds since the epoch.

        :raises StateUnavailable: the store cannot be read.
        """
        ...

    async def unwanted_of(self, devices: Collection[str]) -> dict[str, Unwanted]:
        """Return what these devices do not want to be sent, by device, of those of them that do not want something.

        :raises StateUnavailable: the store cannot be read.
        """
        ...
