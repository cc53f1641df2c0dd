"""The promise of what nodes share: leases, where each device is with what is stored for it, and what one has to tell another.

Every change is one transaction, and is written by the rules of ``tocsin.protocol.service.nodes``. Times are the database's alone: a lease is
good or over by its clock. Where a method raises ``StateUnavailable`` the change may have been written or not. A change of a queue that is asked
for once more, decided from what is read then, finds its notification there by its id; and one that connects twice is where the last one says.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Collection
from typing import Protocol

from attrs import field, frozen

from tocsin.protocol.service.nodes.device_row import DeviceRow, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.protocol.service.offline_queue import Entry


@frozen
class Wake:
    """A device whose row or queue another node has changed, and the row's version then."""

    device: str
    version: int


@frozen
class Renewed:
    """A lease that goes on: its wakes are read behind the moment from which it counts.

    ``others`` are the other leases that are good. ``is_first`` says that this lease is the oldest of all that are good: its node does what one
    of them does for all, as long as its lease is good by its own clock.
    """

    lease: LeaseRow
    wakes: frozenset[Wake]
    others: tuple[LeaseRow, ...]
    is_first: bool


@frozen
class SeenDevice:
    """A device as it was read: its row, what is stored for it, the oldest first and without the bodies, and where it is.

    ``at`` is the lease that the row's home names, where that was good when it was read.
    """

    row: DeviceRow
    entries: tuple[Entry, ...] = ()
    at: LeaseRow | None = None


@frozen
class QueueChange:
    """What becomes of what is stored for a device: ``add`` with bodies, ``erase`` by sequence number.

    :ivar denied: homes whose own node has said that they are no more; the change clears them.
    """

    add: tuple[tuple[Entry, bytes], ...] = field(default=(), repr=False)
    erase: tuple[int, ...] = ()
    denied: frozenset[Home] = frozenset()


class NodeStore(Protocol):
    """What nodes need of their database. Calls of one turn of the loop go there together.

    All methods raise ``StateUnavailable`` where it cannot be used, or not within its patience; those that return a future let it raise that,
    and begin before it is awaited.
    """

    async def join(self, asked: Joining) -> Renewed | NotGranted:
        """Give a node a lease of its own (``lease_row.join``)."""
        ...

    async def renew(self, lease: LeaseRow, read: Collection[Wake], *, draining: bool) -> Renewed | NotGranted:
        """Renew a lease (``lease_row.renew``), erase these wakes of it and read the others.

        It goes by a connection of its own: it waits behind no device's change.
        """
        ...

    async def release(self, lease: int) -> None:
        """Let a lease be over."""
        ...

    async def draw_block(self) -> int:
        """Draw a block of sequence numbers (``BlockNumbers``) and return its first."""
        ...

    def look(self, device: str) -> Future[SeenDevice]:
        """Read a device; one of which nothing is known is ``ABSENT``."""
        ...

    async def connect(self, device: str, lease: int) -> RowChange | Unchanged:
        """Write down that a device is connected (``device_row.connect``)."""
        ...

    async def reclaim(self, device: str, was: Home, lease: int) -> RowChange | Unchanged:
        """Write down a connection that was held meanwhile (``device_row.reclaim``)."""
        ...

    async def clear(self, device: str, home: Home, lease: int) -> RowChange | Unchanged:
        """Write down that a connection is no more (``device_row.clear``)."""
        ...

    def change_queue(
        self, device: str, decided_from: int, change: QueueChange, lease: int
    ) -> Future[RowChange | Unchanged]:
        """Change what is stored for a device, where its row's version is this one (``device_row.change``)."""
        ...

    async def change_queue_locked(
        self, device: str, decide: Callable[[SeenDevice, int], QueueChange], lease: int
    ) -> RowChange | Unchanged:
        """Change what is stored for a device by what is read under its row's lock.

        :param decide: is given the device, and the first of a block of numbers that was drawn behind the lock: the caller has the block.
        """
        ...

    async def forget_devices(self, after: str) -> str | None:
        """Erase rows of devices that are at no node whose lease is good, have no channels, and for which nothing is stored.

        Strangers leave one for each key under which they connect.

        :param after: the device behind which those are that are looked at; empty: the first.
        :return: the last that was looked at, behind which to go on; None where there is none.
        """
        ...

    async def keep_authority(self, made: bytes) -> bytes:
        """Return the authority of the nodes' certificates, having kept this one where there was none."""
        ...
