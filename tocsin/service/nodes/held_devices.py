"""The devices of a node, as its lease acts on them: let in, held, written down anew, and sent to other nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from websockets.frames import CloseCode

from tocsin.protocol.service.nodes.returning import Returning, ReturnPolicy
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.parting import Parting
from tocsin.service.nodes.shared_queues import SharedQueues

LATER: Final = Parting(CloseCode.TRY_AGAIN_LATER, "this node cannot serve just now; another may")
"""What a device is told that comes while its node has no lease, or whose node is cut off."""

ELSEWHERE: Final = Parting(CloseCode.GOING_AWAY, "this node is leaving, and others serve: come back")
"""What a device is told that is to connect again at once."""

_LOOK: Final = 0.05  # seconds until it is looked again whether something is on its way to those that are to go


class HeldDevices:
    """What a node has for its devices (``Held``); before they are :meth:`given` it has none.

    :param longest: seconds over which devices are sent away at most.
    """

    def __init__(self, longest: float) -> None:
        self._policy = ReturnPolicy(shortest=min(ReturnPolicy().shortest, longest), longest=longest)
        self._devices: Devices | None = None
        self._queues: SharedQueues | None = None
        self._parting: Parting | None = LATER  # of those that come
        self._timer: asyncio.TimerHandle | None = None
        self.on_reclaim: Callable[[], object] = lambda: None
        """Called when the node has a lease again after it had none."""

    def give(self, devices: Devices, queues: SharedQueues) -> None:
        """Have these devices, with these queues."""
        self._devices, self._queues = devices, queues
        devices.turn_away = self._parting

    def open(self) -> None:
        """Let devices in."""
        self._turn_away(None)

    def hold(self) -> None:
        """Let none in, and nothing out."""
        self._turn_away(LATER)
        if self._queues is not None:
            self._queues.hold()

    def reclaim(self) -> None:
        """Write down the connections that there are, and have the registry read anew."""
        self.on_reclaim()
        if self._queues is not None:
            self._queues.reclaim()

    def stale(self, devices: Iterable[str]) -> None:
        """Read these anew before anything goes out to them."""
        if self._queues is not None:
            self._queues.stale(devices)

    def close_devices(self) -> None:
        """Close all connections, and let no more in."""
        self._stop()
        self._turn_away(self._parting or ELSEWHERE)
        if self._devices is not None and self._parting is not None:
            self._devices.part_with(None, self._parting)

    def send_away(self, others: int) -> None:
        """Have the devices come back at other nodes: over some seconds, or at once where there is no other."""
        self._turn_away(ELSEWHERE)
        count = self.connected()
        if not others:
            self.close_devices()
        elif count:
            loop = asyncio.get_running_loop()
            self._send(loop, Returning(count, loop.time(), self._policy.span(count, others)))

    def connected(self) -> int:
        """Count the connections."""
        return 0 if self._devices is None else self._devices.count()

    def _send(self, loop: asyncio.AbstractEventLoop, returning: Returning) -> None:
        """Send those away that are due, and nothing is on its way to; when the time is over, all."""
        assert self._devices is not None  # noqa: S101  # some are connected
        now = loop.time()
        if now >= returning.ends:
            self.close_devices()
            return
        returning.tell(self._devices.part_with(returning.due(now), ELSEWHERE))
        wait = max(returning.next_due() - now, _LOOK)
        self._timer = loop.call_later(min(wait, returning.ends - now), self._send, loop, returning)

    def _turn_away(self, parting: Parting | None) -> None:
        self._parting = parting
        if self._devices is not None:
            self._devices.turn_away = parting

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
