"""The wire over a real WebSocket."""

from __future__ import annotations

import socket

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tocsin.protocol.codec import MAX_CHUNK
from tocsin.transport.websocket import _is_own_machine, dial_websocket
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
            with pytest.raises(WireBroken, match="ended the connection"):
                await wire.receive()
            with pytest.raises(WireBroken, match="ended the connection"):
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


async def test_nobody_there_is_a_broken_wire_with_a_reason() -> None:
    """A refused connection names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(WireBroken, match=f"no connection to the push service at ws://127.0.0.1:{port}"):
        async with dial_websocket(f"ws://127.0.0.1:{port}/device"):
            pass


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("push.example", False), ("10.0.0.1", False)],
)
def test_the_own_machine_is_never_reached_through_a_proxy(host: str, own: bool) -> None:
    """Loopback is the own machine, everything else is not."""
    assert _is_own_machine(host) is own
