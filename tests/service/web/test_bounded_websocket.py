"""The server's side of a WebSocket: what an application and a peer may do, and what becomes of who does more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode

from tests.e2e.websocket_attacks import BINARY, CONTINUE, PING, PONG, frame
from tests.service.web.test_web_server import greet, running
from tests.service.world import ending
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.bounded_websocket import AHEAD, MAX_UNREAD, SMALL, BoundedWebSocket
from tocsin.service.web.message_assembly import MAX_HOLLOW
from tocsin.service.web.shared_state import CHUNK
from tocsin.service.web.web_server import WebServer

_HANDSHAKE = (
    b"GET /device HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[ClientConnection]:
    """Connect to a server that runs that application."""
    async with running(app) as (_, port), connect(f"ws://127.0.0.1:{port}/device", compression=None) as client:
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
            await connect(f"ws://127.0.0.1:{port}/device")
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


async def test_a_handshake_without_a_key_is_refused() -> None:
    """It is no WebSocket."""
    async with running() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /device HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_server_that_leaves_says_so() -> None:
    """The peer may come again soon."""
    async with running() as (server, port):
        client = await connect(f"ws://127.0.0.1:{port}/device")
        server.leave()
        assert (await closed(client))[0] == CloseCode.SERVICE_RESTART


async def test_a_peer_that_does_not_answer_pings_is_left() -> None:
    """One that does stays for as long as it likes."""
    async with (
        running(settings=ServiceSettings(ping_interval=0.05)) as (_, port),
        connect(f"ws://127.0.0.1:{port}/device", ping_interval=None) as alive,
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


async def _listen(_: Scope, receive: Receive, send: Send) -> None:
    """Accept, and take what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


@asynccontextmanager
async def _raw(app: ASGIApp = _listen) -> AsyncIterator[tuple[WebServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a WebSocket by hand."""
    async with running(app) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_HANDSHAKE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        yield server, reader, writer
        writer.transport.abort()


async def _until(condition: Callable[[], bool]) -> None:
    """Let everything run until something holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)


def _of(server: WebServer) -> BoundedWebSocket:
    """Return the server's side of the one connection."""
    [connection] = server.shared.connections
    assert isinstance(connection, BoundedWebSocket)
    return connection


@pytest.mark.parametrize(
    "hollow",
    [frame(CONTINUE, fin=False), frame(CONTINUE, b"x", fin=False), frame(PING), frame(PONG, bytes(125))],
    ids=["parts without content", "small parts", "pings", "pongs"],
)
async def test_frames_that_bring_no_message_are_counted(hollow: bytes) -> None:
    """A thousand in an interval are more than anyone needs; who sends more is told so, and no memory waits for the end."""
    async with _raw() as (server, reader, writer):
        writer.write(frame(BINARY, fin=False))
        for _ in range(MAX_HOLLOW // 2):
            writer.write(hollow)
        await _until(lambda: _of(server)._incoming.hollow == 1 + MAX_HOLLOW // 2)
        assert _of(server)._incoming.size <= MAX_HOLLOW
        assert not server.shared.book._held
        for _ in range(MAX_HOLLOW - MAX_HOLLOW // 2):
            writer.write(hollow)
        assert b"\x03\xf0too many frames that bring no message" in await ending(reader)


async def test_messages_without_content_are_counted_too() -> None:
    """They are messages, but no device sends them."""
    async with _raw() as (_, reader, writer):
        writer.write(frame(BINARY) * (MAX_HOLLOW + 1))
        assert b"\x03\xf0too many frames" in await ending(reader)


async def test_the_count_begins_anew_with_each_ping() -> None:
    """So that a connection of many days may have as many control frames as it needs."""
    async with _raw() as (server, reader, writer):
        for number in range(3):
            writer.write(frame(PONG) * MAX_HOLLOW)
            await _until(lambda: _of(server)._incoming.hollow == MAX_HOLLOW)
            assert _of(server).ping()
            assert await reader.readexactly(2) == b"\x89\x00", number


async def test_pings_whose_pongs_are_not_read_are_not_read_either() -> None:
    """What waits to be written stays within its bound, however much is sent."""
    async with _raw() as (server, reader, writer):
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        server_side = _of(server)
        server_side._incoming.hollow = -1_000_000  # the bound on their number is not what is tried here
        most = 0
        for _ in range(400):
            for _ in range(200):
                writer.write(frame(PING, bytes(125)))
            for _ in range(20):
                await asyncio.sleep(0)
            most = max(most, server_side.transport.get_write_buffer_size())
        assert not server_side._reads
        assert MAX_UNREAD < most <= MAX_UNREAD + 2 * CHUNK
        transport.resume_reading()
        async with asyncio.timeout(10):
            while not server_side._reads:
                assert await reader.read(65_536)


async def test_what_waits_for_the_application_is_little() -> None:
    """Messages that it does not take stay with the system, but for one chunk; the connection is known to keep a long one."""
    taking = asyncio.Event()

    async def slow(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await taking.wait()
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with _raw(slow) as (server, _, writer):
        writer.write(frame(BINARY, b"x") * 100_000)
        server_side = _of(server)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not server_side._reads
        assert AHEAD <= len(server_side._incoming.events) <= CHUNK // 7
        taking.set()
        long = frame(BINARY, bytes(100_000))
        writer.write(long[:-1])
        await _until(lambda: sum(server.shared.book._held.values()) > 99_000)
        taking.clear()
        writer.write(long[-1:])
        await _until(lambda: not server.shared.book._held)


@pytest.mark.parametrize(("size", "waiting"), [(1, AHEAD), (SMALL - 100, 2), (SMALL + 1, 1)])
async def test_few_small_messages_are_read_ahead(size: int, waiting: int) -> None:
    """Reading stops once four messages wait for the application, or more than a connection may keep uncounted."""

    async def idle(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    async with _raw(idle) as (server, _, writer):
        server_side = _of(server)

        def wait(number: int) -> bool:
            return len(server_side._incoming.events) == number

        for number in range(1, waiting + 1):
            assert server_side._reads
            writer.write(frame(BINARY, bytes(size)))
            await _until(partial(wait, number))
        assert not server_side._reads


async def test_who_goes_on_after_it_was_told_why_is_cut_off() -> None:
    """A peer that does not read the close frame cannot keep the service reading."""

    async def close(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1008})

    async with _raw(close) as (server, _, writer):
        for _ in range(MAX_HOLLOW + 2):
            writer.write(frame(BINARY, b"x"))
        await _until(lambda: not server.shared.connections)


async def test_a_connection_that_has_ended_is_not_kept_for_its_ping() -> None:
    """Who comes and goes quickly would fill the line of those who are pinged."""
    async with running() as (server, port):
        for _ in range(3):
            async with connect(f"ws://127.0.0.1:{port}/device") as client:
                await client.send(b"hello")
        await _until(lambda: not server.shared.connections)
        assert not server.shared.heart._line
        assert server.shared.book.count == 0
