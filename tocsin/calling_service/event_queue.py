"""Events that wait for their turn with the one task that takes them all."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import define, field

from tocsin.protocol.errors import PlatformUnavailable, PushError

ROOM: Final = 256
"""Events that wait at most; then the one that brings another waits for room, except for those that come once for each connection."""


@define(eq=False)
class _Event:
    """Something that waits for its turn."""

    take: Callable[[], Awaitable[None]]
    takes_room: bool
    taken: anyio.Event = field(factory=anyio.Event)
    failure: PushError | None = None


class EventQueue:
    """First come, first served."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[_Event](math.inf)
        self._room = anyio.Semaphore(ROOM)

    async def post(self, take: Callable[[], Awaitable[None]], *, waits_for_room: bool = True) -> None:
        """Wait until an event was taken.

        :param waits_for_room: False where it must not be lost if the wait is cancelled: from now on, it is taken in any case.
        :raises PushError: it was refused.
        :raises PlatformUnavailable: events are taken no more; whether this one was, is not known.
        """
        event = _Event(take, waits_for_room)
        if waits_for_room:
            await self._room.acquire()
        try:
            self._send.send_nowait(event)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._room.release()  # the next one that waits is refused as well
            raise _stopped() from None
        await event.taken.wait()
        if event.failure is not None:
            raise event.failure

    async def take_next(self, wait: float) -> None:
        """Take the next event, if one comes within so many seconds."""
        event: _Event | None = None
        with anyio.move_on_after(wait):
            event = await self._receive.receive()
        if event is None:
            return
        if event.takes_room:
            self._room.release()
        try:
            await event.take()
        except PushError as failure:
            event.failure = failure
        except BaseException:
            event.failure = _stopped()
            raise
        finally:
            event.taken.set()

    def close(self) -> None:
        """Refuse what waits, and what comes."""
        while self._receive.statistics().current_buffer_used:
            event = self._receive.receive_nowait()
            event.failure = _stopped()
            event.taken.set()
        self._receive.close()
        self._send.close()
        self._room.release()


def _stopped() -> PlatformUnavailable:
    return PlatformUnavailable("the calling service has stopped")
