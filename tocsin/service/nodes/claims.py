"""The devices whose connections are at this node: each is written down, and its queue read after that, before anything goes out to it.

The rules are those of ``tocsin.protocol.service.nodes.device_row``; what has been lost of its connection's row is claimed again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import partial
from random import random
from typing import Final

import anyio
from attrs import define

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.service.nodes.device_row import Home, Unchanged
from tocsin.protocol.service.offline_queue import Phase
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import DevicesHere
from tocsin.service.nodes.crew import Crew
from tocsin.service.nodes.known_devices import CachedDevice, KnownDevices
from tocsin.service.nodes.queue_changes import QueueChanges
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.registry.node_store import NodeStore
from tocsin.service.web.flags import Flag

AT_A_TIME: Final = 256
"""Rows that are written and queues that are read at a time; the others wait."""

_AGAIN: Final = 0.05, 1.0
"""Seconds until what has failed is tried again, at first and at most."""

logger = logging.getLogger(__name__)


@define(eq=False, slots=True)
class Claim:
    """A device's connection here.

    ``home`` is what its row calls it, or None; ``was`` what it called it before. While ``is_read`` is False nothing goes out. ``is_due``
    tells that it has to be read, and ``is_working`` that this is being done or waits for its turn. ``acknowledged`` is what the device has,
    and may be in its queue.
    """

    device: str
    is_open: bool = True
    home: Home | None = None
    was: Home | None = None
    is_read: bool = False
    is_due: bool = False
    is_working: bool = False
    acknowledged: set[str] | None = None
    changed: Flag | None = None
    """Set when ``home`` is there or will not be; for those who wait for that."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing has happened to it since it was read."""
        return self.is_open and not self.is_due

    def note_acknowledged(self, ids: Iterable[str]) -> None:
        """Have these erased when the queue is read the next time."""
        self.acknowledged = {*(self.acknowledged or ()), *ids}

    def tell(self) -> None:
        """Wake those who wait for the row."""
        if self.changed is not None:
            self.changed.set()
            self.changed = None


