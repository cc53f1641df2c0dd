"""Request bodies: bounded in length and in time, and not waited for any more once the service stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto, unique

from starlette.types import Receive


@unique
class BodyFault(Enum):
    """Why there is no body."""

    TOO_LONG = auto()
    TORN = auto()
    """It has not the length that the headers say."""
    LATE = auto()
    """It did not arrive in time, or its sender has left."""
    STOPPING = auto()


class Bodies:
    """Reads the bodies of requests.

    :param timeout: seconds in which a body has to arrive.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._reading: set[asyncio.Timeout] = set()
        self._awaited: set[AwaitedBody] = set()
        self.stopping = False
        """Whether no body is read any more; set by :meth:`stop`."""

    def stop(self) -> None:
        """Read nothing more, and give up what is being read."""
        self.stopping = True
        for timeout in self._reading:
            timeout.reschedule(0)
        for awaited in tuple(self._awaited):
            awaited.give_up(BodyFault.STOPPING)

    def wait(self, give_up: Callable[[BodyFault], None]) -> AwaitedBody:
        """Call back once a body is not waited for any more, unless it is there before."""
        return AwaitedBody(self._awaited, self._timeout, give_up)

    async def read(self, receive: Receive, limit: int, length: int | None) -> bytes | BodyFault:
        """Return a body, or why there is none.

        :param limit: bytes that it has at most.
        :param length: bytes that it has as its headers say; None where they do not say it.
        """
        if self.stopping:
            return BodyFault.STOPPING
        try:
            async with asyncio.timeout(self._timeout) as timeout:
                self._reading.add(timeout)
                try:
                    body = await _read(receive, limit)
                finally:
                    self._reading.discard(timeout)
        except TimeoutError:
            return self._reason()
        torn = length is not None and not isinstance(body, BodyFault) and len(body) != length
        return BodyFault.TORN if torn else body

    def _reason(self) -> BodyFault:
        return BodyFault.STOPPING if self.stopping else BodyFault.LATE


class AwaitedBody:
    """A body that comes to another part of the service, which gives it up when it is told so."""

    __slots__ = ("_all", "_give_up", "_timer")

    def __init__(self, all_: set[AwaitedBody], timeout: float, give_up: Callable[[BodyFault], None]) -> None:
        self._all = all_
        self._give_up = give_up
        self._timer = asyncio.get_running_loop().call_later(timeout, self.give_up, BodyFault.LATE)
        all_.add(self)

    def arrived(self) -> None:
        """Wait no more: it is there, or is not needed."""
        self._timer.cancel()
        self._all.discard(self)

    def give_up(self, fault: BodyFault) -> None:
        """Wait no more, and say why."""
        self.arrived()
        self._give_up(fault)


async def _read(receive: Receive, limit: int) -> bytes | BodyFault:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return BodyFault.LATE
        body += event.get("body", b"")
        if len(body) > limit:
            return BodyFault.TOO_LONG
        if not event.get("more_body", False):
            return bytes(body)
