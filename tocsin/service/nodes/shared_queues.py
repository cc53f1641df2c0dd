"""The offline queues of several nodes over one database: each in memory is a cache, by the version of its device's row.

A change is decided from what is known and written if the version is still the same; then what is in memory is what is stored. Where it was
not written, or may have been, the queue is read anew before anything more of it goes out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.kept_count import KeptCount
from tocsin.protocol.service.nodes.device_row import Home, Unchanged
from tocsin.protocol.service.nodes.post_route import LOOKS
from tocsin.protocol.service.offline_queue import Depths, Entry, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import DevicesHere
from tocsin.service.nodes.claims import AT_A_TIME, Claims
from tocsin.service.nodes.crew import Crew
from tocsin.service.nodes.device_turn import DeviceTurn
from tocsin.service.nodes.known_devices import KnownDevices
from tocsin.service.nodes.queue_changes import Decide, QueueChanges
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.nodes.storing import Kept, NotKept, Storing
from tocsin.service.registry.node_store import NodeStore, SeenDevice
from tocsin.service.registry.service_store import PATIENCE, ChannelRow, ServiceStore
from tocsin.tasks import Signal, task_group

FOUND_OUT: Final = PATIENCE + 1
"""Seconds after which a change that may have been written is found out."""

RECOUNT: Final = 3_600.0
"""Seconds after which all that is stored is counted again."""

COUNTED: Final = 5.0
"""Seconds for which a count is good enough, however near the limit is."""

logger = logging.getLogger(__name__)


class SharedQueues:
    """All devices' queues at one of several nodes (``OfflineQueues``).

    ``kept`` is about how many are stored at all nodes: they are counted now and then, and what this node does is added meanwhile; so the
    limit is one for all nodes, but not to the last notification; near the limit they are counted again. ``counts`` is what this node has ended.

    :param limit: notifications that are kept at most, for all devices together.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        nodes: NodeStore,
        store: ServiceStore,
        standing: NodeStanding,
        depths: Depths,
        now: Callable[[], float],
        limit: int = 1_000_000,
        recurring: RepeatLog | None = None,
    ) -> None:
        self.now = now
        self.recurring = recurring or RepeatLog()
        self._nodes = nodes
        self._store = store
        self._standing = standing
        self._known = KnownDevices(depths, lambda device: device in self._claims)
        self._changes = QueueChanges(nodes, standing, self._doubt)
        self._crew = Crew(AT_A_TIME)
        self._claims = Claims(nodes, standing, self._known, self._changes, self.recurring, self._crew)
        self._storing = Storing(self._known, self._changes, self._claims, now, limit, self.recurring)
        self._near = Signal()
        self._changes.near_limit = self._near.set
        self._doubtful: set[str] = set()  # devices that are looked at once more
        self._held = 0  # the lease whose end was noticed before its keeper said so

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Count what is stored, and in the end wait for rows to be written; the devices' connections are closed before that."""
        async with task_group() as tasks:
            tasks.start_soon(self._recount)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._crew.aclose(PATIENCE)

    @property
    def counts(self) -> Counter[Phase]:
        """How many stored notifications have ended how at this node, since it was opened."""
        return self._changes.counts

    @property
    def kept(self) -> int:
        """How many are stored now, about: never below none, however many end here that others have stored since it was counted."""
        return max(self._changes.kept.total, 0)

    @property
    def kept_messages(self) -> int:
        """How many of these are messages of Web Push."""
        return max(self._changes.kept.messages, 0)

    # For the ways of posts

    def tell_wakes(self, tell: Callable[[int, str], None]) -> None:
        """Have the node of a lease told at once of a device for which a wake is left for it."""
        self._changes.tell = tell

    def home_of(self, device: str) -> Home | None:
        """Return what the device's connection here is called in its row, once that is written."""
        claim = self._claims.get(device)
        return None if claim is None else claim.home

    async def claimed(self, device: str) -> Home | None:
        """Wait for that; None: the connection has gone, or this node's lease."""
        return await self._claims.home(device)

    async def look(self, device: str, until: float | None = None) -> SeenDevice:
        """Read a device anew.

        :param until: up to when its turn is waited for, as in :meth:`store`.
        :raises StateUnavailable: it cannot be read.
        """
        known = self._known.attend(device)
        try:
            async with known.turn(until):
                self._changes.check_lease()  # it may be over since, and all that wait here would ask one after the other
                seen = await self._changes.read(known)
                self._claims.saw(known)
                return seen
        finally:
            self._known.leave(known)

    def take_turn(self, device: str) -> DeviceTurn | None:
        """Take a device's turn, if none else has it; what is begun for several devices then goes to the database together."""
        return DeviceTurn.take(device, self._known, self._changes, self._claims, self._storing)

    def known(self, device: str) -> SeenDevice | None:
        """Return what was read or written lately of a device, if that is still in memory."""
        known = self._known.get(device)
        return None if known is None else known.seen

    async def store(
        self,
        channel: ChannelRow,
        payload: Payload,
        seen: SeenDevice | None,
        denied: frozenset[Home],
        until: float | None = None,
    ) -> Kept:
        """Store a payload, where the device's row is still as it was seen; one whose id is there already is stored.

        :param seen: what that was decided from; None: it is stored under the row's lock, whatever has changed.
        :param denied: homes whose own node has said that they are no more.
        :param until: the moment on the event loop's clock after which the device's turn is waited for no more.
        """
        return await self._storing.store(channel, payload, seen, denied, until)

    async def keep(self, channel: ChannelRow, payload: Payload, admitted: Callable[[Entry], None]) -> bool:
        """Store a payload wherever its device is; the queue itself tells connections of it."""
        del admitted
        stored: Kept = Unchanged.MOVED
        for look in range(LOOKS):
            if stored is Unchanged.MOVED:
                seen = None if look == LOOKS - 1 else await self.look(channel.device)
                stored = await self.store(channel, payload, seen, frozenset())
        if stored is NotKept.FAILED or isinstance(stored, Unchanged):
            raise StateUnavailable("the notification could not be stored")
        return stored is not NotKept.NO_ROOM

    # For the lease's keeper

    def hold(self) -> None:
        """Let nothing go out to any device: there is no lease."""
        self._held = self._standing.lease
        self._claims.hold()

    def reclaim(self) -> None:
        """Write all connections down under the new lease, and read their queues."""
        self._claims.reclaim()

    def stale(self, devices: Iterable[str]) -> None:
        """Let nothing go out to these devices until their rows and queues are read again."""
        for device in devices:
            self._claims.look(device)

    def before_writing(self) -> None:
        """Let nothing go out where the lease is over and its keeper does not know yet: the process stood still."""
        if not self._standing.is_good() and self._held != self._standing.lease:
            self.hold()

    # For the devices

    def serve(self, here: DevicesHere) -> None:
        """Tell these connections what changes."""
        self._claims.here = here

    def arrived(self, device: str) -> None:
        """Have a new connection written down, and its queue read."""
        self._claims.arrived(device)

    def connection_lost(self, device: str) -> None:
        """Have it written down that a connection is no more."""
        known = self._known.get(device)
        if known is not None:
            known.queue.connection_lost()
        self._claims.gone(device)

    def is_read(self, device: str) -> bool:
        """Tell whether the connection's row is written and its queue was read, and both may be gone by."""
        claim = self._claims.get(device)
        return claim is not None and claim.is_read and self._standing.is_good()

    def unreadable(self, device: str) -> None:
        """Read it again."""
        self._claims.look(device)

    def has(self, device: str) -> bool:
        """Tell whether something is stored for a device, or that is not known yet."""
        claim, known = self._claims.get(device), self._known.get(device)
        return (claim is not None and not claim.is_read) or (known is not None and bool(known.queue.entries))

    def of(self, device: str) -> OfflineQueue | None:
        """Return a device's queue, if it is in memory."""
        known = self._known.get(device)
        return None if known is None else known.queue

    async def attend(self, device: str) -> OfflineQueue:
        """Return the queue of a device that is here, and keep it in memory until :meth:`leave`."""
        return self._known.attend(device).queue

    def leave(self, device: str) -> None:
        """Let a queue be forgotten."""
        known = self._known.get(device)
        if known is not None:
            self._known.leave(known)

    async def bodies(self, entries: Sequence[Entry]) -> dict[int, bytes]:
        """Return the bodies of stored notifications, by sequence number."""
        return await self._store.stored_bodies([entry.sequence for entry in entries])

    async def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """Erase what the device has committed; where that cannot be now, it is done when its queue is read the next time."""
        claim = self._claims.get(device)
        if claim is None:
            return
        if not claim.is_read:
            claim.note_acknowledged(ids)
            return
        known = self._known.attend(device)
        try:
            async with known.lock:
                await self._claims.erase_acknowledged(claim, known, ids)
        except StateUnavailable as failure:
            self._log_not_erased(failure)
        finally:
            self._known.leave(known)

    async def acknowledge_away(self, device: str, ids: Sequence[str]) -> None:
        """Erase what a device has that is connected to no node.

        :raises StateUnavailable: it could not be erased.
        """
        await self._end_surely(device, lambda queue: queue.acknowledge(queue.held(ids)))

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Erase the toasts of a channel that its sender deletes."""
        await self._end_surely(channel.device, lambda queue: queue.withdraw(channel.name, match))

    async def withdraw_message(self, channel: ChannelRow, id: str) -> bool:  # noqa: A002 - the field's name
        """Erase a message of Web Push that its sender deletes; tell whether it waited here."""
        found: list[bool] = []  # as often as it was decided anew
        await self._end_surely(channel.device, lambda queue: found.append(queue.withdraw_message(channel.name, id)))
        return any(found[-1:])

    async def end_channels(self, device: str, names: Sequence[str]) -> None:
        """Erase what belongs to channels that were revoked; where that fails, it stays until their time is over."""
        if names:
            try:
                await self._end_surely(
                    device, lambda queue: queue.end(each for each in queue.entries.values() if each.channel in names)
                )
            except StateUnavailable as failure:
                self._log_not_erased(failure)

    async def expire(self, device: str) -> None:
        """Erase what has expired or lost its channel, of a device that is here."""
        await self._end(device, lambda queue: queue.expire(self.now()))

    async def lose(self, device: str, entries: Iterable[Entry]) -> None:
        """Let go of what turned out not to be on disk any more: its app was removed."""
        await self._end(device, lambda queue: queue.lose(entries))

    def take_back(self, device: str, ids: Sequence[str]) -> None:
        """Note that these notifications were queued for the device but not sent."""
        known = self._known.get(device)
        if known is not None:
            known.queue.take_back(ids)

    async def prune(self) -> None:
        """Erase what has expired or lost its channel, of all devices, and the rows of those of which nothing is left; one node does it for all."""
        for device in await self._store.devices_with_spent(self.now()):
            await self._end_surely(device, lambda queue: queue.expire(self.now()))
        after: str | None = ""
        while after is not None:
            after = await self._nodes.forget_devices(after)

    async def _end(self, device: str, decide: Decide) -> None:
        """Let something of what is known of a device that is here end; if that is not so any more, its queue is read again."""
        known = self._known.attend(device)
        try:
            async with known.lock:
                if known.is_current:
                    await self._changes.erase(known, decide)
        finally:
            self._known.leave(known)

    async def _end_surely(self, device: str, decide: Decide) -> None:
        known = self._known.attend(device)
        try:
            async with known.turn():
                await self._changes.erase_surely(known, decide)
                self._claims.saw(known)
        finally:
            self._known.leave(known)

    def _doubt(self, device: str, may_be_written: bool) -> None:  # noqa: FBT001  # a callback
        """Have a queue read again before more of it goes out; and once more when it is known what was written."""
        self._claims.look(device)
        if may_be_written and device in self._claims and device not in self._doubtful:
            self._doubtful.add(device)
            asyncio.get_running_loop().call_later(FOUND_OUT, self._found_out, device)

    def _found_out(self, device: str) -> None:
        self._doubtful.discard(device)
        self._claims.look(device)

    def _log_not_erased(self, failure: StateUnavailable) -> None:
        text = "what ended could not be erased yet: %s"
        self.recurring.log(logger, logging.WARNING, "erase", text, failure)

    async def _recount(self) -> None:
        """Count now and then what all nodes keep, and where that comes near the limit."""
        while True:
            try:
                self._changes.kept = KeptCount(*await self._store.total_stored())
            except StateUnavailable as failure:
                text = "what is stored could not be counted: %s"
                self.recurring.log(logger, logging.WARNING, "count", text, failure)
            await anyio.sleep(COUNTED)
            await self._near.wait_until(anyio.current_time() + RECOUNT - COUNTED)
