"""The pings of all WebSockets, by one timer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final, Protocol

_TICKS: Final = 200  # times in an interval that the timer rings at most

logger = logging.getLogger(__name__)


class Pinged(Protocol):
    """A connection that is to show that it is alive."""

    def ping(self) -> bool:
        """Send a ping, or end the connection if the one before was not answered; tell whether it goes on."""
        ...

    def drop(self) -> None:
        """End the connection at once."""
        ...


class Heart:
    """Pings everybody once an interval; all have the same, so they stand in line in the order of their turns.

    :param interval: seconds from one ping to the next, and within which each is to be answered.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._line: deque[tuple[float, Pinged]] = deque()
        self._beats = False

    def watch(self, peer: Pinged) -> None:
        """Ping a connection from now on, until it says that it has ended."""
        loop = asyncio.get_running_loop()
        self._line.append((loop.time() + self._interval, peer))
        if not self._beats:
            self._beats = True
            loop.call_later(self._interval, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._line and self._line[0][0] <= now:
            _, peer = self._line.popleft()
            if _ping(peer):
                self._line.append((now + self._interval, peer))
        self._beats = bool(self._line)
        if self._beats:  # not for each by itself: those of a moment go together
            loop.call_at(max(self._line[0][0], now + self._interval / _TICKS), self._beat, loop)


def _ping(peer: Pinged) -> bool:
    """Ping a connection; a fault of ours costs that one, and not the pings of all."""
    try:
        return peer.ping()
    except Exception:
        logger.exception("a connection that could not be pinged is dropped")
        peer.drop()
        return False
