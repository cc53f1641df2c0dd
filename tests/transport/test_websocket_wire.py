"""The wire over a real WebSocket."""

from __future__ import annotations

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tocsin.protocol.messages.unpacking import MAX_CHUNK
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import WireBroken


async def echo(connection: ServerConnection) -> None:
    """Send back what comes, and leave when told to."""
    async for chunk in connection:
        if chunk == b"leave":
            return
        await connection.send(chunk)


async def test_chunks_go_both_ways_unchanged() -> None:
    """Binary messages arrive as they were sent."""
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with dial_websocket(f"ws://127.0.0.1:{port}/device") as wire:
            for chunk in (b"", b"\x00\xff", bytes(100_000)):
                await wire.send(chunk)
                assert await wire.receive() == chunk


async def test_an_end_by_the_peer_is_a_broken_wire() -> None:
    """Both directions tell that the service ended the connection."""
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with dial_websocket(f"ws://127.0.0.1:{port}/device") as wire:
            await wire.send(b"leave")
            with pytest.raises(WireBroken, match=r"has cut the connection off \(it closed with 1000\)"):
                await wire.receive()
            with pytest.raises(WireBroken, match=r"has cut the connection off \(it closed with 1000\)"):
                await wire.send(b"anybody?")


async def test_a_chunk_that_is_too_long_breaks_the_wire() -> None:
    """A service cannot fill the device's memory."""

    async def flood(connection: ServerConnection) -> None:
        await connection.send(bytes(MAX_CHUNK + 1))
        await connection.wait_closed()

    async with serve(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with dial_websocket(f"ws://127.0.0.1:{port}/device") as wire:
            with pytest.raises(WireBroken):
                await wire.receive()
