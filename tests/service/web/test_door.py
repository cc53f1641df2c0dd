"""Where connections come in: too many of them, too few descriptors, and what the log says of it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.web.test_web_server import running, serve
from tests.service.world import Clock, connected, ending
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.repeat_log import INTERVAL, RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.service.web import door, web_server
from tocsin.service.web.connections import MAX_HELD, Connections
from tocsin.service.web.descriptors import RESERVE, fit_to_descriptors
from tocsin.service.web.door import TOLD_AT_ONCE
from tocsin.service.web.web_server import WebServer

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def told_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of the time for those that are told and do not speak; look for slow ones ten times as often."""
    monkeypatch.setattr(door, "_TELLING", door._TELLING / 10)
    monkeypatch.setattr(web_server, "_TICK", web_server._TICK / 10)


@contextmanager
def few_descriptors(more: int) -> Iterator[None]:
    """Let this process open so many files more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    fillers = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        with suppress(OSError):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + more, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)


async def ask(opened: socket.socket) -> bytes:
    """Ask over a socket, and return how the answer begins."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        await loop.sock_sendall(opened, REQUEST)
    with anyio.fail_after(10), suppress(OSError):
        return await loop.sock_recv(opened, 12)
    return b"reset"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="how many files are open is read from Linux' /proc")
async def test_without_descriptors_connections_are_turned_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is told so at once, the log says it once, and who was there is served; afterwards all is as before."""
    async with open_service(tmp_path) as service, AsyncExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(40)]
        for client in clients:
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
        address = ("127.0.0.1", service.port)
        with few_descriptors(8):
            told = []
            for client in clients:
                await asyncio.get_running_loop().sock_connect(client, address)
                told.append(await ask(client))
            served = [client for client, answer in zip(clients, told, strict=True) if answer == b"HTTP/1.1 200"]
            assert 4 <= len(served) <= 8
            assert told.count(b"HTTP/1.1 503") >= len(clients) - len(served) - 1
            for client in served:
                while len(await asyncio.get_running_loop().sock_recv(client, 65_536)) == 65_536:
                    pass
                assert await ask(client) == b"HTTP/1.1 200"
        async with connected(service.port) as (reader, writer):
            writer.write(REQUEST)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines[0] == f"connections are turned away: {os.strerror(errno.EMFILE)}"
    assert all("more times in" in line for line in lines[1:])


@asynccontextmanager
async def full(**settings_: float) -> AsyncIterator[tuple[WebServer, int]]:
    """Run a server with few places."""
    server = serve(settings=ServiceSettings(**settings_))  # type: ignore[arg-type]  # they are numbers
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, listener)
            await server.ready.wait()
            yield server, port
            server.leave()


async def test_only_so_many_are_told_at_a_time() -> None:
    """Those that are too many cannot take more descriptors than are kept for them; beyond, they are told in passing."""
    async with full(max_connections_per_address=1) as (server, port), AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(connected(port)) for _ in range(1 + TOLD_AT_ONCE + 5)]
        for reader, _ in streams[1:]:
            assert (await ending(reader)).startswith(b"HTTP/1.1 503")
        assert server.shared.book.count == 1


@pytest.mark.parametrize("together", [True, False])
async def test_the_silent_that_give_way_are_told(*, together: bool) -> None:
    """Whether they have been made yet or not: each is answered or has its place, and one that begins to speak has it kept."""
    async with full(max_connections=3) as (server, port), AsyncExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(40)]
        loop = asyncio.get_running_loop()
        for client in clients:
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))
            if not together:
                for _ in range(20):  # more turns than the server takes to make it
                    await asyncio.sleep(0)
        for client in clients[:-3]:
            with anyio.fail_after(10):
                assert (await loop.sock_recv(client, 12)) == b"HTTP/1.1 503"
        for client in clients[-3:]:
            assert await ask(client) == b"HTTP/1.1 200"
        assert (server.shared.book.count, server.shared.book.dropped) == (3, 37)


async def test_one_that_gives_way_in_the_midst_of_a_request_is_told() -> None:
    """What it asked before has been answered: the 503 is for what it has begun."""
    async with full(max_connections=1) as (_, port), connected(port) as (reader, writer):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(REQUEST[:10])
        await anyio.wait_all_tasks_blocked()
        async with connected(port) as (other, asking):
            assert (await ending(reader)).startswith(b"HTTP/1.1 503")
            asking.write(REQUEST)
            assert (await other.readline()).startswith(b"HTTP/1.1 200")


async def test_those_that_come_together_all_lose_their_places() -> None:
    """Those that give way are told, the others are let go in time; also one that gives way before it has been made does not stay."""
    async with full(max_connections=2, head_timeout=0.01) as (server, port), AsyncExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(30)]
        for client in clients:
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
            with suppress(BlockingIOError):
                client.connect(("127.0.0.1", port))  # all of them before the server has a turn
        told = 0
        for client in clients:
            with anyio.fail_after(10):
                while got := await asyncio.get_running_loop().sock_recv(client, 65_536):
                    told += got.startswith(b"HTTP/1.1 503")
        assert told >= 20
        assert server.shared.book.count == 0


async def test_a_connection_that_comes_while_the_door_closes_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """Also in the turn in which that happens, when the loop has seen it already."""
    async with running() as (server, port):
        with socket.create_connection(("127.0.0.1", port)) as client:
            asyncio.get_running_loop().call_soon(server.leave)  # before what the loop hears of the connection
            await asyncio.to_thread(client.recv, 4096)
    assert not caplog.records


async def test_a_connection_that_leaves_at_once_is_forgotten() -> None:
    """Also when it was reset before anything was read."""
    async with full(max_connections=5) as (server, port):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            await asyncio.sleep(0)
        with anyio.fail_after(10):
            while server.shared.book.count:
                await anyio.wait_all_tasks_blocked()


class Limits:
    """A system's limits on open files, of which a process may raise one to the other."""

    def __init__(self, soft: int, hard: int, most: int | None = None) -> None:
        self.soft, self.hard, self._most = soft, hard, most

    def getrlimit(self, _: int) -> tuple[int, int]:
        """Tell them."""
        return self.soft, self.hard

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        """Set them, unless the system gives no process as many."""
        if self._most is not None and not 0 <= limits[0] <= self._most:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    ("limits", "connections", "soft"),
    [
        (Limits(1_024, 65_536), 10_000, 65_536),
        (Limits(1_024, 1_024), 1_024 - RESERVE, 1_024),
        (Limits(256, 4_096), 4_096 - RESERVE, 4_096),
        (Limits(256, -1, most=10_240), 10_000, 10_000 + RESERVE),
        (Limits(256, -1, most=1_000), 256 - RESERVE, 256),
        (Limits(-1, -1), 10_000, -1),
        (Limits(RESERVE + 1, RESERVE + 1), 1, RESERVE + 1),
    ],
)
def test_connections_fit_to_what_may_be_opened(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limits: Limits, connections: int, soft: int
) -> None:
    """The limit is raised as far as it goes; where that is not far enough there are fewer places, and the log says so."""
    _set(monkeypatch, limits)
    assert fit_to_descriptors(ServiceSettings()).max_connections == connections
    assert limits.soft == soft
    assert len(caplog.records) == (connections < 10_000)


