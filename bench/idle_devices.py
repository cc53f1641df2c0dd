"""Devices that are connected and do nothing: ``python -m bench.idle_devices PORT COUNT STEPS``.

Each is a bare socket with as much of RFC 6455 as it takes to say hello and to answer pings. After every step it prints
how many are connected.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from typing import ClassVar

from bench.receiving import say, until_input_ends
from tocsin.protocol.messages import Hello
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import PROTOCOL_VERSION

_AT_ONCE = 100  # connections that are being made at a time
_HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_PING, _PONG = 0x89, 0x8A
_MASKED = 0x80
_LONG = 126  # bytes of which a frame says the length in two more


class IdleDevice(asyncio.BufferedProtocol):
    """One device's connection; all read into one buffer, since asyncio's own of 256 KiB is a mapping for each chunk that comes.

    :param key: the secret by which the service knows it.
    """

    BINARY: ClassVar = 0x82
    """The first byte of a frame that carries a message whole."""
    PATH = "/device"
    _BUFFER: ClassVar = memoryview(bytearray(64 * 1024))

    def __init__(self, key: str) -> None:
        self._hello = encode(Hello(PROTOCOL_VERSION, key))
        self._transport: asyncio.Transport | None = None
        self._open = False
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_HANDSHAKE.format(self.PATH).encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer of all devices: what comes is taken at once."""
        del sizehint
        return self._BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Begin once the socket is open; then take what comes."""
        data = bytes(self._BUFFER[:nbytes])
        if self._open:
            self.take(data)
            return
        self._open = data.startswith(b"HTTP/1.1 101")
        assert self._open, data
        self.begin()

    def begin(self) -> None:
        """Say hello."""
        self.send(self.BINARY, self._hello)

    def take(self, data: bytes) -> None:
        """Take the welcome; answer pings. Nothing longer comes, or in pieces."""
        if data[0] == _PING:
            self.send(_PONG, data[2 : 2 + data[1]])
        else:
            self.greeted()

    def greeted(self) -> None:
        """Take the welcome."""
        if not self.welcomed.done():
            self.welcomed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the wait for the welcome, if the connection ends before it."""
        if not self.welcomed.done():
            self.welcomed.set_exception(exc or ConnectionError("the service hung up"))

    def leave(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()

    def send(self, kind: int, body: bytes) -> None:
        """Send a frame of 64 KiB at most."""
        assert self._transport is not None
        length = len(body)
        size = bytes([_MASKED | length]) if length < _LONG else bytes([_MASKED | _LONG]) + length.to_bytes(2, "big")
        self._transport.write(bytes([kind]) + size + bytes(4) + body)


async def connected_devices(port: int, numbers: Iterable[int], make: Callable[[int], IdleDevice]) -> None:
    """Connect devices, so many at a time, and wait until all are welcomed."""
    turns = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(number: int) -> None:
        async with turns:
            _, device = await loop.create_connection(lambda: make(number), "127.0.0.1", port)
            await device.welcomed

    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(one(number))


async def connect(port: int, count: int, steps: int) -> None:
    """Connect so many devices, and keep them until the input ends."""
    for step in range(steps):
        numbers = range(step * count // steps, (step + 1) * count // steps)
        await connected_devices(port, numbers, lambda number: IdleDevice(f"idle device {number:032d}"))
        say(numbers.stop)
    await until_input_ends()


if __name__ == "__main__":
    asyncio.run(connect(*map(int, sys.argv[1:])))
