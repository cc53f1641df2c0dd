"""Sends a device that is back what was stored for it, in order, before what comes now."""

from __future__ import annotations

import logging
from itertools import count
from random import random
from typing import Protocol

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.messages import Payload
from tocsin.protocol.platform.power import Power
from tocsin.protocol.service import offline_queue
from tocsin.protocol.service.device_connection import SERVING, Event, Phase
from tocsin.protocol.service.offline_queue import Entry, OfflineQueue
from tocsin.protocol.toast_label import ToastLabel
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.outbox import Outbox
from tocsin.service.web.flags import Flag

PAGE = 64
"""Notifications that are in memory for one device at a time, from the store to its connection."""

_AGAIN, _LONGEST = 0.1, 2.0  # seconds until it is tried again to read what is stored

logger = logging.getLogger(__name__)


class Returned(Protocol):
    """The connection of a device that is back."""

    device: str
    outbox: Outbox
    power: Power

    def encode(self, payload: Payload, app: str) -> bytes | None:
        """Make a frame of a payload of that app, as the device knows it; None where it is of no use to the device, and ends."""
        ...

    def step(self, event: Event) -> None:
        """Go by the table."""
        ...


class Replay:
    """One connection's replay: it runs while its device has a queue, and looks again when told to."""

    __slots__ = ("_changed", "_offline", "_to")

    def __init__(self, to: Returned, offline: OfflineQueues) -> None:
        self._to = to
        self._offline = offline
        self._changed = Flag()

    def look(self) -> None:
        """Note that the queue or the device's state has changed; what comes now waits if something stored is to go first."""
        queue = self._offline.of(self._to.device)
        if queue is None or self._is_behind(queue):
            self._to.step(Event.BEHIND)
        self._changed.set()

    def _is_behind(self, queue: OfflineQueue) -> bool:
        is_read = self._offline.is_read(self._to.device)
        return not is_read or queue.blocks(self._to.power, self._offline.now())

    @property
    def _goes_on(self) -> bool:
        return self._to.outbox.phase in SERVING and self._offline.is_read(self._to.device)

    @property
    def _suspended(self) -> bool:
        return self._to.outbox.phase is Phase.SUSPENDED

    async def run(self) -> None:
        """Send what is stored, until there is no more, or that is not known any more; what comes now waits while it cannot be read."""
        for failures in count(1):
            try:
                await self._send_all()
            except StateUnavailable as failure:
                text = "what is stored for devices waits there: %s"
                self._offline.recurring.log(logger, logging.ERROR, "replay", text, failure)
                self._offline.unreadable(self._to.device)
            else:
                return
            if not self._goes_on:
                return
            self._to.step(Event.BEHIND)
            await anyio.sleep(backoff(_AGAIN, _LONGEST, failures, random()))  # noqa: S311  # not a secret

    async def _send_all(self) -> None:
        device = self._to.device
        queue = await self._offline.attend(device)
        try:
            while queue.entries and self._goes_on:
                self._changed.clear()
                await self._offline.expire(device)
                if not await self._send_page(queue):
                    await self._wait(queue)
        finally:
            self._offline.leave(device)

    async def _send_page(self, queue: OfflineQueue) -> bool:
        """Send the next notifications that may go now; False if there are none."""
        page = [] if self._suspended else queue.due(self._to.power, self._offline.now(), PAGE)
        if not page:
            return False
        bodies = await self._offline.bodies(page)
        lost = [entry for entry in page if entry.sequence not in bodies]
        going = [entry for entry in page if entry.phase is offline_queue.Phase.STORED and entry.sequence in bodies]
        if not self._goes_on or self._suspended:
            return True
        queue.note_sent(going)
        frames, useless = list[tuple[str, bytes]](), list[str]()
        for entry in going:
            frame = self._to.encode(_payload(entry, bodies[entry.sequence], self._offline.now()), entry.app)
            if frame is None:
                useless.append(entry.id)
            else:
                frames.append((entry.id, frame))
        self._to.outbox.offer(frames)
        if useless:
            await self._offline.acknowledge(self._to.device, useless)
        if lost:
            await self._offline.lose(self._to.device, lost)
        await self._to.outbox.room_for_stored()
        return True

    async def _wait(self, queue: OfflineQueue) -> None:
        """Let pass what comes now, unless something is being stored that goes first; wait for a change."""
        self._to.step(Event.BEHIND if self._is_behind(queue) else Event.CAUGHT_UP)
        due = queue.next_due(self._to.power)
        delay = None if due is None or self._suspended else max(due - self._offline.now(), 0.0)
        with anyio.move_on_after(delay):
            await self._changed.wait()


def _payload(entry: Entry, body: bytes, now: float) -> Payload:
    sent = None if entry.expires is None else now
    label = ToastLabel(entry.tag, entry.group, entry.suppress_popup).text
    return Payload(entry.id, entry.channel, entry.type, body, entry.expires, entry.priority, sent, label)
