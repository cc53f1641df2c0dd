"""Events that wait for their turn with the one task that takes them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from attrs import define, field

from tocsin.protocol.errors import PlatformUnavailable, PushError

ROOM: Final = 256
"""Events that wait at most; then the one that brings another waits for room."""


@define(eq=False)
class _Event:
    """Something that waits for its turn."""

    take: Callable[[], Awaitable[None]]
    taken: anyio.Event = field(factory=anyio.Event)
    failure: PushError | None = None


class EventQueue:
    """First come, first served."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[_Event](ROOM)

    async def post(self, take: Callable[[], Awaitable[None]]) -> None:
        """Wait until an event was taken.

        :raises PushError: it was refused.
        :raises PlatformUnavailable: events are taken no more; whether this one was, is not known.
        """
        event = _Event(take)
        try:
            await self._send.send(event)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
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
        waiting = self._receive.statistics()
        while waiting.current_buffer_used or waiting.tasks_waiting_send:
            event = self._receive.receive_nowait()
            event.failure = _stopped()
            event.taken.set()
            waiting = self._receive.statistics()
        self._receive.close()
        self._send.close()


def _stopped() -> PlatformUnavailable:
    return PlatformUnavailable("the calling service has stopped")
