"""The web server inside another program."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from aiohttp import ClientSession
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.url_paths import DEVICE_PATH
from tocsin.service.web import web_server
from tocsin.service.web.asgi_exchange import AsgiExchange
from tocsin.service.web.connections import Connections
from tocsin.service.web.web_server import WebServer
from tocsin.service.web.websocket import OpenWebSocket, WebSocket


class Echo:
    """Answers a WebSocket with what it sends."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.said: list[bytes | str] = []
        self.end: int | None = None

    def take(self, message: bytes | str) -> None:
        """Send it back."""
        self.said.append(message)
        if isinstance(message, bytes):
            self.socket.send(message)

    def flowing(self) -> None:
        """Have nothing more to send."""

    def ended(self, code: int) -> None:
        """Remember the code."""
        self.end = code


class Flood(Echo):
    """Sends over a WebSocket more than any buffer holds."""

    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        asyncio.get_running_loop().call_soon(self.flowing)

    def flowing(self) -> None:
        """Send until it is full."""
        while self.socket.is_writable:
            self.socket.send(bytes(100_000))


async def hello(_: Scope, __: Receive, send: Send) -> None:
    """Answer HTTP with a greeting."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def serve(
    opening: OpenWebSocket = Echo, settings: ServiceSettings | None = None, requests: ASGIApp = hello
) -> WebServer:
    """Make a server of these."""
    settings = settings or ServiceSettings()
    book = Connections(settings, lambda _: False, asyncio.get_running_loop().time)
    return WebServer(partial(AsgiExchange, requests), {DEVICE_PATH: opening}, settings, book, RepeatLog())


@asynccontextmanager
async def running(
    opening: OpenWebSocket = Echo, settings: ServiceSettings | None = None, requests: ASGIApp = hello
) -> AsyncIterator[tuple[WebServer, int]]:
    """Run the server on a free port."""
    server = serve(opening, settings, requests)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, listener)
            await server.ready.wait()
            yield server, port
            server.leave()


async def test_a_ready_server_answers() -> None:
    """Once it says that it is ready, requests are answered, with a date and without the server's name."""
    async with running() as (_, port), ClientSession() as http, http.get(f"http://127.0.0.1:{port}/") as response:
        assert await response.text() == "hello"
        assert "Date" in response.headers
        assert "Server" not in response.headers


async def test_signals_are_left_to_the_program() -> None:
    """Neither while it runs nor afterwards has the server touched a signal handler."""
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    async with running():
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_server_that_accepts_no_more_ends_connections_behind_their_answers() -> None:
    """So that a client knows that it needs another one."""
    async with running() as (server, port), ClientSession() as http:
        await (await http.get(f"http://127.0.0.1:{port}/")).text()
        server.accept_no_more()
        async with http.get(f"http://127.0.0.1:{port}/") as response:
            assert response.headers["Connection"] == "close"


async def test_a_connection_that_has_come_is_answered_when_the_door_closes() -> None:
    """Though the server has not taken it yet: the system would reset it, and its sender could not know what became of its request."""
    async with running() as (server, port):
        await anyio.wait_all_tasks_blocked()  # the door stands open
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            server.accept_no_more()
            await server.idle()
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
            with anyio.fail_after(10):
                answer = await asyncio.get_running_loop().sock_recv(client, 4096)
        assert answer.endswith(b"hello")
        assert b"connection: close" in answer.lower()
        with pytest.raises(OSError, match="All connection attempts failed"):
            await anyio.connect_tcp("127.0.0.1", port)


async def test_it_parts_with_senders_before_devices() -> None:
    """A connection on which nothing is asked ends; a WebSocket goes on."""
    async with running() as (server, port), connect(f"ws://127.0.0.1:{port}/device") as device:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"hello")
        server.part_with_senders()
        assert await reader.read() == b""
        writer.close()
        await device.send(b"still")
        assert await device.recv() == b"still"


async def test_leaving_takes_less_than_a_second() -> None:
    """Idle connections do not hold the server up."""
    async with ClientSession() as http:
        async with running() as (_, port):
            await (await http.get(f"http://127.0.0.1:{port}/")).text()
            before = anyio.current_time()
        assert anyio.current_time() - before < 1


async def test_cut_off_it_leaves_nothing_open() -> None:
    """A server that is cancelled, whenever, closes what it has accepted, and what it listens on."""
    server = serve(Flood)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, listener)
            client = await connect(f"ws://127.0.0.1:{port}/device", max_queue=1)
            await client.recv()
            group.cancel_scope.cancel()
        assert listener.fileno() == -1
    with pytest.raises(ConnectionClosedError):
        async for _ in client:
            pass


async def test_one_that_cannot_be_dropped_does_not_end_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours in looking for those who let us wait is logged."""
    monkeypatch.setattr(web_server, "_TICK", 0.001)
    server, looked = serve(), anyio.Event()

    def fail() -> None:
        looked.set()
        raise RuntimeError("planted")

    monkeypatch.setattr(server.shared.book, "sweep", fail)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, listener)
            await looked.wait()
            server.leave()
    assert "RuntimeError: planted" in caplog.text


async def test_a_peer_that_does_not_read_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    """What it was sent will never get there: the server does not wait for it, and nothing has failed."""
    async with running(opening=Flood) as (_, port):
        client = await connect(f"ws://127.0.0.1:{port}/device", max_queue=1)
        await client.recv()
        before = anyio.current_time()
    assert anyio.current_time() - before < 0.5
    assert not caplog.records
    with pytest.raises(ConnectionClosedError):
        async for _ in client:
            pass


@pytest.mark.parametrize("level", [logging.DEBUG, 1])
async def test_what_is_sent_and_asked_for_is_not_logged(caplog: pytest.LogCaptureFixture, level: int) -> None:
    """Even with everything logged, neither queries nor headers nor frames appear in the log."""
    caplog.set_level(level)
    async with running() as (_, port):
        async with ClientSession() as http:
            headers = {"Authorization": "my secret"}
            await (await http.get(f"http://127.0.0.1:{port}/?token=my+secret", headers=headers)).text()
        async with connect(f"ws://127.0.0.1:{port}/device") as client:
            await client.send(b"my secret")
            assert await client.recv() == b"my secret"
    told = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.client")]
    assert not any("secret" in message or "6d 79 20 73" in message for message in told)
