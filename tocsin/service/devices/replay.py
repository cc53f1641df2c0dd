"""Sends a device that is back what was stored for it, in order, before what comes now."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload, codec
from tocsin.protocol.platform.power import PLUGGED_IN
from tocsin.protocol.service.offline_queue import Entry, OfflineQueue, Phase
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.outbox import Outbox
from tocsin.service.web.flags import Flag
from tocsin.service.web.side_tasks import SideTasks

PAGE = 64
"""Notifications that are in memory for one device at a time, from the store to its connection."""

logger = logging.getLogger(__name__)


class Replay:
    """One connection's replay: a task that runs while its device has a queue, and looks again when told to."""

    __slots__ = ("_changed", "_device", "_now", "_offline", "_outbox", "_running", "_tasks", "power")

    def __init__(self, offline: OfflineStore, outbox: Outbox, now: Callable[[], float]) -> None:
        self.power = PLUGGED_IN
        """What the device has said of its power state."""
        self._offline = offline
        self._outbox = outbox
        self._now = now
        self._device = ""
        self._tasks: SideTasks | None = None
        self._running = False
        self._changed = Flag()

    def start(self, device: str, tasks: SideTasks) -> None:
        """Begin with what there is, in the connection's tasks."""
        self._device = device
        self._tasks = tasks
        self.look()

    def stop(self) -> None:
        """Send nothing more: the connection has ended, or another has taken its place."""
        self._tasks = None

    def look(self) -> None:
        """Note that the queue or the device's state has changed; what comes now waits if something stored is to go first."""
        if self._tasks is None or not self._offline.has(self._device):
            return
        queue = self._offline.of(self._device)
        if not self._outbox.suspended and (queue is None or queue.blocks(self.power, self._now())):
            self._outbox.wait_for_stored(holding=True)
        self._changed.set()
        if not self._running:
            self._running = True
            self._tasks.start_soon(self._run)

    async def _run(self) -> None:
        try:
            queue = await self._offline.attend(self._device)
            try:
                while queue.entries and self._tasks is not None:
                    self._changed.clear()
                    await self._offline.expire(self._device)
                    if not await self._send_page(queue):
                        await self._wait(queue)
            finally:
                self._offline.leave(self._device)
        except StateUnavailable as failure:
            text = "what is stored for devices stays there: %s"
            self._offline.recurring.log(logger, logging.ERROR, "replay", text, failure)
        finally:
            self._running = False
            self._outbox.wait_for_stored(holding=False)

    async def _send_page(self, queue: OfflineQueue) -> bool:
        """Send the next notifications that may go now; False if there are none."""
        page = [] if self._outbox.suspended else queue.due(self.power, self._now(), PAGE)
        if not page:
            return False
        bodies = await self._offline.bodies(page)
        lost = [entry for entry in page if entry.sequence not in bodies]
        going = [entry for entry in page if entry.phase is Phase.STORED and entry.sequence in bodies]
        if self._tasks is None or self._outbox.suspended:
            return True
        queue.note_sent(going)
        self._outbox.offer(
            [(entry.id, codec.encode(_payload(entry, bodies[entry.sequence], self._now()))) for entry in going]
        )
        if lost:
            await self._offline.lose(self._device, lost)
        await self._outbox.room_for_stored()
        return True

    async def _wait(self, queue: OfflineQueue) -> None:
        """Let pass what comes now, unless something is being stored that goes first; wait for a change."""
        self._outbox.wait_for_stored(holding=not self._outbox.suspended and queue.blocks(self.power, self._now()))
        due = queue.next_due(self.power)
        delay = None if due is None or self._outbox.suspended else max(due - self._now(), 0.0)
        with anyio.move_on_after(delay):
            await self._changed.wait()


def _payload(entry: Entry, body: bytes, now: float) -> Payload:
    sent = None if entry.expires is None else now
    return Payload(entry.id, entry.channel, entry.type, body, entry.expires, entry.priority, sent)
