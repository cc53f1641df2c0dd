"""The offline store: what is kept for devices that are away, or may not be sent it now; the rules are protocol/service/offline_queue.py.

A device's queue is in memory while it is in use; of the others only their names are. Bodies are on disk only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from anyio import Lock
from attrs import Factory, define

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.kept_count import KeptCount
from tocsin.protocol.service.offline_queue import Depths, Entry, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import DevicesHere, entry_of
from tocsin.service.registry.service_store import ChannelRow, ServiceStore, may_be_there

LOADED = 1_024
"""Queues in memory, above which those that nothing happens to are put away."""

logger = logging.getLogger(__name__)


@define(eq=False)
class _Loaded:
    """A queue in memory; ``users`` are those that are at work on it."""

    queue: OfflineQueue
    users: int = 0


@define(eq=False)
class _Coming:
    """A queue on its way into memory; ``users`` are those that wait for it."""

    lock: Lock = Factory(partial(Lock, fast_acquire=True))
    users: int = 0


class OfflineStore:
    """All devices' queues at the only node (``OfflineQueues``); made by :meth:`load`.

    :param limit: notifications that are kept at most, for all devices together.
    """

    before_writing: Callable[[], None] | None = None

    def __init__(
        self,
        store: ServiceStore,
        depths: Depths,
        now: Callable[[], float],
        limit: int = 1_000_000,
        recurring: RepeatLog | None = None,
    ) -> None:
        self.counts: Counter[Phase] = Counter()
        """How many stored notifications have ended how, since the service was opened."""
        self._kept = KeptCount()
        self._limit = limit
        self._store = store
        self._depths = depths
        self.now = now
        self.recurring = recurring or RepeatLog()
        """Says what fails again and again."""
        self._sequence = 0
        self._loaded: dict[str, _Loaded] = {}
        self._away: dict[str, int] = {}  # devices whose queues are on disk only, with the lengths of these
        self._coming: dict[str, _Coming] = {}

    @classmethod
    async def load(
        cls,
        store: ServiceStore,
        depths: Depths,
        now: Callable[[], float],
        limit: int = 1_000_000,
        recurring: RepeatLog | None = None,
    ) -> OfflineStore:
        """Find which devices have something stored, and erase what has expired or lost its channel.

        :raises StateUnavailable: the store cannot be used.
        """
        offline = cls(store, depths, now, limit, recurring)
        expired, ended = await store.prune_stored(now())
        offline.counts.update({Phase.EXPIRED: expired, Phase.CHANNEL_ENDED: ended})
        offline._sequence = await store.last_stored()
        offline._away = await store.count_stored()
        offline._kept = KeptCount(*await store.total_stored())
        return offline

    @property
    def kept(self) -> int:
        """How many are stored now, or are being stored."""
        return self._kept.total

    @property
    def kept_messages(self) -> int:
        """How many of these are messages of Web Push."""
        return self._kept.messages

    async def prune(self) -> None:
        """Erase what has expired or lost its channel, of all devices."""
        spent = await self._store.devices_with_spent(self.now())
        there = await self._store.count_stored()
        removed = [device for device, count in self._away.items() if there.get(device) != count]  # with their apps
        for device in (*spent, *removed):
            await self.expire(device)

    def serve(self, here: DevicesHere) -> None:
        """Tell nothing: what changes a queue is of this node, and says so itself."""

    def arrived(self, device: str) -> None:
        """Do nothing: there is no other node that has to know."""

    def is_read(self, device: str) -> bool:
        """Tell that a connection may be sent what there is; a queue that is not in memory is brought there first."""
        del device
        return True

    def unreadable(self, device: str) -> None:
        """Leave it to the next look."""

    def has(self, device: str) -> bool:
        """Tell whether something is stored for a device, or is being stored."""
        return device in self._loaded or device in self._away

    def of(self, device: str) -> OfflineQueue | None:
        """Return a device's queue, if it is in memory."""
        loaded = self._loaded.get(device)
        return None if loaded is None else loaded.queue

    async def attend(self, device: str) -> OfflineQueue:
        """Bring a device's queue into memory, and keep it there until :meth:`leave`."""
        if device in self._away:
            await self._bring(device)
        loaded = self._loaded.get(device)
        if loaded is None:
            loaded = self._loaded[device] = _Loaded(OfflineQueue(self._depths))
        loaded.users += 1
        return loaded.queue

    def leave(self, device: str) -> None:
        """Put a queue away if it is empty, or if too many are in memory."""
        self._loaded[device].users -= 1
        if not self._put_away(device, only_empty=True) and len(self._loaded) > LOADED:
            oldest = next(iter(self._loaded))
            if not self._put_away(oldest, only_empty=False):
                self._loaded[oldest] = self._loaded.pop(oldest)

    async def keep(self, channel: ChannelRow, payload: Payload, admitted: Callable[[Entry], None]) -> bool:
        """Store a payload; when this returns True, it is on disk. False: there is no room for one more.

        :param admitted: called when it has its place in the queue, before it is written.
        """
        device = channel.device
        queue = await self.attend(device)
        try:
            if queue.held([payload.id]):  # a hub that was killed sends again what it had not written down
                return True
            self._sequence += 1
            entry = entry_of(self._sequence, channel, payload, self.now())
            queue.expire(entry.received)
            if not self._kept.has_room(entry.type, self._limit) and not queue.takes_a_place(entry):
                return False
            replaced = queue.admit(entry)
            self._kept.add(entry.type)
            admitted(entry)
            erase = self._take_erased(queue)
            try:
                await self._store.add_stored(device, entry, payload.body, [*erase, *replaced])
            except BaseException as failure:
                if may_be_there(failure):
                    erase.append(entry.sequence)  # its sender was not told that it is there, and will send it again
                queue.erase += erase  # it is done with the next
                queue.failed(entry)
                raise
            queue.committed(entry)
            if queue.erase:  # the oldest, which had to make room; that this one is stored does not depend on it
                await self._try_change(device, lambda _: None)
            return True
        finally:
            self._count(queue)
            self.leave(device)

    async def bodies(self, entries: Sequence[Entry]) -> dict[int, bytes]:
        """Return the bodies of stored notifications, by sequence number."""
        return await self._store.stored_bodies([entry.sequence for entry in entries])

    async def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """Erase what the device has committed; ids that are not stored are passed over.

        Where that fails they may be sent once more after a restart; the device knows their ids again.
        """
        queue = self.of(device)
        entries = [] if queue is None else queue.held(ids)
        if entries:
            await self._try_change(device, lambda queue: queue.acknowledge(entries))

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Erase the toasts of a channel that its sender deletes."""
        if self.has(channel.device):
            await self._change(channel.device, lambda queue: queue.withdraw(channel.name, match))

    async def withdraw_message(self, channel: ChannelRow, id: str) -> bool:  # noqa: A002 - the field's name
        """Erase a message of Web Push that its sender deletes; tell whether it waited here."""
        found: list[bool] = []
        if self.has(channel.device):
            await self._change(channel.device, lambda queue: found.append(queue.withdraw_message(channel.name, id)))
        return any(found)

    async def end_channels(self, device: str, names: Sequence[str]) -> None:
        """Erase what belongs to channels that were revoked; where that fails, it is done at the next start."""
        if names and self.has(device):
            await self._try_change(
                device, lambda queue: queue.end(each for each in queue.entries.values() if each.channel in names)
            )

    async def expire(self, device: str) -> None:
        """Erase what has expired or lost its channel."""
        await self._change(device, lambda queue: queue.expire(self.now()))

    async def lose(self, device: str, entries: Iterable[Entry]) -> None:
        """Let go of what turned out not to be on disk any more: its app was removed."""
        await self._change(device, lambda queue: queue.lose(entries))

    def take_back(self, device: str, ids: Sequence[str]) -> None:
        """Note that these notifications were queued for the device but not sent."""
        queue = self.of(device)
        if queue is not None:
            queue.take_back(ids)

    def connection_lost(self, device: str) -> None:
        """Nothing is on its way to that device any more."""
        queue = self.of(device)
        if queue is not None:
            queue.connection_lost()

    async def _change(self, device: str, change: Callable[[OfflineQueue], None]) -> None:
        """Change a queue, and erase the rows of what ended; where that fails now, it is done with the next change."""
        queue = await self.attend(device)
        try:
            change(queue)
            self._count(queue)
            erase = self._take_erased(queue)
            if erase:
                try:
                    await self._store.erase_stored(erase)
                except BaseException:
                    queue.erase += erase
                    raise
        finally:
            self.leave(device)

    async def _try_change(self, device: str, change: Callable[[OfflineQueue], None]) -> None:
        try:
            await self._change(device, change)
        except StateUnavailable as failure:
            text = "what ended could not be erased yet: %s"
            self.recurring.log(logger, logging.WARNING, "erase", text, failure)

    async def _bring(self, device: str) -> None:
        """Load a queue from the store; its callers go on in the order in which they came."""
        coming = self._coming.setdefault(device, _Coming())
        coming.users += 1
        try:
            async with coming.lock:
                if device in self._away:
                    await self._load_queue(device)
        finally:
            coming.users -= 1
            if not coming.users:
                del self._coming[device]

    async def _load_queue(self, device: str) -> None:
        queue = OfflineQueue(self._depths)
        entries = await self._store.stored(device)
        self._kept.total += len(entries) - self._away[device]  # what was removed with an app was none of Web Push
        for entry in entries:
            queue.erase += queue.admit(entry)  # the depths may have been larger when it was stored
            queue.committed(entry)
        self._count(queue)
        self._loaded[device] = _Loaded(queue)
        del self._away[device]

    def _put_away(self, device: str, *, only_empty: bool) -> bool:
        loaded = self._loaded[device]
        idle = not loaded.users and not loaded.queue.erase
        if idle and (not only_empty or not loaded.queue.entries):
            del self._loaded[device]
            if loaded.queue.entries:
                self._away[device] = len(loaded.queue.entries)
            return True
        return False

    def _take_erased(self, queue: OfflineQueue) -> list[int]:
        erase, queue.erase = queue.erase, []
        return erase

    def _count(self, queue: OfflineQueue) -> None:
        self.counts.update(queue.ended)
        self._kept.take_off(queue)
        queue.forget_ended()
