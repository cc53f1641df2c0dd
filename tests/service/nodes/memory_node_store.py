"""The promise of what nodes share, kept in memory by the rules themselves: what the database's must agree with."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import defaultdict
from collections.abc import Callable, Collection
from itertools import count

import anyio.lowlevel
from attrs import Factory, define, evolve, field

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes import device_row, lease_row
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, Home, RowChange, RowWriter, Unchanged
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.protocol.service.offline_queue import Entry
from tocsin.service.registry.node_store import QueueChange, Renewed, SeenDevice, Wake


@define(eq=False)
class MemoryNodeStore:
    """What all nodes of a test share; ``now`` is its clock, and ``length`` that of a lease. While ``gone`` nothing can be read or written."""

    now: Callable[[], float]
    length: float = 3.0
    gone: bool = False
    rows: dict[str, DeviceRow] = Factory(dict)
    queues: dict[str, dict[int, Entry]] = Factory(dict)
    bodies: dict[int, bytes] = Factory(dict)
    leases: dict[str, LeaseRow] = Factory(dict)
    wakes: dict[int, dict[str, int]] = field(init=False, default=Factory(lambda: defaultdict(dict)))
    authority: bytes | None = None
    _drawn: count[int] = Factory(lambda: count(1))
    _blocks: count[int] = Factory(lambda: count(1, BlockNumbers().size))

    def is_good(self, number: int) -> bool:
        """Tell whether a lease is good."""
        return any(each.number == number and each.is_good(self.now()) for each in self.leases.values())

    async def join(self, asked: Joining) -> Renewed | NotGranted:
        """Give a lease."""
        await self._travel()
        given = lease_row.join(self.leases.get(asked.node), asked, next(self._drawn), self.now(), self.length)
        return self._given(given)

    async def renew(self, lease: LeaseRow, read: Collection[Wake], *, draining: bool) -> Renewed | NotGranted:
        """Give more of a lease."""
        await self._travel()
        given = lease_row.renew(self.leases.get(lease.node), lease, self.now(), self.length, draining=draining)
        if isinstance(given, LeaseRow):
            wakes = self.wakes[lease.number]
            for each in read:
                if wakes.get(each.device) == each.version:
                    del wakes[each.device]
        return self._given(given)

    def _given(self, given: LeaseRow | NotGranted) -> Renewed | NotGranted:
        if not isinstance(given, LeaseRow):
            return given
        self.leases[given.node] = given
        good = [each for each in self.leases.values() if each.is_good(self.now())]
        wakes = frozenset(Wake(device, version) for device, version in self.wakes[given.number].items())
        others = tuple(each for each in good if each.number != given.number)
        return Renewed(given, wakes, others, min(each.number for each in good) == given.number)

    async def release(self, lease: int) -> None:
        """Let a lease be over."""
        await self._travel()
        for each in self.leases.values():
            if each.number == lease:
                self.leases[each.node] = evolve(each, until=self.now())

    async def draw_block(self) -> int:
        """Draw a block."""
        await self._travel()
        return next(self._blocks)

    def look(self, device: str) -> Future[SeenDevice]:
        """Read a device."""
        return asyncio.ensure_future(self._look(device))

    async def _look(self, device: str) -> SeenDevice:
        await self._travel()
        return self._seen(device)

    def _seen(self, device: str) -> SeenDevice:
        row = self.rows.get(device, ABSENT)
        at = next(
            (
                each
                for each in self.leases.values()
                if row.home is not None and each.number == row.home.lease and each.is_good(self.now())
            ),
            None,
        )
        entries = sorted(self.queues.get(device, {}).values(), key=lambda entry: entry.sequence)
        return SeenDevice(row, tuple(_as_read(entry) for entry in entries), at)

    async def connect(self, device: str, lease: int) -> RowChange | Unchanged:
        """Write down that a device is connected."""
        await self._travel()
        return self._change(device, lease, device_row.connect)

    async def reclaim(self, device: str, was: Home, lease: int) -> RowChange | Unchanged:
        """Write down a connection that was held."""
        await self._travel()
        return self._change(device, lease, lambda row, by: device_row.reclaim(row, was, by))

    async def clear(self, device: str, home: Home, lease: int) -> RowChange | Unchanged:
        """Write down that a connection is no more."""
        await self._travel()
        return self._change(device, lease, lambda row, by: device_row.clear(row, home, by))

    def change_queue(
        self, device: str, decided_from: int, change: QueueChange, lease: int
    ) -> Future[RowChange | Unchanged]:
        """Change what is stored for a device."""
        return asyncio.ensure_future(self._change_queue(device, decided_from, change, lease))

    async def _change_queue(
        self, device: str, decided_from: int, change: QueueChange, lease: int
    ) -> RowChange | Unchanged:
        await self._travel()
        changed = self._change(device, lease, lambda row, by: device_row.change(row, decided_from, by, change.denied))
        if isinstance(changed, RowChange):
            self._write(device, change)
        return changed

    async def change_queue_locked(
        self, device: str, decide: Callable[[SeenDevice, int], QueueChange], lease: int
    ) -> RowChange | Unchanged:
        """Change what is stored for a device by what is there."""
        await self._travel()
        change = decide(self._seen(device), next(self._blocks))
        changed = self._change(device, lease, lambda row, by: device_row.change(row, None, by, change.denied))
        if isinstance(changed, RowChange):
            self._write(device, change)
        return changed

    async def forget_devices(self, after: str) -> str | None:
        """Erase rows of devices that are nowhere, and for which nothing is stored; channels are none of this store."""
        await self._travel()
        those = sorted(device for device in self.rows if device > after)
        for device in those:
            home = self.rows[device].home
            if not self.queues.get(device) and (home is None or not self.is_good(home.lease)):
                del self.rows[device]
        return those[-1] if those else None

    async def keep_authority(self, made: bytes) -> bytes:
        """Keep an authority where there is none."""
        await self._travel()
        self.authority = self.authority or made
        return self.authority

    async def stored_bodies(self, sequences: Collection[int]) -> dict[int, bytes]:
        """Return the bodies of those that are there, as the service's store does."""
        await self._travel()
        return {sequence: self.bodies[sequence] for sequence in sequences if sequence in self.bodies}

    async def _travel(self) -> None:
        if self.gone:
            raise StateUnavailable("the database is gone")
        await anyio.lowlevel.checkpoint()
        if self.gone:
            raise StateUnavailable("the database has gone meanwhile", in_doubt=True)

    def _change(
        self, device: str, lease: int, rule: Callable[[DeviceRow, RowWriter], RowChange | Unchanged]
    ) -> RowChange | Unchanged:
        others = [number for number, wakes in self.wakes.items() if number != lease and device in wakes]
        by = RowWriter(lease, next(self._drawn), self.is_good, any(map(self.is_good, others)))
        changed = rule(self.rows.get(device, ABSENT), by)
        if isinstance(changed, RowChange):
            self.rows[device] = changed.row
            if changed.wake is not None:
                self.wakes[changed.wake][device] = changed.row.version
        return changed

    def _write(self, device: str, change: QueueChange) -> None:
        queue = self.queues.setdefault(device, {})
        for sequence in change.erase:
            queue.pop(sequence, None)
            self.bodies.pop(sequence, None)
        for entry, body in change.add:
            assert entry.sequence not in self.bodies, "its sequence number is in use"
            queue[entry.sequence], self.bodies[entry.sequence] = entry, body


def _as_read(entry: Entry) -> Entry:
    """Return what a store knows of an entry: nothing of its life in memory."""
    return Entry(
        *(entry.sequence, entry.id, entry.channel, entry.app, entry.type, entry.tag, entry.group, entry.priority),
        *(entry.received, entry.expires, entry.ends, entry.suppress_popup),
    )
