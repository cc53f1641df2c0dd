"""Devices that are connected and do nothing: ``python -m bench.idle_devices PORT COUNT STEPS``.

Each is a bare socket with as much of RFC 6455 as it takes to say hello and to answer pings. After every step it prints
how many are connected.
"""

from __future__ import annotations

import asyncio
import sys

from bench.receiving import say, until_input_ends
from tocsin.protocol.messages import Hello
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import PROTOCOL_VERSION

_AT_ONCE = 100  # connections that are being made at a time
_HANDSHAKE = (
    b"GET /device HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_BINARY, _PING, _PONG = 0x82, 0x89, 0x8A
_MASKED = 0x80


class IdleDevice(asyncio.Protocol):
    """One device's connection."""

    def __init__(self, number: int) -> None:
        self._hello = encode(Hello(PROTOCOL_VERSION, f"idle device {number:032d}"))
        self._transport: asyncio.Transport | None = None
        self._open = False
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        """Say hello once the socket is open; take the welcome; answer pings. Nothing longer comes, or in pieces."""
        if not self._open:
            self._open = data.startswith(b"HTTP/1.1 101")
            assert self._open, data
            self._send(_BINARY, self._hello)
        elif data[0] == _PING:
            self._send(_PONG, data[2 : 2 + data[1]])
        elif not self.welcomed.done():
            self.welcomed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the wait for the welcome, if the connection ends before it."""
        if not self.welcomed.done():
            self.welcomed.set_exception(exc or ConnectionError("the service hung up"))

    def _send(self, kind: int, text: bytes) -> None:
        """Send a frame; its mask is all zeros, which leaves the text as it is."""
        assert self._transport is not None
        self._transport.write(bytes([kind, _MASKED | len(text)]) + bytes(4) + text)


async def connect(port: int, count: int, steps: int) -> None:
    """Connect so many devices, and keep them until the input ends."""
    turns = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> None:
        async with turns:
            _, device = await loop.create_connection(lambda: IdleDevice(number), "127.0.0.1", port)
            await device.welcomed

    for step in range(steps):
        async with asyncio.TaskGroup() as tasks:
            for number in range(step * count // steps, (step + 1) * count // steps):
                tasks.create_task(one(number))
        say((step + 1) * count // steps)
    await until_input_ends()


if __name__ == "__main__":
    asyncio.run(connect(*map(int, sys.argv[1:])))
