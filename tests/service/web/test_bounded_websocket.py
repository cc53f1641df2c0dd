"""The server's side of a WebSocket: what an application and a peer may do, and what becomes of who does more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import CloseCode

from tests.e2e.websocket_attacks import BINARY, CLOSE, CONTINUE, PING, PONG, TEXT, frame
from tests.service.web.played_connection import PlayedConnection
from tests.service.web.test_web_server import Echo, Flood, running
from tests.service.world import ending
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.url_paths import DEVICE_PATH
from tocsin.service.web.bounded_websocket import MAX_HOLLOW, MAX_UNREAD, SMALL, BoundedWebSocket
from tocsin.service.web.shared_state import CHUNK
from tocsin.service.web.web_server import WebServer
from tocsin.service.web.websocket import OpenWebSocket, WebSocket

_HANDSHAKE = (
    b"GET /device HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Listener(Echo):
    """Keeps what it is sent, and reads no more after each message where it is told so."""

    pauses = False

    def take(self, message: bytes | str) -> None:
        """Keep it."""
        self.said.append(message)
        if self.pauses:
            self.socket.pause()


class Opening:
    """Opens WebSockets, and remembers the receiver of the last."""

    def __init__(self, make: Callable[[WebSocket], Echo] = Listener) -> None:
        self._make = make

    def __call__(self, socket: WebSocket) -> Echo:
        """Open one."""
        self.last = self._make(socket)
        return self.last


@asynccontextmanager
async def connected(opening: OpenWebSocket) -> AsyncIterator[ClientConnection]:
    """Connect to a server that opens WebSockets so."""
    async with (
        running(opening=opening) as (_, port),
        connect(f"ws://127.0.0.1:{port}/device", compression=None) as client,
    ):
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

    async with connected(Echo) as client:
        await client.send(pieces())
        assert await client.recv() == b"in three pieces"
        await (await client.ping())


async def test_a_message_that_is_too_big_ends_the_connection() -> None:
    """The server says so as soon as it knows."""
    async with connected(Listener) as client:
        client.transport.write(b"\x82\xff" + (2**30).to_bytes(8, "big") + bytes(4))
        code, words = await closed(client)
    assert code == CloseCode.MESSAGE_TOO_BIG
    assert words == "frame with 1073741824 bytes exceeds limit of 262144 bytes"


async def test_text_is_handed_over_as_text() -> None:
    """What is no UTF-8 in it is replaced."""
    opening = Opening()
    async with connected(opening) as client:
        await client.send("text")
        client.transport.write(frame(TEXT, b"te\xfft"))
        await _until(lambda: len(opening.last.said) == 2)
    assert opening.last.said == ["text", "te\ufffdt"]


async def test_a_receiver_that_closes_has_the_last_word() -> None:
    """What the peer sends afterwards is dropped, and the peer's answer ends the connection."""
    opening = Opening()
    async with connected(opening) as client:
        opening.last.socket.close(4000, "enough")
        opening.last.socket.close(4001, "twice")
        opening.last.socket.send(b"too late")
        await client.send(b"too late too")
        assert await closed(client) == (4000, "enough")
        await _until(lambda: opening.last.end is not None)
    assert (opening.last.end, opening.last.said) == (4000, [])


async def test_a_peer_that_closes_is_answered() -> None:
    """The receiver hears the peer's code, and what it sends goes nowhere."""
    opening = Opening()
    async with connected(opening) as client:
        await client.close(4001)
        assert client.close_code == 4001
        assert opening.last.end == 4001
        opening.last.socket.send(b"too late")


async def test_a_peer_that_vanishes_is_noticed() -> None:
    """Its receiver hears of it once."""
    opening = Opening()
    async with connected(opening) as client:
        client.transport.abort()
        await _until(lambda: opening.last.end is not None)
    assert opening.last.end == CloseCode.ABNORMAL_CLOSURE


async def test_what_is_not_wanted_is_refused() -> None:
    """With 403, if the handshake is right."""
    async with running(opening=lambda _: None) as (_, port):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/device")
    response = caught.value.response
    assert (response.status_code, response.headers["Connection"], response.body) == (403, "close", b"Forbidden\n")
    assert "Date" in response.headers


async def test_who_is_behind_a_connection_is_known_while_it_opens() -> None:
    """By address and headers, which are let go of then."""
    seen: list[object] = []

    def look(socket: WebSocket) -> Listener:
        seen.extend((socket.client, dict(socket.headers)[b"x-forwarded-for"]))
        return Listener(socket)

    opening = Opening(look)
    async with running(opening=opening) as (_, port):
        headers = {"X-Forwarded-For": "192.0.2.1"}
        async with connect(f"ws://127.0.0.1:{port}/device", additional_headers=headers) as client:
            assert seen == [client.local_address, b"192.0.2.1"]
            assert opening.last.socket.headers == []


