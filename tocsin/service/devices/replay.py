"""Sends a device that is back what was stored for it, in order, before what comes now."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.platform.power import PLUGGED_IN
from tocsin.protocol.service import offline_queue
from tocsin.protocol.service.device_connection import SERVING, Event, Phase
from tocsin.protocol.service.offline_queue import Entry, OfflineQueue
from tocsin.protocol.toast_label import ToastLabel
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.outbox import Outbox
from tocsin.service.web.flags import Flag
from tocsin.service.web.side_tasks import SideTasks

PAGE = 64
"""Notifications that are in memory for one device at a time, from the store to its connection."""

logger = logging.getLogger(__name__)


class Replay:
    """One connection's replay: a task that runs while its device has a queue, and looks again when told to."""

    __slots__ = ("_changed", "_now", "_offline", "_outbox", "_running", "_step", "_tasks", "device", "power")

    def __init__(
        self,
        offline: OfflineStore,
        outbox: Outbox,
        now: Callable[[], float],
        tasks: SideTasks,
        step: Callable[[Event], None],
    ) -> None:
        self.power = PLUGGED_IN
        """What the device has said of its power state."""
        self._offline = offline
        self._outbox = outbox
        self._now = now
        self.device = ""
        """The device's identity, once it has said hello."""
        self._tasks = tasks
        self._step = step
        self._running = (
            False  # whether there is a task, which is no phase: one that waits for a time lets pass what comes
        )
        self._changed = Flag()

    def look(self) -> None:
        """Note that the queue or the device's state has changed; what comes now waits if something stored is to go first."""
        if self._outbox.phase not in SERVING or not self._offline.has(self.device):
            return
        queue = self._offline.of(self.device)
        if queue is None or queue.blocks(self.power, self._now()):
            self._step(Event.BEHIND)
        self._changed.set()
        if not self._running:
            self._running = True
            self._tasks.start_soon(self._run)

    @property
    def _suspended(self) -> bool:
        return self._outbox.phase is Phase.SUSPENDED

    async def _run(self) -> None:
        try:
            queue = await self._offline.attend(self.device)
            try:
                while queue.entries and self._outbox.phase in SERVING:
                    self._changed.clear()
                    await self._offline.expire(self.device)
                    if not await self._send_page(queue):
                        await self._wait(queue)
            finally:
                self._offline.leave(self.device)
        except StateUnavailable as failure:
            text = "what is stored for devices stays there: %s"
            self._offline.recurring.log(logger, logging.ERROR, "replay", text, failure)
        finally:
            self._running = False
            self._step(Event.CAUGHT_UP)

    async def _send_page(self, queue: OfflineQueue) -> bool:
        """Send the next notifications that may go now; False if there are none."""
        page = [] if self._suspended else queue.due(self.power, self._now(), PAGE)
        if not page:
            return False
        bodies = await self._offline.bodies(page)
        lost = [entry for entry in page if entry.sequence not in bodies]
        going = [entry for entry in page if entry.phase is offline_queue.Phase.STORED and entry.sequence in bodies]
        if self._outbox.phase not in SERVING or self._suspended:
            return True
        queue.note_sent(going)
        self._outbox.offer(
            [(entry.id, self._outbox.encode(_payload(entry, bodies[entry.sequence], self._now()))) for entry in going]
        )
        if lost:
            await self._offline.lose(self.device, lost)
        await self._outbox.room_for_stored()
        return True

    async def _wait(self, queue: OfflineQueue) -> None:
        """Let pass what comes now, unless something is being stored that goes first; wait for a change."""
        self._step(Event.BEHIND if queue.blocks(self.power, self._now()) else Event.CAUGHT_UP)
        due = queue.next_due(self.power)
        delay = None if due is None or self._suspended else max(due - self._now(), 0.0)
        with anyio.move_on_after(delay):
            await self._changed.wait()


def _payload(entry: Entry, body: bytes, now: float) -> Payload:
    sent = None if entry.expires is None else now
    label = ToastLabel(entry.tag, entry.group, entry.suppress_popup).text
    return Payload(entry.id, entry.channel, entry.type, body, entry.expires, entry.priority, sent, label)
