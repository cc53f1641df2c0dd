"""What a node knows of devices' rows and queues: read or written lately, and no more than a bounded lot of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import Lock, current_time, move_on_after
from attrs import Factory, define

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.protocol.service.offline_queue import Depths, OfflineQueue, Phase
from tocsin.service.registry.node_store import SeenDevice

MOST_DEVICES = 8_192
"""Devices that are known, above which those are forgotten that nothing happens to."""

MOST_ENTRIES = 131_072
"""Notifications in their queues, above which some of them are."""

TURN: Final = 10.0
"""Seconds that a request waits at most, however often it has to, for those before it that are about the same device."""


@define(eq=False)
class CachedDevice:
    """A device as it was read or written last; ``users`` are those that are at work on it.

    What reads or changes row and queue in the database holds ``lock``: changes of one device go one after the other. ``at`` is the lease that
    the row's home names. Where ``is_current`` is False something was written that may be there or not, or another node has written.
    """

    name: str
    queue: OfflineQueue
    row: DeviceRow = ABSENT
    at: LeaseRow | None = None
    is_current: bool = False
    users: int = 0
    weight: int = 0
    lock: Lock = Factory(lambda: Lock(fast_acquire=True))

    @asynccontextmanager
    async def turn(self, until: float | None = None) -> AsyncIterator[None]:
        """Hold the lock while the block runs, for a request of a sender, who does not wait for ever.

        :param until: the moment on the event loop's clock after which it waits no more; None: ``TURN`` from now on.
        :raises StateUnavailable: those before it take too long.
        """
        if self.lock.locked():
            with move_on_after(TURN if until is None else max(until - current_time(), 0.0)) as waiting:
                await self.lock.acquire()
            if waiting.cancelled_caught:
                raise StateUnavailable(f"what came before for the same device took more than {TURN:g} s")
        else:
            await self.lock.acquire()
        try:
            yield
        finally:
            self.lock.release()

    @property
    def seen(self) -> SeenDevice | None:
        """As it would be read, if it is current."""
        if not self.is_current:
            return None
        entries = (entry for entry in self.queue.entries.values() if entry.phase is not Phase.WRITING)
        return SeenDevice(self.row, tuple(entries), self.at)

    def take(self, seen: SeenDevice) -> None:
        """Take over what was read."""
        self.row, self.at, self.is_current = seen.row, seen.at, True
        self.queue.erase.clear()  # whatever was not written of it is found again
        self.queue.forget_ended()
        self.queue.follow(seen.entries)
        del self.queue.ended[Phase.ELSEWHERE], self.queue.ended_messages[Phase.ELSEWHERE]


class KnownDevices:
    """All of them.

    :param is_here: tells whether a device's connection is at this node: what it was sent is not forgotten.
    """

    def __init__(self, depths: Depths, is_here: Callable[[str], bool]) -> None:
        self._depths = depths
        self._is_here = is_here
        self._known: dict[str, CachedDevice] = {}
        self._weight = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def get(self, device: str) -> CachedDevice | None:
        """Return a device, if it is known."""
        return self._known.get(device)

    def attend(self, device: str) -> CachedDevice:
        """Return a device, and keep it in memory until :meth:`leave`."""
        known = self._known.pop(device, None) or CachedDevice(device, OfflineQueue(self._depths))
        self._known[device] = known
        known.users += 1
        return known

    def leave(self, known: CachedDevice) -> None:
        """Let a device be forgotten, if too much is known."""
        known.users -= 1
        weight = len(known.queue.entries)
        self._weight += weight - known.weight
        known.weight = weight
        if not known.users and not known.is_current:
            self.forget(known.name)
        elif len(self._known) > MOST_DEVICES or self._weight > MOST_ENTRIES:
            oldest = next(iter(self._known))
            if not self.forget(oldest):
                self._known[oldest] = self._known.pop(oldest)

    def forget(self, device: str) -> bool:
        """Forget a device, unless it is at work or has been sent what is in its queue."""
        known = self._known.get(device)
        if known is None or known.users or (known.queue.entries and self._is_here(device)):
            return False
        self._weight -= known.weight
        del self._known[device]
        return True
