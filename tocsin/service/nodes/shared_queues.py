"""The offline queues of several nodes over one database: each in memory is a cache, by the version of its device's row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from enum import Enum, auto, unique

from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import Home, RowChange, Unchanged
from tocsin.protocol.service.offline_queue import Depths
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.standing import Standing
from tocsin.service.registry.node_store import NodeStore, SeenDevice
from tocsin.service.registry.service_store import ChannelRow, ServiceStore


@unique
class NotKept(Enum):
    """Why a notification was not stored, where another look does not help."""

    NO_ROOM = auto()
    FAILED = auto()
    """The database cannot be used; it may be there all the same."""


class SharedQueues:
    """All devices' queues at one of several nodes (``OfflineQueues``)."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        nodes: NodeStore,
        store: ServiceStore,
        standing: Standing,
        depths: Depths,
        now: Callable[[], float],
        limit: int = 1_000_000,
        recurring: RepeatLog | None = None,
    ) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write rows and read queues until the block is left; devices are closed before that."""
        raise NotImplementedError
        yield

    # For the ways of posts

    def home_of(self, device: str) -> Home | None:
        """Return what the device's connection here is called in its row, once that is written."""
        raise NotImplementedError

    async def claimed(self, device: str) -> Home | None:
        """Wait for that; None: the connection has gone, or this node's lease."""
        raise NotImplementedError

    async def look(self, device: str) -> SeenDevice:
        """Read a device anew.

        :raises StateUnavailable: it cannot be read.
        """
        raise NotImplementedError

    def known(self, device: str) -> SeenDevice | None:
        """Return what was read or written lately of a device, if that is still in memory."""
        raise NotImplementedError

    async def store(
        self, channel: ChannelRow, payload: Payload, seen: SeenDevice | None, denied: frozenset[Home]
    ) -> RowChange | Unchanged | NotKept:
        """Store a payload, where the device's row is still as it was seen; one whose id is there already is stored.

        :param seen: what that was decided from; None: it is stored under the row's lock, whatever has changed.
        :param denied: homes whose own node has said that they are no more.
        """
        raise NotImplementedError

    # For the lease's keeper

    def hold(self) -> None:
        """Let nothing go out to any device: there is no lease."""
        raise NotImplementedError

    def reclaim(self) -> None:
        """Write all connections down under the new lease, and read their queues."""
        raise NotImplementedError

    def stale(self, devices: Iterable[str]) -> None:
        """Let nothing go out to these devices until their rows and queues are read again."""
        raise NotImplementedError