class Claims:
    """All connections here, by device.

    :ivar here: is told what has changed of a connection.
    """

    here: DevicesHere

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        nodes: NodeStore,
        standing: NodeStanding,
        known: KnownDevices,
        changes: QueueChanges,
        recurring: RepeatLog,
        crew: Crew,
    ) -> None:
        self._nodes = nodes
        self._standing = standing
        self._known = known
        self._changes = changes
        self._recurring = recurring
        self._crew = crew
        self._claims: dict[str, Claim] = {}

    def __contains__(self, device: str) -> bool:
        return device in self._claims

    def __iter__(self) -> Iterator[Claim]:
        return iter(tuple(self._claims.values()))

    def get(self, device: str) -> Claim | None:
        """Return a device's connection here, or None."""
        return self._claims.get(device)

    def arrived(self, device: str) -> None:
        """Write a new connection down; the last one of its device is gone."""
        claim = self._claims[device] = Claim(device)
        self._work_on(claim)

    def gone(self, device: str) -> None:
        """Write down that a connection is no more."""
        claim = self._claims.pop(device, None)
        if claim is not None:
            claim.is_open = False
            claim.tell()
            if claim.home is not None:
                self._crew.give(partial(self._clear, device, claim.home))

    async def home(self, device: str) -> Home | None:
        """Wait for what the row calls the device's connection here; None: it has gone, or there is no lease."""
        while (claim := self._claims.get(device)) is not None and self._standing.is_good():
            if claim.home is not None:
                return claim.home
            if claim.changed is None:
                claim.changed = Flag()
            await claim.changed.wait()
        return None

    def hold(self) -> None:
        """Let nothing go out until :meth:`reclaim`, and what waits now not even then: other nodes decide about it, and about what replaces it."""
        for claim in self:
            self._hold_back(claim)
            self.here.drop_waiting(claim.device)
            claim.tell()

    def reclaim(self) -> None:
        """Write all down under the new lease."""
        for claim in self:
            claim.was, claim.home = claim.home or claim.was, None
            self.look(claim.device)

    def look(self, device: str) -> None:
        """Let nothing go out until row and queue are read again."""
        claim = self._claims.get(device)
        if claim is not None:
            self._hold_back(claim)
            self._work_on(claim)

    def saw(self, known: CachedDevice) -> None:
        """Go on from what was read of a device, whatever it was read for."""
        claim = self._claims.get(known.name)
        if claim is not None and claim.is_read:
            if known.row.home == claim.home:
                self._note_sent(known)
                self.here.look(claim.device)
            else:
                self.look(claim.device)

    def _hold_back(self, claim: Claim) -> None:
        if claim.is_read:
            claim.is_read = False
            self.here.hold_back(claim.device)

    # Its tasks

    def _work_on(self, claim: Claim) -> None:
        claim.is_due = True
        if not claim.is_working:
            claim.is_working = True
            self._crew.give(partial(self._work, claim))

    async def _work(self, claim: Claim) -> None:
        """Claim a row and read the queue, however often it takes; without a lease :meth:`reclaim` does it."""
        failures = 0
        try:
            while claim.is_due and claim.is_open and self._standing.is_good():
                claim.is_due = False
                try:
                    is_done = await self._claim(claim)
                except StateUnavailable as failure:
                    text = "devices wait until their rows can be written and their queues be read: %s"
                    self._recurring.log(logger, logging.WARNING, "claim", text, failure)
                    is_done = False
                if not is_done:
                    claim.is_due = True
                    failures += 1
                    await anyio.sleep(backoff(*_AGAIN, failures, random()))  # noqa: S311  # not for secrets
        finally:
            claim.is_working = False

    async def _claim(self, claim: Claim) -> bool:
        """Try once; False: not now."""
        known = self._known.attend(claim.device)
        try:
            async with known.lock:
                if claim.is_open and claim.home is None and not await self._write(claim):
                    return False
                return await self._read(claim, known)
        finally:
            self._known.leave(known)

    async def _write(self, claim: Claim) -> bool:
        """Write a connection's row; True also where the connection has ended."""
        lease = self._standing.lease
        if claim.was is None:
            changed = await self._nodes.connect(claim.device, lease)
        else:
            changed = await self._nodes.reclaim(claim.device, claim.was, lease)
        if changed is Unchanged.MOVED:
            if claim.is_open:
                self.here.displaced(claim.device)
            return True
        if changed is Unchanged.FENCED:
            return False
        self._changes.woken(claim.device, changed)
        claim.home = changed.row.home
        if lease != self._standing.lease:
            claim.was, claim.home = claim.home, None
            return False
        claim.tell()
        if not claim.is_open and claim.home is not None:
            self._crew.give(partial(self._clear, claim.device, claim.home))
        return True

    async def _read(self, claim: Claim, known: CachedDevice) -> bool:
        """Read the queue, and erase of it what the device has; what it acknowledges meanwhile may be stored since."""
        if not claim.is_open:
            return True
        ids, claim.acknowledged = claim.acknowledged or (), None
        try:
            seen = await self._changes.read(known)
        except BaseException:
            claim.note_acknowledged(ids)
            raise
        if claim.home is None or seen.row.home != claim.home:
            claim.was, claim.home, claim.is_due = claim.home or claim.was, None, True
            claim.note_acknowledged(ids)
            return True
        self._note_sent(known)
        if not await self.erase_acknowledged(claim, known, ids):
            return False
        claim.is_due |= bool(claim.acknowledged)
        if claim.is_settled and self._standing.is_good():
            claim.is_read = True
            self.here.look(claim.device)
        return True

    async def erase_acknowledged(self, claim: Claim, known: CachedDevice, ids: Iterable[str]) -> bool:
        """Erase of a queue that was read what the device has; where that fails now, it is done with the next reading."""
        entries = known.queue.held(ids)
        if not entries:
            return True
        claim.note_acknowledged(entry.id for entry in entries)
        changed = await self._changes.erase(known, lambda queue: queue.acknowledge(entries))
        if isinstance(changed, Unchanged):
            return False
        if claim.acknowledged is not None:
            claim.acknowledged.difference_update(entry.id for entry in entries)
        return True

    def _note_sent(self, known: CachedDevice) -> None:
        """Note what the device was sent before another node has stored it, and may acknowledge yet."""
        stored = tuple(known.queue.entries.values())
        known.queue.note_sent(
            entry for entry in stored if entry.phase is Phase.STORED and self.here.may_acknowledge(known.name, entry.id)
        )

    async def _clear(self, device: str, home: Home) -> None:
        """Write down that a connection is no more, while its lease goes on; the row of another connection stays as it is."""
        failures = 0
        while home.lease == self._standing.lease and self._standing.is_good():
            known = self._known.attend(device)
            try:
                async with known.lock:
                    known.is_current = False  # its row is another now
                    await self._nodes.clear(device, home, home.lease)
                    return
            except StateUnavailable as failure:
                text = "that devices have gone could not be written down yet: %s"
                self._recurring.log(logger, logging.WARNING, "clear", text, failure)
            finally:
                self._known.leave(known)
            failures += 1
            await anyio.sleep(backoff(*_AGAIN, failures, random()))  # noqa: S311  # not for secrets
