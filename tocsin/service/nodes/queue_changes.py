"""Changes of what is stored for devices: decided from what is known, written if that is still so, and counted."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from anyio import Lock

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.kept_count import KeptCount
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import RowChange, Unchanged
from tocsin.protocol.service.nodes.post_route import LOOKS
from tocsin.protocol.service.offline_queue import OfflineQueue, Phase
from tocsin.protocol.values import NotificationType
from tocsin.service.nodes.known_devices import CachedDevice
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.registry.node_store import NodeStore, QueueChange, SeenDevice
from tocsin.service.registry.service_store import may_be_there

_NO_LEASE: Final = "this node has no lease just now"
_NO_NUMBERS: Final = "there are no numbers for what is to be stored just now"

NEAR: Final = 100
"""The part of a limit that is left when all is counted again, so that this is done before the limit is met."""

Decide = Callable[[OfflineQueue], None]
"""Changes a queue in memory; its ``erase`` says what is to be erased."""


class QueueChanges:
    """Reads and writes devices' queues; its caller holds the device's lock.

    :param doubted: called with a device whose queue may not be what is known of it any more; and whether a change may be written yet.
    """

    def __init__(self, nodes: NodeStore, standing: NodeStanding, doubted: Callable[[str, bool], None]) -> None:
        self.counts: Counter[Phase] = Counter()
        self.kept = KeptCount()
        self.near_limit: Callable[[], None] = lambda: None
        """Called where what is kept comes near a limit: other nodes may have erased much of it."""
        self.tell: Callable[[int, str], None] = lambda _, __: None
        """Tells the node of a lease that a wake for a device was left for it; it finds out by itself, but later."""
        self._nodes = nodes
        self._standing = standing
        self._doubted = doubted
        self._numbers = BlockNumbers()
        self._drawing = Lock(fast_acquire=True)
        self._failures = 0  # to draw

    def check_lease(self) -> None:
        """See that there is a lease, before something is asked that is of no use without.

        :raises StateUnavailable: there is none.
        """
        if not self._standing.is_good():
            raise StateUnavailable(_NO_LEASE)

    async def read(self, known: CachedDevice) -> SeenDevice:
        """Read a device anew."""
        return await self.was_read(known, self.begin_read(known))

    def begin_read(self, known: CachedDevice) -> Future[SeenDevice]:
        """Begin to read a device anew, which :meth:`was_read` waits for: those that begin together go to the store together."""
        return self._nodes.look(known.name)

    async def was_read(self, known: CachedDevice, reading: Awaitable[SeenDevice]) -> SeenDevice:
        """Wait for what is read, and take it over."""
        seen = await reading
        known.take(seen)
        return seen

    async def number_above(self, last: int) -> int:
        """Return a number above this one, which is the last of a device's queue, or 0."""
        number = self._numbers.take(last)
        while number is None:
            failures = self._failures
            async with self._drawing:
                number = self._numbers.take(last)
                if number is None:
                    await self._draw(failures)
        return number

    async def _draw(self, failures: int) -> None:
        """Draw a block; who has waited while that failed does not begin anew."""
        if failures != self._failures:
            raise StateUnavailable(_NO_NUMBERS)
        self.check_lease()
        try:
            self._numbers.drew(await self._nodes.draw_block())
        except StateUnavailable:
            self._failures += 1
            raise

    def number_of(self, first: int) -> int:
        """Return a number of a block that was drawn behind a device's lock, and is above all that its queue holds."""
        self._numbers.drew(first)
        number = self._numbers.take(first - 1)
        if number is None:
            raise AssertionError("it was drawn just now")
        return number

    async def write(
        self, known: CachedDevice, change: QueueChange | Callable[[SeenDevice, int], QueueChange]
    ) -> RowChange | Unchanged:
        """Write a change that was decided from what is known; or one that is decided under the row's lock."""
        if isinstance(change, QueueChange):
            return await self.written(known, self.begin(known, change))
        if not self._standing.is_good():
            return await self.written(known, _fenced())
        locked = self._nodes.change_queue_locked(known.name, change, self._standing.lease)
        return await self.written(known, locked)

    async def written(self, known: CachedDevice, writing: Awaitable[RowChange | Unchanged]) -> RowChange | Unchanged:
        """Wait for a change that was begun, and take over what became of it."""
        try:
            changed = await writing
        except BaseException as failure:
            self.lose_sight(known, may_be_there(failure))
            raise
        if isinstance(changed, RowChange):
            known.row, known.at = changed.row, known.at if changed.row.home == known.row.home else None
            known.is_current = True
            self.woken(known.name, changed)
            self.count(known)
        else:
            self.lose_sight(known, may_be_written=False)
        return changed

    def lose_sight(self, known: CachedDevice, may_be_written: bool = True) -> None:  # noqa: FBT001, FBT002  # as the callback
        """Have a device read again before anything more of it goes out."""
        known.is_current = False
        self._doubted(known.name, may_be_written)

    def woken(self, device: str, changed: RowChange) -> None:
        """Tell the node that a change has left a wake for."""
        if changed.wake is not None:
            self.tell(changed.wake, device)

    def begin(self, known: CachedDevice, change: QueueChange) -> Future[RowChange | Unchanged]:
        """Begin to write a change, which :meth:`written` waits for: those that begin together go to the store together."""
        if not self._standing.is_good():
            return _fenced()
        return self._nodes.change_queue(known.name, known.row.version, change, self._standing.lease)

    def has_room(self, kind: NotificationType, limit: int, more: KeptCount) -> bool:
        """Tell whether one more of a kind may be kept, as far as this node knows, beside so many more that are being stored."""
        kept = KeptCount(self.kept.total + more.total, self.kept.messages + more.messages)
        if not kept.has_room(kind, limit - limit // NEAR):
            self.near_limit()
        return kept.has_room(kind, limit)

    def count(self, known: CachedDevice) -> None:
        """Count what has ended, once that is written."""
        self.counts.update(known.queue.ended)
        self.kept.take_off(known.queue)
        known.queue.forget_ended()

    async def erase(self, known: CachedDevice, decide: Decide) -> RowChange | Unchanged | None:
        """Let something of what is known end; None: there is nothing of that kind."""
        decide(known.queue)
        if not known.queue.erase:
            return None
        return await self.write(known, QueueChange(erase=taken(known.queue)))

    async def erase_surely(self, known: CachedDevice, decide: Decide) -> None:
        """Let something end of what there is, whatever others change meanwhile.

        :raises StateUnavailable: the database cannot be used, or there is no lease; it may have ended all the same.
        """
        changed: RowChange | Unchanged | None = Unchanged.MOVED
        for _ in range(LOOKS - 1):
            if changed is Unchanged.MOVED:
                self.check_lease()
                await self.read(known)
                changed = await self.erase(known, decide)
        if changed is Unchanged.MOVED:

            def decided(seen: SeenDevice, first: int) -> QueueChange:
                known.take(seen)
                self._numbers.drew(first)
                decide(known.queue)
                return QueueChange(erase=taken(known.queue))

            changed = await self.write(known, decided)
        if isinstance(changed, Unchanged):
            raise StateUnavailable(_NO_LEASE)


def _fenced() -> Future[RowChange | Unchanged]:
    fenced: Future[RowChange | Unchanged] = asyncio.get_running_loop().create_future()
    fenced.set_result(Unchanged.FENCED)
    return fenced


def taken(queue: OfflineQueue) -> tuple[int, ...]:
    """Return what is to be erased, once."""
    erase, queue.erase = tuple(queue.erase), []
    return erase
