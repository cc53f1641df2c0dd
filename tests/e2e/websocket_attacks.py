"""What strangers might do over WebSocket, which anyone may open who can reach the service."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests.e2e.strangers import Target, several
from tocsin.protocol.messages import (
    Acknowledge,
    Hello,
    Message,
    PowerState,
    RequestChannel,
    RevokeChannels,
    Suspended,
    UnwantedChanged,
)
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.unwanted import Unwanted

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
AT_ONCE: Final = 100
"""Connections that attack at the same time."""

HANDSHAKE: Final = (
    b"GET /device HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Attack = Callable[[Target], Coroutine[Any, Any, str]]


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, length: int | None = None) -> bytes:
    """Write a frame as a client does, with a mask that changes nothing; ``length`` may promise more than there is."""
    size = len(data) if length is None else length
    head = bytes([opcode | (0x80 if fin else 0)])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + bytes(4) + data


def said(*messages: Message) -> bytes:
    """Write a device's messages as one frame."""
    return frame(BINARY, b"".join(map(encode, messages)))


def hello(index: int) -> bytes:
    """Write the greeting of a device of its own."""
    return said(Hello(1, f"a stranger's device of thirty-two {index:09}"))


async def _opened(target: Target, index: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await target.open(index)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def _flood(target: Target, chunk: bytes, *, begin: bytes = b"", greets: bool = True, reads: bool = True) -> str:
    """Open many, and send a chunk without end on each; read what is answered, or nothing at all."""

    async def one(index: int) -> str:
        reader, writer = await _opened(target, index)
        try:
            if greets:
                writer.write(hello(index))
            writer.write(begin)
            if not reads:
                transport = writer.transport
                assert isinstance(transport, asyncio.Transport)
                transport.pause_reading()
            while not reader.at_eof():
                writer.write(chunk)
                await writer.drain()
                if reads:
                    await asyncio.sleep(0)
            return _code(await reader.read())
        finally:
            writer.transport.abort()

    return await several(target, min(AT_ONCE, target.number), one)


async def _hold(target: Target, begin: bytes, *, greets: bool = True, connections: int = AT_ONCE) -> str:
    """Open many, send something on each, and then nothing more."""

    async def one(index: int) -> str:
        reader, writer = await _opened(target, index)
        try:
            writer.write((hello(index) if greets else b"") + begin)
            return _code(await reader.read())
        finally:
            writer.transport.abort()

    return await several(target, min(connections, target.number), one)


def _code(answer: bytes) -> str:
    """Find the close frame at the end of what was answered."""
    at = answer.rfind(b"\x88")
    return f"closed with {int.from_bytes(answer[at + 2 : at + 4], 'big')}" if 0 <= at < len(answer) - 3 else "cut off"


async def empty_fragments(target: Target) -> str:
    """Begin a message, and go on with it without content for ever."""
    return await _flood(target, frame(CONTINUE, fin=False) * 2_000, begin=frame(BINARY, fin=False))


async def small_fragments(target: Target) -> str:
    """Send a message byte by byte."""
    return await _flood(target, frame(CONTINUE, b"x", fin=False) * 2_000, begin=frame(BINARY, fin=False))


async def large_fragments(target: Target) -> str:
    """Send a message that never ends."""
    return await _flood(target, frame(CONTINUE, bytes(60_000), fin=False), begin=frame(BINARY, fin=False))


async def unread_pings(target: Target) -> str:
    """Send long pings, and read none of the answers."""
    return await _flood(target, frame(PING, bytes(125)) * 500, reads=False)


async def read_pings(target: Target) -> str:
    """Send short pings, and read the answers."""
    return await _flood(target, frame(PING) * 2_000)


async def pongs(target: Target) -> str:
    """Answer pings that were never sent."""
    return await _flood(target, frame(PONG, bytes(125)) * 500)


async def empty_messages(target: Target) -> str:
    """Send messages without content."""
    return await _flood(target, frame(BINARY) * 2_000)


async def empty_texts(target: Target) -> str:
    """Send texts without content before any greeting."""
    return await _flood(target, frame(TEXT) * 2_000, greets=False)


async def small_messages(target: Target) -> str:
    """Acknowledge nothing, in very many messages."""
    return await _flood(target, said(Acknowledge(())) * 2_000)


async def many_frames(target: Target) -> str:
    """Acknowledge nothing, very often in each message."""
    return await _flood(target, said(*[Acknowledge(())] * 60_000))


async def unknown_ids(target: Target) -> str:
    """Acknowledge what was never sent, as much as goes into a message."""
    return await _flood(target, said(*[Acknowledge(("x",) * 4_000)] * 25))


async def half_messages(target: Target) -> str:
    """Send all of the longest message but its last byte, and wait."""
    return await _hold(target, frame(BINARY, bytes(256 * 1024 - 1), length=256 * 1024), connections=4 * AT_ONCE)


async def half_fragments(target: Target) -> str:
    """Send most of the longest message in two parts, and wait."""
    parts = frame(BINARY, bytes(128 * 1024), fin=False), frame(CONTINUE, bytes(127 * 1024), fin=False)
    return await _hold(target, b"".join(parts), connections=4 * AT_ONCE)


async def promises(target: Target) -> str:
    """Promise a frame of a gigabyte."""
    return await _hold(target, frame(BINARY, length=2**30))


async def unread_answers(target: Target) -> str:
    """Ask for channels without end, and read none of the answers."""
    asked = said(*[RequestChannel(number, "app", "nobody's remote id", "") for number in range(1_000)])
    return await _flood(target, asked, reads=False)


async def unread_revocations(target: Target) -> str:
    """Give up channels that there are not, and read none of the answers."""
    return await _flood(target, said(*[RevokeChannels(number, "app") for number in range(1_000)]), reads=False)


async def power_states(target: Target) -> str:
    """Report power states with as many exempt apps as go into a frame, and stay."""
    exempt = tuple(f"{number:012}" for number in range(4_000))
    return await _hold(target, said(PowerState(screen_on_or_plugged=False, battery_saver=True, exempt=exempt)))


async def unwanted_pushes(target: Target) -> str:
    """Want nothing of as many apps as may be named, under ever new names, which the service would remember."""
    apps = tuple(f"{number:0120}" for number in range(256))
    return await _hold(target, said(UnwantedChanged(Unwanted(apps=apps))))


async def changes_of_mind(target: Target) -> str:
    """Say by turns that nothing can be stored, and that it can."""
    turns = [Suspended(suspended=bool(number % 2)) for number in range(2_000)]
    return await _flood(target, said(*turns))


async def silence(target: Target) -> str:
    """Open a WebSocket, and say nothing."""
    return await _hold(target, b"", greets=False)


async def greeted_silence(target: Target) -> str:
    """Greet, and say nothing more; not even pings are answered."""
    return await _hold(target, b"")


async def closed_and_on(target: Target) -> str:
    """Say goodbye, and go on sending."""
    return await _flood(target, frame(CLOSE) + frame(BINARY, bytes(1_000)) * 50, reads=False)


async def rejected_and_on(target: Target) -> str:
    """Break the protocol, and go on sending, without reading why the connection is closed."""
    return await _flood(target, said(Acknowledge(())) + frame(PING, bytes(125)) * 500, greets=False, reads=False)


async def comings_and_goings(target: Target) -> str:
    """Greet, leave, and come again, as fast as it goes, with one identity."""

    async def one(index: int) -> str:
        for _ in itertools.count():
            _, writer = await _opened(target, index)
            writer.write(hello(0))
            await writer.drain()
            writer.transport.abort()
        return ""

    return await several(target, min(AT_ONCE, target.number), one)


async def half_handshakes(target: Target) -> str:
    """Begin handshakes with as long heads as are allowed, and end none."""

    async def one(index: int) -> str:
        reader, writer = await target.open(index)
        try:
            writer.write(HANDSHAKE[:-2] + b"X: " + b"x" * 31_000)
            await reader.read()
            return "cut off"
        finally:
            writer.transport.abort()

    return await several(target, min(15 * AT_ONCE, target.number), one)


WEBSOCKET_ATTACKS: Final[tuple[Attack, ...]] = (
    empty_fragments, small_fragments, large_fragments, unread_pings, read_pings, pongs, empty_messages, empty_texts,
    small_messages, many_frames, unknown_ids, half_messages, half_fragments, promises, unread_answers, unread_revocations,
    power_states, unwanted_pushes, changes_of_mind, silence, greeted_silence, closed_and_on, rejected_and_on, comings_and_goings,
    half_handshakes,
)  # fmt: skip
