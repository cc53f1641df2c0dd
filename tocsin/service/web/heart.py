"""What is done with each of many connections once an interval, by one timer for all: such as the pings of WebSockets."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

_TICKS: Final = 200  # times in an interval that the timer rings at most

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Rounds(Generic[T]):
    """Calls for every member once an interval; all have the same interval, so one queue keeps them in order.

    :param interval: seconds from one call to the next.
    :param call: tells whether there is to be another.
    """

    def __init__(self, interval: float, call: Callable[[T], bool]) -> None:
        self._interval = interval
        self._call = call
        self._line: OrderedDict[T, float] = OrderedDict()  # when each is called for next, the earliest first
        self._goes_on = False

    def watch(self, member: T) -> None:
        """Call for a member from now on, until that says that it was the last time, or it is forgotten."""
        loop = asyncio.get_running_loop()
        self._line[member] = loop.time() + self._interval
        if not self._goes_on:
            self._goes_on = True
            loop.call_later(self._interval, self._ring, loop)

    def forget(self, member: T) -> None:
        """Call for a member no more; one that is not called for may be forgotten too."""
        self._line.pop(member, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while (first := next(iter(self._line.items()), None)) and first[1] <= now:
            member, _ = first
            del self._line[member]
            if self._call(member):
                self._line[member] = now + self._interval
        self._goes_on = first is not None
        if first is not None:  # not for each by itself: those of a moment go together
            loop.call_at(max(first[1], now + self._interval / _TICKS), self._ring, loop)


class Pinged(Protocol):
    """A connection that is to show that it is alive."""

    def ping(self) -> bool:
        """Send a ping, or end the connection if the one before was not answered; tell whether it goes on."""
        ...

    def drop(self) -> None:
        """End the connection at once."""
        ...


class Heart(Rounds[Pinged]):
    """Pings every connection once an interval.

    :param interval: seconds from one ping to the next, and within which each is to be answered.
    """

    def __init__(self, interval: float) -> None:
        super().__init__(interval, _ping)


def _ping(peer: Pinged) -> bool:
    """Ping a connection; a fault of ours costs that one, and not the pings of all."""
    try:
        return peer.ping()
    except Exception:
        logger.exception("a connection that could not be pinged is dropped")
        peer.drop()
        return False