def test_with_too_few_descriptors_nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what is missing."""
    _set(monkeypatch, Limits(RESERVE, RESERVE))
    with pytest.raises(PlatformUnavailable, match=f"may open {RESERVE} files only, and needs {RESERVE + 1} at least"):
        fit_to_descriptors(ServiceSettings())


def _set(monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)


def test_a_log_says_a_thing_once(caplog: pytest.LogCaptureFixture) -> None:
    """Then how often it came again, with the same words, and what is left at the end."""
    caplog.set_level(logging.INFO)
    clock, logger = Clock(0.0), logging.getLogger("tests.recurring")
    recurring = RepeatLog(clock)
    for number in range(3):
        recurring.log(logger, logging.INFO, "thing", "it has failed: %d%%", number)
    recurring.sweep()
    clock.time += INTERVAL
    recurring.sweep()
    recurring.log(logger, logging.INFO, "thing", "again")
    recurring.log(logger, logging.WARNING, "other", "another")
    recurring.close()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "it has failed: 0%"),
        ("INFO", "2 more times in 60 s: it has failed: 0%"),
        ("WARNING", "another"),
        ("INFO", "1 more times in 0 s: it has failed: 0%"),
    ]


class Holder:
    """A connection that knows whether it was dropped."""

    dropped = False

    def drop(self) -> None:
        """Note it."""
        self.dropped = True


def test_what_is_kept_of_the_unfinished_is_bounded() -> None:
    """The one that has been at it for longest gives way, until the rest is little enough; who finishes keeps nothing."""
    book = Connections(ServiceSettings(), lambda _: False, lambda: 0.0)
    peers: list[Any] = [Holder() for _ in range(4)]
    for peer in peers:
        book.admit(peer, "192.0.2.1")
    half = MAX_HELD // 2
    book.hold(peers[0], half)
    book.hold(peers[1], half)
    book.hold(peers[0], 0)
    book.hold(peers[2], half)
    book.hold(peers[1], half - 1)
    assert not any(peer.dropped for peer in peers)
    book.hold(peers[3], half)
    assert [peer.dropped for peer in peers] == [False, True, False, False]
    book.left(peers[2])
    book.hold(peers[0], half)
    book.heard(peers[3])
    book.hold(peers[3], half)
    assert [peer.dropped for peer in peers] == [False, True, False, False]
