"""The server's side of a WebSocket: what an application and a peer may do, and what becomes of who does more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode

from tests.service.test_web import greet, running
from tocsin.service.settings import ServiceSettings

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[ClientConnection]:
    """Connect to a server that runs that application."""
    async with running(app) as (_, port), connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
        yield client


async def closed(client: ClientConnection) -> tuple[int, str]:
    """Return the code and the reason with which the server closes."""
    with pytest.raises(ConnectionClosed) as caught:
        await client.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


async def test_a_message_in_pieces_arrives_as_one() -> None:
    """With a ping between its pieces, which is answered."""

    def pieces() -> Iterator[bytes]:
        yield b"in "
        yield b"three "
        yield b"pieces"

    async with connected(greet) as client:
        await client.send(pieces())
        assert await client.recv() == b"in three pieces"
        await (await client.ping())


async def test_a_message_that_is_too_big_ends_the_connection() -> None:
    """The server says so as soon as it knows."""

    async def listen(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async with connected(listen) as client:
        client.transport.write(b"\x82\xff" + (2**30).to_bytes(8, "big") + bytes(4))
        assert (await closed(client))[0] == CloseCode.MESSAGE_TOO_BIG


async def test_an_application_that_closes_has_the_last_word() -> None:
    """What the peer sends afterwards is dropped, and the peer's answer ends the connection."""

    async def close(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})
        assert (await receive())["type"] == "websocket.disconnect"

    async with connected(close) as client:
        assert await closed(client) == (4000, "enough")


async def test_a_peer_that_closes_is_answered() -> None:
    """The application hears the peer's code, and may send nothing more."""
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def listen(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.set_result(await receive())
        await send({"type": "websocket.send", "bytes": b"too late"})

    async with connected(listen) as client:
        await client.close(4001)
        assert client.close_code == 4001
        assert await told == {"type": "websocket.disconnect", "code": 4001}


@pytest.mark.parametrize("event", ["websocket.send", "websocket.close", "websocket.http.response.body", "http.other"])
async def test_what_may_not_be_sent_yet_is_refused(event: str, caplog: pytest.LogCaptureFixture) -> None:
    """An application that fails before it accepts is answered for with 500."""

    async def confused(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": event, "bytes": b"", "body": b""})

    async with running(confused) as (_, port):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/")
    assert caught.value.response.status_code == 500
    assert f"{event} may not be sent now" in caplog.text


async def test_an_application_that_fails_ends_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Once it has accepted there is no answer to give."""

    async def fail(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise ValueError("it is broken")

    async with connected(fail) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert "it is broken" in caplog.text


async def test_a_handshake_that_cannot_be_read_is_answered() -> None:
    """The connection does not stay open without an application that would end it."""
    async with running() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /{'x' * 9_000} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
        )
        assert (await reader.read()).startswith(b"HTTP/1.1 414 ")
        writer.close()


async def test_a_handshake_without_a_key_is_refused() -> None:
    """It is no WebSocket."""
    async with running() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_server_that_leaves_says_so() -> None:
    """The peer may come again soon."""
    async with running() as (server, port):
        client = await connect(f"ws://127.0.0.1:{port}/")
        server.leave()
        assert (await closed(client))[0] == CloseCode.SERVICE_RESTART


async def test_a_peer_that_does_not_answer_pings_is_left() -> None:
    """One that does stays for as long as it likes."""
    async with (
        running(settings=ServiceSettings(ping_interval=0.05)) as (_, port),
        connect(f"ws://127.0.0.1:{port}/", ping_interval=None) as alive,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_HANDSHAKE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        said = await reader.read()
        assert said.startswith(b"\x89\x00\x88")
        assert said.endswith(b"keepalive ping timeout")
        writer.close()
        await alive.send(b"still here")
        assert await alive.recv() == b"still here"