async def test_one_that_cannot_be_opened_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    """With 500, and a line in the log."""

    def fail(_: WebSocket) -> NoReturn:
        raise ValueError("it is broken")

    async with running(opening=fail) as (_, port):
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/device")
    assert caught.value.response.status_code == 500
    assert "it is broken" in caplog.text


async def test_a_receiver_that_fails_ends_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Without a close frame: the fault is ours."""

    class Broken(Listener):
        def take(self, message: bytes | str) -> None:
            raise ValueError(f"it is broken by {message!r}")

        def ended(self, code: int) -> None:
            raise ValueError(f"it has ended with {code}")

    async with connected(Broken) as client:
        await client.send(b"x")
        with pytest.raises(ConnectionClosed) as caught:
            await client.recv()
    assert caught.value.rcvd is None
    assert "it is broken by b'x'" in caplog.text
    assert "it has ended with 1006" in caplog.text


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


@asynccontextmanager
async def _raw(
    opening: OpenWebSocket = Listener,
) -> AsyncIterator[tuple[WebServer, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a WebSocket by hand."""
    async with running(opening=opening) as (server, port):
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
        await _until(lambda: _of(server)._reader.hollow == 1 + MAX_HOLLOW // 2)
        assert _of(server)._reader.size <= MAX_HOLLOW
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
            await _until(lambda: _of(server)._reader.hollow == MAX_HOLLOW)
            assert _of(server).ping()
            assert await reader.readexactly(2) == b"\x89\x00", number


async def test_pings_whose_pongs_are_not_read_are_not_read_either() -> None:
    """What waits to be written stays within its bound, however much is sent."""
    async with _raw() as (server, reader, writer):
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        server_side = _of(server)
        server_side._reader.hollow = -1_000_000  # the bound on their number is not what is tried here
        most = 0
        for _ in range(400):
            # At once: from 3.12 on asyncio counts at each write how much waits.
            writer.write(200 * frame(PING, bytes(125)))
            for _ in range(20):
                await asyncio.sleep(0)
            most = max(most, server_side.transport.get_write_buffer_size())
        assert not server_side._reads
        assert MAX_UNREAD < most <= MAX_UNREAD + 2 * CHUNK
        transport.resume_reading()
        async with asyncio.timeout(10):
            while not server_side._reads:
                assert await reader.read(65_536)


def played(opening: OpenWebSocket) -> tuple[PlayedConnection, BoundedWebSocket]:
    """Open a WebSocket without a network."""
    connection = PlayedConnection()
    connection.shared.websockets = {DEVICE_PATH.encode(): opening}
    connection.hear(_HANDSHAKE)
    socket = connection.transport.protocol
    assert isinstance(socket, BoundedWebSocket)
    return connection, socket


def hear(socket: BoundedWebSocket, data: bytes) -> None:
    """Let a WebSocket read."""
    for start in range(0, len(data), CHUNK):
        piece = data[start : start + CHUNK]
        socket.get_buffer(-1)[: len(piece)] = piece
        socket.buffer_updated(len(piece))


@pytest.mark.parametrize(
    "end",
    [
        lambda socket: hear(socket, frame(CLOSE)),
        lambda socket: hear(socket, frame(3)),
        lambda socket: hear(socket, frame(PING) * (MAX_HOLLOW // 2) + frame(PONG) * (MAX_HOLLOW // 2 + 1)),
        lambda socket: socket.eof_received(),
        lambda socket: socket.hang_up(),
        lambda socket: socket.close(4000, ""),
        lambda socket: socket.fail(ValueError("its own")),
    ],
    ids=["closed", "broken", "hollow", "half closed", "hung up", "to be closed", "failed"],
)
async def test_one_that_ends_is_not_waited_for_without_end(end: Callable[[BoundedWebSocket], None]) -> None:
    """However it ends: a peer that does not read the last, or answer it, is cut off, and takes no place meanwhile."""
    opening = Opening()
    connection, socket = played(opening)
    connection.transport.waiting = 1
    end(socket)
    assert "abort" not in connection.transport.done
    connection.clock.time = ServiceSettings().write_timeout
    connection.book.sweep()
    assert connection.transport.done[-1] == "abort"
    socket.connection_lost(None)
    assert opening.last.end is not None


async def test_a_refused_handshake_is_not_waited_for_without_end() -> None:
    """Its answer may not be read either."""
    connection, socket = played(lambda _: None)
    connection.clock.time = ServiceSettings().write_timeout
    connection.book.sweep()
    assert connection.transport.done == ["close", "abort"]
    socket.connection_lost(None)


@pytest.mark.parametrize("sent", [frame(PING), frame(BINARY, b"x")], ids=["pings", "messages"])
async def test_a_peer_that_has_gone_is_answered_once(sent: bytes) -> None:
    """What came with it is taken all the same, and not answered: asyncio would log each answer that cannot be sent."""
    opening = Opening(Echo)
    connection, socket = played(opening)
    connection.transport.is_broken = True
    hear(socket, sent * 10 + frame(BINARY, b"acknowledgement") + frame(CLOSE))
    socket.close(4000, "")
    socket.shutdown()
    assert set(connection.transport.done) <= {"abort", "close"}
    assert opening.last.said[-1] == b"acknowledgement"
    socket.connection_lost(None)
    assert connection.book.count == 0


async def test_what_waits_for_the_receiver_is_little() -> None:
    """What it does not want yet stays with the system, but for one chunk; what it works on is known to be kept."""
    opening = Opening()
    async with _raw(opening) as (server, _, writer):
        server_side, receiver = _of(server), opening.last
        assert isinstance(receiver, Listener)
        receiver.pauses = True
        writer.write(frame(BINARY, b"x") * 10_000)
        for _ in range(50):
            await asyncio.sleep(0)
        assert receiver.said == [b"x"]
        assert not server_side._reads
        assert server_side._reader.size <= CHUNK
        for number in range(2, 5):
            receiver.socket.resume()
            assert receiver.said == [b"x"] * number
        receiver.pauses = False
        receiver.socket.resume()
        await _until(lambda: len(receiver.said) == 10_000)
        long = frame(BINARY, bytes(100_000))
        writer.write(long[:-1])
        await _until(lambda: sum(server.shared.book._held.values()) > 99_000)
        receiver.pauses = True
        writer.write(long[-1:])
        await _until(lambda: len(receiver.said) == 10_001)
        assert server.shared.book._held == {server_side: 100_000}
        receiver.socket.resume()
        assert not server.shared.book._held


async def test_a_message_is_handed_over_in_the_turn_in_which_it_came() -> None:
    """All that came with it, too; small ones are not counted as kept."""
    opening = Opening()
    async with _raw(opening) as (server, _, __):
        server_side = _of(server)
        chunk = frame(BINARY, b"x") * 3 + frame(BINARY, bytes(SMALL // 2))[:-1]
        server.shared.buffer[: len(chunk)] = chunk[:CHUNK]
        server_side.buffer_updated(min(len(chunk), CHUNK))
        assert opening.last.said == [b"x"] * 3
        assert not server.shared.book._held


async def test_a_receiver_hears_when_the_peer_reads_again() -> None:
    """It may send then; before, it was told that it had better not."""
    opening = Opening(Flood)
    async with _raw(opening) as (server, reader, writer):
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        await _until(lambda: not opening.last.socket.is_writable)
        assert server.shared.book._stalled
        sent = _of(server).transport.get_write_buffer_size()
        assert sent > MAX_UNREAD
        transport.resume_reading()
        async with asyncio.timeout(10):
            assert len(await reader.readexactly(sent + 1_000_000))


async def test_who_goes_on_after_it_was_told_why_is_cut_off() -> None:
    """A peer that does not read the close frame cannot keep the service reading."""
    opening = Opening()
    async with _raw(opening) as (server, _, writer):
        opening.last.socket.close(1008, "")
        for _ in range(MAX_HOLLOW + 2):
            writer.write(frame(BINARY, b"x"))
        await _until(lambda: not server.shared.connections)


async def test_a_receiver_that_is_busy_hears_of_a_close_when_it_goes_on() -> None:
    """In its order, behind what was sent before."""
    opening = Opening()
    async with _raw(opening) as (_, reader, writer):
        receiver = opening.last
        assert isinstance(receiver, Listener)
        receiver.pauses = True
        writer.write(frame(BINARY, b"1") + frame(BINARY, b"2") + frame(CLOSE, b"\x0f\xa1"))
        await _until(lambda: receiver.said == [b"1"])
        receiver.socket.resume()
        assert (receiver.said, receiver.end) == ([b"1", b"2"], None)
        receiver.socket.resume()
        assert receiver.end == 4001
        assert await reader.read() == b"\x88\x02\x0f\xa1"


async def test_a_busy_receiver_that_closes_hears_the_answer() -> None:
    """What was read before is passed over, and the connection ends with the peer's close frame."""
    opening = Opening()
    async with _raw(opening) as (_, __, writer):
        receiver = opening.last
        assert isinstance(receiver, Listener)
        receiver.pauses = True
        writer.write(frame(BINARY, b"1") + frame(BINARY, b"2") + frame(CLOSE, b"\x0f\xa1"))
        await _until(lambda: receiver.said == [b"1"])
        receiver.socket.close(4000, "")
        assert (receiver.said, receiver.end) == ([b"1"], 4001)


async def test_a_connection_that_has_ended_is_not_kept_for_its_ping() -> None:
    """Who comes and goes quickly would fill the line of those who are pinged."""
    async with running() as (server, port):
        for _ in range(3):
            async with connect(f"ws://127.0.0.1:{port}/device") as client:
                await client.send(b"hello")
        await _until(lambda: not server.shared.connections)
        assert not server.shared.heart._line
        assert server.shared.book.count == 0
