"""Storing a notification for a device that is away, or that its connection did not bring it to: once, and in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum, auto, unique

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
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
        self, channel: ChannelRow, payload: Payload, seen: SeenDevice | None, denied: frozenset[Home]
    ) -> RowChange | Unchanged | NotKept:
        """Store a payload, as :meth:`SharedQueues.store` says."""
        known = self._known.attend(channel.device)
        try:
            async with known.turn():
                if seen is None:
                    return await self._store_locked(known, channel, payload, denied)
                if not _goes_on_from(known, seen):
                    return Unchanged.MOVED
                if known.queue.held([payload.id]):
                    return RowChange(known.row)
                number = await self._changes.number_for(known)
                admitted = self._admit(known, number, channel, payload)
                if admitted is None:
                    return NotKept.NO_ROOM
                entry, erase = admitted
                changed = await self._changes.write(known, QueueChange(((entry, payload.body),), erase, denied))
                return self._stored(known, entry, changed)
        except StateUnavailable as failure:
            self._recurring.log(logger, logging.WARNING, "keep", "a notification could not be stored: %s", failure)
            self._changes.counts[Phase.NOT_STORED] += 1
            return NotKept.FAILED
        finally:
            self._known.leave(known)

    async def _store_locked(
        self, known: CachedDevice, channel: ChannelRow, payload: Payload, denied: frozenset[Home]
    ) -> RowChange | Unchanged | NotKept:
        admitted: tuple[Entry, tuple[int, ...]] | None = None
        is_held = False

        def decide(seen: SeenDevice, first: int) -> QueueChange:
            nonlocal admitted, is_held
            known.take(seen)
            number, is_held = self._changes.number_of(first), bool(known.queue.held([payload.id]))
            admitted = None if is_held else self._admit(known, number, channel, payload)
            if admitted is None:
                return QueueChange(denied=denied)
            return QueueChange(((admitted[0], payload.body),), admitted[1], denied)

        changed = await self._changes.write(known, decide)
        if admitted is not None:
            return self._stored(known, admitted[0], changed)
        return changed if is_held or isinstance(changed, Unchanged) else NotKept.NO_ROOM

    def _admit(
        self, known: CachedDevice, number: int, channel: ChannelRow, payload: Payload
    ) -> tuple[Entry, tuple[int, ...]] | None:
        """Give a payload its place in the queue, before whatever comes later; return with it what is erased. None: there is no room."""
        queue, entry = known.queue, entry_of(number, channel, payload, self._now())
        queue.expire(entry.received)
        if self._changes.kept >= self._limit and not queue.takes_a_place(entry):
            return None
        replaced = queue.admit(entry)
        queue.make_room_for(entry)
        entry.sent = self._claims.here.may_acknowledge(known.name, entry.id)
        self._claims.saw(known)
        return entry, (*taken(queue), *replaced)

    def _stored(
        self, known: CachedDevice, entry: Entry, changed: RowChange | Unchanged
    ) -> RowChange | Unchanged | NotKept:
        if isinstance(changed, RowChange):
            self._changes.kept += 1
            known.queue.committed(entry)
            self._changes.count(known)
            self._claims.saw(known)
        return changed


def _goes_on_from(known: CachedDevice, seen: SeenDevice) -> bool:
    """Take over what was seen, if that is news; False: what is known is newer, and tells of another place of the device."""
    if known.is_current and known.row.version >= seen.row.version:
        return known.row.home in {seen.row.home, None}
    if known.row.version > seen.row.version:
        return False
    known.take(seen)
    return True
