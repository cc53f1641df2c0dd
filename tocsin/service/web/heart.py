"""The pings of all WebSockets, by one timer."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
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
    """Pings every connection once an interval; all have the same interval, so one queue keeps them in order.

    :param interval: seconds from one ping to the next, and within which each is to be answered.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._line: OrderedDict[Pinged, float] = OrderedDict()  # when each is pinged next, the earliest first
        self._beats = False

    def watch(self, peer: Pinged) -> None:
        """Ping a connection from now on, until it says that it has ended or is forgotten."""
        loop = asyncio.get_running_loop()
        self._line[peer] = loop.time() + self._interval
        if not self._beats:
            self._beats = True
            loop.call_later(self._interval, self._beat, loop)

    def forget(self, peer: Pinged) -> None:
        """Ping a connection no more; one that is not pinged may be forgotten too."""
        self._line.pop(peer, None)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while (first := next(iter(self._line.items()), None)) and first[1] <= now:
            peer, _ = first
            del self._line[peer]
            if _ping(peer):
                self._line[peer] = now + self._interval
        self._beats = first is not None
        if first is not None:  # not for each by itself: those of a moment go together
            loop.call_at(max(first[1], now + self._interval / _TICKS), self._beat, loop)


def _ping(peer: Pinged) -> bool:
    """Ping a connection; a fault of ours costs that one, and not the pings of all."""
    try:
        return peer.ping()
    except Exception:
        logger.exception("a connection that could not be pinged is dropped")
        peer.drop()
        return False
