"""Storing a notification for a device that is away, or that its connection did not bring it to: once, and in its place."""

from __future__ import annotations

import logging
from asyncio import Future
from collections.abc import Callable, Sequence
from enum import Enum, auto, unique

from attrs import Factory, define

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.kept_count import KeptCount
from tocsin.protocol.service.nodes.device_row import Home, RowChange, Unchanged
from tocsin.protocol.service.offline_queue import Entry, Phase
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import entry_of
from tocsin.service.nodes.claims import Claims
from tocsin.service.nodes.known_devices import CachedDevice, KnownDevices
from tocsin.service.nodes.queue_changes import QueueChanges, taken
from tocsin.service.registry.node_store import QueueChange, SeenDevice
from tocsin.service.registry.service_store import ChannelRow

logger = logging.getLogger(__name__)


@unique
class NotKept(Enum):
    """Why a notification was not stored, where another look does not help."""

    NO_ROOM = auto()
    FAILED = auto()
    """The database cannot be used; it may be there all the same."""


Kept = RowChange | Unchanged | NotKept
"""What becomes of a notification that is to be stored."""


@define(eq=False)
class BegunStore:
    """What is being stored for one device. ``results`` are of each notification; None: it is in ``entries``, and has what the write comes to."""

    known: CachedDevice
    results: list[Kept | None] = Factory(list)
    entries: list[Entry] = Factory(list)
    writing: Future[RowChange | Unchanged] | None = None


class Storing:
    """Stores notifications, for all devices.

    :param limit: how many are kept at most.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the queues' parts
        self,
        known: KnownDevices,
        changes: QueueChanges,
        claims: Claims,
        now: Callable[[], float],
        limit: int,
        recurring: RepeatLog,
    ) -> None:
        self._known = known
        self._changes = changes
        self._claims = claims
        self._now = now
        self._limit = limit
        self._recurring = recurring

    async def store(
        self,
        channel: ChannelRow,
        payload: Payload,
        seen: SeenDevice | None,
        denied: frozenset[Home],
        until: float | None = None,
    ) -> Kept:
        """Store a payload, as :meth:`SharedQueues.store` says."""
        known = self._known.attend(channel.device)
        try:
            async with known.turn(until):
                if seen is None:
                    return await self._store_locked(known, channel, payload, denied)
                if not _goes_on_from(known, seen):
                    return Unchanged.MOVED
                return (await self.stored(await self.begin(known, [(channel, payload)], denied)))[0]
        except StateUnavailable as failure:
            return self.failed(failure)
        finally:
            self._known.leave(known)

    async def begin(
        self, known: CachedDevice, posts: Sequence[tuple[ChannelRow, Payload]], denied: frozenset[Home]
    ) -> BegunStore:
        """Give payloads their places in the queue of a device that is current, and begin to write them together, for :meth:`stored`.

        Its caller holds the device's lock until then.

        :raises StateUnavailable: nothing was begun.
        """
        numbers, last = [], next(reversed(known.queue.entries), 0)
        for _ in posts:
            last = await self._changes.number_above(last)
            numbers.append(last)
        begun = BegunStore(known)
        add: dict[int, tuple[Entry, bytes]] = {}
        erase: list[int] = []
        more = KeptCount()  # than are kept, once those before are stored
        for number, (channel, payload) in zip(numbers, posts, strict=True):
            held = known.queue.held([payload.id])
            if held:
                begun.results.append(None if held[0].sequence in add else RowChange(known.row))
                continue
            admitted = self._admit(known, number, channel, payload, more)
            begun.results.append(NotKept.NO_ROOM if admitted is None else None)
            if admitted is not None:
                add[number] = admitted[0], payload.body
                begun.entries.append(admitted[0])
                erase += admitted[1]
                more = _count(begun.entries)
                more.take_off(known.queue)
        if add:
            erase += taken(known.queue)  # what has expired for one without room
            # What gives way to another of these at once never gets there.
            there = tuple(each for number, each in add.items() if number not in erase)
            change = QueueChange(there, tuple(sequence for sequence in erase if sequence not in add), denied)
            begun.writing = self._changes.begin(known, change)
        return begun

    async def stored(self, begun: BegunStore) -> list[Kept]:
        """Wait for what was begun, and return what became of each payload.

        :raises StateUnavailable: it may be written or not.
        """
        changed: Kept = NotKept.FAILED
        if begun.writing is not None:
            changed = self._stored(begun.known, begun.entries, await self._changes.written(begun.known, begun.writing))
        return [changed if result is None else result for result in begun.results]

    def failed(self, failure: StateUnavailable) -> NotKept:
        """Tell what becomes of a payload whose writing has failed, and log it."""
        self._recurring.log(logger, logging.WARNING, "keep", "a notification could not be stored: %s", failure)
        self._changes.counts[Phase.NOT_STORED] += 1
        return NotKept.FAILED

    async def _store_locked(
        self, known: CachedDevice, channel: ChannelRow, payload: Payload, denied: frozenset[Home]
    ) -> Kept:
        admitted: tuple[Entry, tuple[int, ...]] | None = None
        is_held = False

        def decide(seen: SeenDevice, first: int) -> QueueChange:
            nonlocal admitted, is_held
            known.take(seen)
            number, is_held = self._changes.number_of(first), bool(known.queue.held([payload.id]))
            admitted = None if is_held else self._admit(known, number, channel, payload, KeptCount())
            if admitted is None:
                return QueueChange(denied=denied)
            return QueueChange(((admitted[0], payload.body),), admitted[1], denied)

        changed = await self._changes.write(known, decide)
        if admitted is not None:
            return self._stored(known, [admitted[0]], changed)
        return changed if is_held or isinstance(changed, Unchanged) else NotKept.NO_ROOM

    def _admit(
        self, known: CachedDevice, number: int, channel: ChannelRow, payload: Payload, more: KeptCount
    ) -> tuple[Entry, tuple[int, ...]] | None:
        """Give a payload its place in the queue, before whatever comes later; return with it what is erased. None: there is no room."""
        queue, entry = known.queue, entry_of(number, channel, payload, self._now())
        queue.expire(entry.received)
        if not self._changes.has_room(entry.type, self._limit, more) and not queue.takes_a_place(entry):
            return None
        replaced = queue.admit(entry)
        queue.make_room_for(entry)
        entry.sent = self._claims.here.may_acknowledge(known.name, entry.id)
        self._claims.saw(known)
        return entry, (*taken(queue), *replaced)

    def _stored(self, known: CachedDevice, entries: Sequence[Entry], changed: RowChange | Unchanged) -> Kept:
        if isinstance(changed, RowChange):
            for entry in entries:
                self._changes.kept.add(entry.type)
                known.queue.committed(entry)
            self._changes.count(known)
            self._claims.saw(known)
        return changed


def _count(entries: Sequence[Entry]) -> KeptCount:
    count = KeptCount()
    for entry in entries:
        count.add(entry.type)
    return count


def _goes_on_from(known: CachedDevice, seen: SeenDevice) -> bool:
    """Take over what was seen, if that is news; False: what is known is newer, and tells of another place of the device."""
    if known.is_current and known.row.version >= seen.row.version:
        return known.row.home in {seen.row.home, None}
    if known.row.version > seen.row.version:
        return False
    known.take(seen)
    return True
