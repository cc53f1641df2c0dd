"""The WebSocket to a service, against one that the library serves, and one that answers by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode

from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport import service_socket
from tocsin.transport.opening import Attempt, open_websocket
from tocsin.transport.service_socket import ServiceSocket, SocketClosed
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import WireBroken

Handler = Callable[[ServerConnection], Coroutine[Any, Any, None]]


@asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[ServiceSocket]:
    """Connect to a service."""
    async with serve(handler, "127.0.0.1", 0) as server:
        socket = await open_websocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device", None, Attempt())
        try:
            yield socket
        finally:
            await socket.abort()


async def endlessly(socket: ServiceSocket) -> None:
    """Send on and on."""
    while True:
        await socket.send(bytes(500_000))


async def test_a_message_in_parts_is_one_chunk() -> None:
    """Empty parts too, with a ping between; each that follows is one of its own."""

    async def in_parts(connection: ServerConnection) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b""
            yield b"a"
            await connection.ping()
            yield b""
            yield b"b"

        await connection.send(parts())
        await connection.send(b"c")
        await connection.wait_closed()

    async with connected(in_parts) as socket:
        assert [await socket.receive(), await socket.receive()] == [b"ab", b"c"]


async def test_what_came_before_the_end_is_received_before_it_is_told() -> None:
    """However late that is."""

    async def leave(connection: ServerConnection) -> None:
        await connection.send(b"1")
        await connection.send(b"2")

    async with connected(leave) as socket:
        await socket.aclose(CloseCode.NORMAL_CLOSURE)
        assert [await socket.receive(), await socket.receive()] == [b"1", b"2"]
        with pytest.raises(SocketClosed):
            await socket.receive()
        with pytest.raises(SocketClosed):
            await socket.send(b"late")


async def test_a_service_that_is_not_read_has_to_wait() -> None:
    """So many chunks wait here at most, and what the system holds; all arrive, in order."""
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        for number in range(200):
            await connection.send(number.to_bytes(2, "big") * 50_000)
            sent += 1
        await connection.wait_closed()

    async with connected(flood) as socket:
        before = -1
        while before < sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 200
        for number in range(200):
            assert (await socket.receive())[:2] == number.to_bytes(2, "big")


async def test_who_sends_waits_for_a_service_that_does_not_read() -> None:
    """And goes on when it does; where the connection is lost meanwhile, that is told."""
    reads = anyio.Event()

    async def slow(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await reads.wait()
        connection.transport.resume_reading()
        async for _ in connection:
            pass

    async with connected(slow) as socket:
        with anyio.move_on_after(0.3) as scope:
            await endlessly(socket)
        assert scope.cancelled_caught
        reads.set()
        with anyio.fail_after(10):
            await socket.send(b"")


async def test_a_connection_that_is_lost_lets_who_sends_go() -> None:
    """It waits for room that never comes."""

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.sleep(0.3)
        connection.transport.abort()

    async with connected(deaf) as socket:
        with anyio.fail_after(10), pytest.raises(SocketClosed):
            await endlessly(socket)


async def test_a_chunk_may_be_taken_in_the_turn_in_which_it_comes() -> None:
    """One that is not taken waits, and so do those behind it, until all of them were received."""
    taken: list[bytes] = []
    last = asyncio.Event()

    def take(chunk: bytes) -> bool:
        if chunk in {b"2", b"3"}:
            return False
        taken.append(chunk)
        if chunk == b"4":
            last.set()
        return True

    async def echo(connection: ServerConnection) -> None:
        async for chunk in connection:
            await connection.send(chunk)

    async with connected(echo) as socket:
        socket.take = take
        for chunk in (b"1", b"2", b"3"):
            await socket.send(chunk)
        assert [await socket.receive(), await socket.receive()] == [b"2", b"3"]
        await socket.send(b"4")
        await last.wait()
        assert taken == [b"1", b"4"]


@pytest.mark.parametrize("ends", [b"\x88\x05\x0f\xa1why", b"\x82\x7f" + b"\xff" * 8])
async def test_a_service_that_closes_and_stays_is_cut_off(ends: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a close frame, or by what is no WebSocket any more, and without ever closing its connection."""
    monkeypatch.setattr(service_socket, "CLOSE_TIMEOUT", 0.05)
    left = asyncio.Event()

    async def stay(connection: ServerConnection) -> None:
        connection.transport.write(ends)
        connection.transport.pause_reading()
        await left.wait()
        connection.transport.abort()

    async with serve(stay, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device"
        async with dial_websocket(url) as wire:
            with anyio.fail_after(5), pytest.raises(WireBroken) as caught:
                await wire.receive()
        left.set()
    assert caught.value.cause in {ConnectionCause.REPLACED, ConnectionCause.PROTOCOL}


async def test_leaving_does_not_wait_for_a_service_that_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off after the time for that."""
    monkeypatch.setattr(service_socket, "CLOSE_TIMEOUT", 0.05)
    left = asyncio.Event()

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await left.wait()
        connection.transport.abort()

    async with serve(deaf, "127.0.0.1", 0) as server:
        with anyio.fail_after(5):
            async with dial_websocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device"):
                pass
        left.set()


async def test_a_service_that_answers_pings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However silent it is otherwise."""
    monkeypatch.setattr(service_socket, "PING_INTERVAL", 0.05)

    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with connected(silent) as socket:
        with anyio.move_on_after(0.6) as scope:
            await socket.receive()
        assert scope.cancelled_caught
        assert socket._asked_at > 0
