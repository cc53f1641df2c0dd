"""The frames that a wire to the push service carries both ways, once the device is welcomed on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import anyio
from anyio import EndOfStream
from attrs import frozen

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import ConnectionDown, ConnectionUp, Message
from tocsin.protocol.messages.codec import decode_chunk
from tocsin.transport.wire import PromptWire, Wire


class OutgoingFrames(Protocol):
    """Where the frames for the service wait."""

    async def batch(self) -> list[bytes]:
        """Wait for frames and take them; raises EndOfStream when there will be no more."""
        ...

    def take(self) -> list[bytes]:
        """Take the frames that wait."""
        ...

    @property
    def depth(self) -> int:
        """How many wait."""
        ...

    def purge(self) -> int:
        """Throw away what was meant for a connection that is gone."""
        ...


def _never(_: list[tuple[Message, bytes]]) -> bool:
    """Take nothing."""
    return False


@frozen
class ArrivalHandlers:
    """What is called with what arrives: payloads, answers, and the state of the connection."""

    deliver: Callable[[list[tuple[Message, bytes]]], Awaitable[None]]
    """Takes messages with their frames; raises ProtocolViolation for one that is not for devices."""
    report: Callable[[ConnectionUp | ConnectionDown], Awaitable[None]]
    """Takes what the connection says of itself."""
    deliver_now: Callable[[list[tuple[Message, bytes]]], bool] = _never
    """Takes messages as ``deliver``, in this very turn; tells whether it has: else it has done nothing."""


class FrameTraffic:
    """Carries frames over one wire: in the turn in which they come, where that is possible, and else in two tasks."""

    def __init__(self, wire: Wire, outbox: OutgoingFrames, handlers: ArrivalHandlers) -> None:
        self._wire, self._outbox, self._handlers = wire, outbox, handlers
        self._reading = anyio.CancelScope()
        self._prompt: PromptWire | None = None
        """The wire, if it is one that can send at once, as soon as it is read."""
        self._is_delivering = False
        """Whether the task that reads has a chunk in its hands."""

    async def read(self, early: bytes) -> None:
        """Deliver what has come already, then what comes, until :meth:`stop_reading`.

        :raises FrameError: a chunk is wrong.
        :raises ProtocolViolation: a message is not for devices.
        :raises WireBroken: the wire broke or was closed.
        """
        with self._reading:
            await self._handlers.deliver(decode_chunk(early))
            if isinstance(self._wire, PromptWire):
                self._wire.follow(self._take)
                self._prompt = self._wire
            while True:
                self._is_delivering = False
                chunk = await self._wire.receive()
                self._is_delivering = True
                await self._handlers.deliver(decode_chunk(chunk))

    def stop_reading(self) -> None:
        """Take nothing more in; what is to go out still does."""
        self._reading.cancel()

    async def write(self, ends: Callable[[], bool]) -> None:
        """Send what is put into the outbox, until that is closed, or it ends and the outbox is empty.

        :raises WireBroken: the wire broke or was closed.
        """
        with suppress(EndOfStream):
            while not ends() or self._outbox.depth:
                await self._wire.send(b"".join(await self._outbox.batch()))

    def send_now(self) -> None:
        """Send what the outbox gives in this very turn; what has to wait stays in it, for :meth:`write`."""
        if self._prompt is not None and self._prompt.has_room and self._outbox.depth:
            self._prompt.send_now(b"".join(self._outbox.take()))

    def _take(self, chunk: bytes) -> bool:
        """Deliver a chunk in the turn in which it comes; one that is wrong is left to the task that reads, and so is what has to wait."""
        if self._is_delivering or self._reading.cancel_called:
            return False
        try:
            return self._handlers.deliver_now(decode_chunk(chunk))
        except FrameError:
            return False
