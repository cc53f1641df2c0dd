"""Queues of a node over the database that nodes share, as far as the ways of posts know them; a test says when a row is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from attrs import Factory, define

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.service.devices.offline_queues import entry_of
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.nodes.storing import Kept, NotKept
from tocsin.service.registry.node_store import QueueChange, SeenDevice
from tocsin.service.registry.service_store import ChannelRow

_NUMBERS = count(1)  # of all nodes of all tests


@define(eq=False)
class PlayedQueues:
    """What ``SharedQueues`` promises to the ways of posts.

    :ivar results: what storing comes to, one after the other, before it is done.
    """

    nodes: MemoryNodeStore
    standing: NodeStanding
    homes: dict[str, asyncio.Future[Home | None]] = Factory(dict)
    read: dict[str, SeenDevice] = Factory(dict)
    looks: int = 0
    results: list[Unchanged | NotKept | Exception] = Factory(list)
    stale_devices: list[str] = Factory(list)
    locked: int = 0
    untils: list[float | None] = Factory(list)
    """Up to when each look and each store would have waited for its turn."""
    _tell: Callable[[int, str], None] = lambda _, __: None

    def tell_wakes(self, tell: Callable[[int, str], None]) -> None:
        """Keep whom to tell."""
        self._tell = tell

    async def connect(self, device: str) -> None:
        """Write down that a device is here."""
        self.arrive(device)
        changed = await self.nodes.connect(device, self.standing.lease)
        assert isinstance(changed, RowChange)
        self.homes[device].set_result(changed.row.home)

    def arrive(self, device: str) -> None:
        """Let a connection be there whose row is not written yet."""
        self.homes[device] = asyncio.get_running_loop().create_future()

    def home_of(self, device: str) -> Home | None:
        """Tell it where it is written."""
        home = self.homes.get(device)
        return home.result() if home is not None and home.done() else None

    async def claimed(self, device: str) -> Home | None:
        """Wait for it."""
        return await asyncio.shield(self.homes[device])

    async def look(self, device: str, until: float | None = None) -> SeenDevice:
        """Read it."""
        self.looks += 1
        self.untils.append(until)
        self.read[device] = seen = await self.nodes.look(device)
        return seen

    def known(self, device: str) -> SeenDevice | None:
        """Return what was read."""
        return self.read.get(device)

    async def store(
        self,
        channel: ChannelRow,
        payload: Payload,
        seen: SeenDevice | None,
        denied: frozenset[Home],
        until: float | None = None,
    ) -> RowChange | Unchanged | NotKept:
        """Store a payload, unless the test says otherwise."""
        self.untils.append(until)
        if self.results:
            result = self.results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result
        added = ((entry_of(next(_NUMBERS), channel, payload, 0.0), payload.body),)
        change, lease, device = QueueChange(added, denied=denied), self.standing.lease, channel.device
        self.read.pop(device, None)
        try:
            if seen is None:
                self.locked += 1
                changed = await self.nodes.change_queue_locked(device, lambda _, __: change, lease)
            else:
                changed = await self.nodes.change_queue(device, seen.row.version, change, lease)
        except StateUnavailable:
            return NotKept.FAILED
        if isinstance(changed, RowChange) and changed.wake is not None:
            self._tell(changed.wake, device)
        return changed

    def take_turn(self, device: str) -> PlayedTurn:
        """Take a device's turn: here each step is done when it is waited for."""
        return PlayedTurn(self, device)

    def stale(self, devices: Iterable[str]) -> None:
        """Keep their names."""
        self.stale_devices += devices


@define(eq=False)
class PlayedTurn:
    """What ``DeviceTurn`` promises."""

    _queues: PlayedQueues
    _device: str
    _posts: Sequence[tuple[ChannelRow, Payload]] = ()
    _denied: frozenset[Home] = frozenset()

    def end(self) -> None:
        """Let others have it."""

    @property
    def is_current(self) -> bool:
        """Whether it was read."""
        return self._queues.known(self._device) is not None

    @property
    def row(self) -> DeviceRow:
        """What was read."""
        seen = self._queues.known(self._device)
        return ABSENT if seen is None else seen.row

    @property
    def at(self) -> LeaseRow | None:
        """Where it is."""
        seen = self._queues.known(self._device)
        return None if seen is None else seen.at

    def begin_look(self) -> None:
        """Begin nothing."""

    async def looked(self) -> SeenDevice:
        """Read it."""
        return await self._queues.look(self._device)

    async def begin_store(
        self, posts: Sequence[tuple[ChannelRow, Payload]], denied: frozenset[Home], failed: StateUnavailable | None
    ) -> None:
        """Keep what is to be stored."""
        assert failed is None
        self._posts, self._denied = posts, denied

    async def stored(self) -> list[Kept]:
        """Store it, one after the other."""
        kept: list[Kept] = []
        for channel, payload in self._posts:
            seen = self._queues.known(self._device)
            if seen is None:
                seen = await self._queues.look(self._device)
            kept.append(await self._queues.store(channel, payload, seen, self._denied))
        return kept
