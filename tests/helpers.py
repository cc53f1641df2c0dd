"""The fake wire: a push service that a test plays by hand, and mailboxes that it reads."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import anyio
from anyio import BrokenResourceError, ClosedResourceError, EndOfStream
from anyio.streams.stapled import StapledObjectStream

from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    Hello,
    Message,
    Payload,
    PowerState,
    RequestChannel,
    UnwantedChanged,
    Welcome,
)
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.transport.wire import Wire, WireBroken

_TOLD = (PowerState, UnwantedChanged)
"""What a device says of its machine, of its own accord."""

M = TypeVar("M", bound=Message)
PATIENCE = 10.0
"""Seconds after which a test gives up waiting for something that should have happened."""


class MemoryWire:
    """One end of a wire in memory."""

    def __init__(self, stream: StapledObjectStream[bytes]) -> None:
        self._stream = stream

    async def receive(self) -> bytes:
        """Return the next chunk."""
        try:
            return await self._stream.receive()
        except (EndOfStream, ClosedResourceError, BrokenResourceError):
            raise WireBroken("the wire was cut") from None

    async def send(self, chunk: bytes) -> None:
        """Send a chunk."""
        try:
            await self._stream.send(chunk)
        except (ClosedResourceError, BrokenResourceError):
            raise WireBroken("the wire was cut") from None

    async def aclose(self) -> None:
        """Cut the wire."""
        await self._stream.aclose()


@asynccontextmanager
async def memory_wires() -> AsyncIterator[tuple[MemoryWire, MemoryWire]]:
    """Give the two ends of a wire, the service's and its peer's; both are closed at the end."""
    up, down = (anyio.create_memory_object_stream[bytes](64) for _ in range(2))
    ours = MemoryWire(StapledObjectStream(down[0], up[1]))
    theirs = MemoryWire(StapledObjectStream(up[0], down[1]))
    try:
        yield ours, theirs
    finally:
        with anyio.CancelScope(shield=True):
            await theirs.aclose()
            await ours.aclose()


class FakeService:
    """The service's end of every connection that a device makes; refuses them while ``reachable`` is false."""

    def __init__(self) -> None:
        self.reachable = True
        self.dials = 0
        self.now: Callable[[], float] = time.time
        """The service's time."""
        self._send, self._connections = anyio.create_memory_object_stream[MemoryWire](16)
        self._wire: MemoryWire | None = None
        self._messages: list[Message] = []

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        self.dials += 1
        if not self.reachable:
            raise WireBroken("the service is away", ConnectionCause.REFUSED)
        async with memory_wires() as (ours, theirs):
            self._send.send_nowait(ours)
            yield theirs

    async def accept(self, *, welcome: bool = True) -> Hello:
        """Wait for the next device, and welcome it."""
        with anyio.fail_after(PATIENCE):
            self._wire = await self._connections.receive()
        self._messages.clear()
        hello = await self.expect(Hello)
        if welcome:
            await self.send(Welcome(PROTOCOL_VERSION, 1024, self.now()))
        return hello

    async def expect(self, kind: type[M]) -> M:
        """Wait for the next message, which must be of that class; what is only told of the machine is passed over."""
        assert self._wire is not None
        with anyio.fail_after(PATIENCE):
            while not self._messages:
                told = [decode(frame) for frame in split(await self._wire.receive())]
                self._messages.extend(each for each in told if isinstance(each, kind) or not isinstance(each, _TOLD))
        message = self._messages.pop(0)
        assert isinstance(message, kind), message
        return message

    async def expect_acknowledged(self, *ids: str) -> None:
        """Wait until these payloads, and no others, are acknowledged, in order."""
        missing = list(ids)
        while missing:
            for id_ in (await self.expect(Acknowledge)).ids:
                assert id_ == missing.pop(0)

    async def send(self, *messages: Message) -> None:
        """Send messages in one chunk."""
        await self.send_bytes(b"".join(encode(message) for message in messages))

    async def send_bytes(self, chunk: bytes) -> None:
        """Send a chunk of anything."""
        assert self._wire is not None
        await self._wire.send(chunk)

    async def cut(self) -> None:
        """Break the connection."""
        assert self._wire is not None
        await self._wire.aclose()

    async def grant(self, channel: str = "c1", *, expires: float = 4e9) -> RequestChannel:
        """Wait for a channel request and grant it."""
        request = await self.expect(RequestChannel)
        uri = f"http://push.test/w/?token={channel}"
        await self.send(ChannelGranted(request.request, channel, uri, expires, self.now()))
        return request

    def close(self) -> None:
        """Close what waits for devices."""
        self._send.close()
        self._connections.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve each connection to a port of this machine by a handler, until the block ends; what goes on then is cut off."""
    under_way: set[asyncio.Task[None] | None] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way.add(asyncio.current_task())
        with suppress(
            asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError
        ):  # the block or its peer has ended
            try:
                await handler(reader, writer)
            finally:
                writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in filter(None, under_way):
            task.cancel()


def payload(
    id_: str,
    body: bytes = b"ding",
    channel: str = "c1",
    expires: float | None = None,
    priority: int = 3,
    *,
    sent: float | None = None,
) -> Payload:
    """Build a raw payload."""
    return Payload(id_, channel, NotificationType.RAW, body, expires, priority, sent)


async def next_messages(mailbox: Mailbox, patience: float = PATIENCE) -> list[Message]:
    """Wait for the next batch of a mailbox and decode it."""
    with anyio.fail_after(patience):
        return [decode(frame) for frame in await mailbox.batch()]


def waiting_messages(mailbox: Mailbox) -> list[Message]:
    """Decode what waits in a mailbox now, without letting another task run."""
    frames = [*mailbox._replies, *mailbox._states.values(), *mailbox._frames]
    mailbox._replies.clear()
    mailbox._states.clear()
    mailbox._frames.clear()
    return [decode(frame) for frame in frames]
