"""Connections: how many there may be, and what becomes of those who let the service wait."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import anyio
import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests.service.world import KEY, Clock, connected, ending, exchange, open_world
from tocsin.protocol.messages import Hello
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.service.web import door, web_server
from tocsin.service.web.connections import Connections
from tocsin.service.web.http_connection import MAX_PIPELINED, MAX_REST

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(autouse=True)
def looked_for_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for slow connections ten times as often, and wait a tenth of the time for those that are told and do not speak."""
    monkeypatch.setattr(web_server, "_TICK", web_server._TICK / 10)
    monkeypatch.setattr(door, "_TELLING", door._TELLING / 10)


@define(eq=False)
class FakePeer:
    """A connection that knows whether it was dropped."""

    dropped: bool = False

    def give_way(self) -> None:
        """Be gone as well."""
        self.drop()

    def drop(self) -> None:
        """Note it."""
        self.dropped = True


@define
class Book:
    """Connections on a clock by hand, with few places."""

    clock: Clock = field(factory=lambda: Clock(0.0))
    connections: Connections = field(init=False)

    def __attrs_post_init__(self) -> None:
        settings = ServiceSettings(max_connections=3, max_connections_per_address=2, head_timeout=5, write_timeout=7)
        self.connections = Connections(settings, lambda host: host == "10.0.0.9", self.clock)

    def admit(self, host: str = HOSTS[0]) -> FakePeer | None:
        """Let one in, or not."""
        peer = FakePeer()
        return peer if self.connections.admit(peer, host) else None

    def fill(self) -> list[FakePeer]:
        """Let in as many as there may be."""
        return [peer for host in HOSTS if (peer := self.admit(host))]


def test_an_address_has_so_many() -> None:
    """The third from one address is refused, from a proxy it is not, and a place that is free again is given."""
    book = Book()
    first = book.admit()
    assert first
    assert book.admit()
    assert book.admit() is None
    assert book.connections.refused == 1
    book.connections.left(first)
    assert book.admit() is not None
    proxied = Book()
    assert all(proxied.admit("10.0.0.9") for _ in range(3))


def test_the_longest_silent_makes_room() -> None:
    """With all places taken, who has said nothing for longest goes; where all have spoken, the newcomer does."""
    book = Book()
    first, second, third = book.fill()
    book.connections.heard(first)
    assert book.admit("10.0.0.4")
    assert (first.dropped, second.dropped, third.dropped) == (False, True, False)
    full = Book()
    for peer in full.fill():
        full.connections.heard(peer)
    assert full.admit("10.0.0.4") is None


def test_who_lets_the_service_wait_is_dropped() -> None:
    """Each kind of waiting has its time, counted from its beginning."""
    book = Book()
    silent, heard, again = book.fill()
    for peer in (heard, again):
        book.connections.heard(peer)
    book.clock.time = 4
    book.connections.silent(again)
    book.connections.stalled(heard)
    book.clock.time = 5
    book.connections.silent(again)
    book.connections.sweep()
    assert (silent.dropped, heard.dropped, again.dropped) == (True, False, False)
    book.clock.time = 9
    book.connections.sweep()
    assert (heard.dropped, again.dropped) == (False, True)
    book.connections.flowing(heard)
    book.clock.time = 100
    book.connections.sweep()
    assert not heard.dropped
    assert book.connections.dropped == 2


def test_one_that_is_to_end_has_its_time_too() -> None:
    """However slowly its peer reads; and it gives way before those who may want something yet."""
    book = Book()
    first, second, third = book.fill()
    book.connections.parting(first)
    book.clock.time = 4
    for _ in range(2):
        book.connections.parting(second)
        book.connections.parting(first)
        book.connections.stalled(first)
        book.connections.flowing(first)
    assert book.admit("10.0.0.4")
    assert (first.dropped, second.dropped) == (True, False)
    book.connections.left(first)
    for peer in (second, third):
        book.connections.heard(peer)
    book.clock.time = 10
    book.connections.sweep()
    assert not second.dropped
    book.clock.time = 11
    book.connections.sweep()
    assert second.dropped


@given(st.lists(st.tuples(st.sampled_from(HOSTS), st.booleans()), max_size=40))
def test_the_count_is_right(events: list[tuple[str, bool]]) -> None:
    """After any arrivals and departures, the count is the number of connections that are open."""
    book = Book()
    there: list[FakePeer] = []
    for host, comes in events:
        if comes and len(there) < 3:
            peer = book.admit(host)
            if peer is not None:
                there.append(peer)
        elif there:
            book.connections.left(there.pop())
        assert book.connections.count == len(there)


async def test_one_too_many_is_told(tmp_path: Path) -> None:
    """The refusal is HTTP, and those who were there first are served."""
    settings = ServiceSettings(max_connections_per_address=1)
    async with open_service(tmp_path, settings) as service, connected(service.port) as (reader, writer):
        writer.write(REQUEST + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        async with connected(service.port) as (other, _):
            said = await ending(other)
            assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nretry-after: 5\r\n" in said
        writer.write(REQUEST + b"\r\n")
        assert b"HTTP/1.1 200" in await reader.readuntil(b"\r\n\r\n")


async def test_slow_headers_are_not_waited_for(tmp_path: Path) -> None:
    """Who does not say what they want, at first or after a request, is cut off; what was asked for is answered."""

    async def begin(port: int, begun: bytes) -> None:
        async with connected(port) as (reader, writer):
            writer.write(begun)
            assert (await ending(reader)).count(b"HTTP/1.1 200") == begun.count(b"\r\n\r\n")

    settings = ServiceSettings(head_timeout=0.001, idle_timeout=0.3)
    async with open_service(tmp_path, settings) as service, anyio.create_task_group() as group:
        for begun in (b"", REQUEST, b"\r\n", REQUEST + b"\r\n" + REQUEST):
            group.start_soon(begin, service.port, begun)


@pytest.mark.parametrize(
    "bomb",
    [
        b"".join(b"H%d: x\r\n" % number for number in range(101)),
        b"H: " + b"x" * 40_000,
        b"H" * 40_000,
        b"H: " + b"x" * 100_000 + b"\r\n",
    ],
    ids=["many", "long value", "long name", "one chunk"],
)
async def test_header_bombs_are_refused(tmp_path: Path, bomb: bytes) -> None:
    """Too many headers, or too long ones, are answered with 431, and the connection ends."""
    async with open_service(tmp_path) as service, connected(service.port) as (reader, writer):
        writer.write(REQUEST + bomb)
        assert (await ending(reader)).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


async def test_a_few_requests_may_be_sent_ahead(tmp_path: Path) -> None:
    """They are answered in order; a sender of many more without waiting for answers is cut off."""
    async with open_service(tmp_path) as service:
        async with connected(service.port) as (reader, writer):
            writer.write((REQUEST + b"\r\n") * MAX_PIPELINED)
            for _ in range(MAX_PIPELINED):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                await reader.readuntil(b"}}")
        async with connected(service.port) as (reader, writer):
            writer.write((REQUEST + b"\r\n") * 3_000)
            assert (await ending(reader)).count(b"HTTP/1.1 200") <= MAX_PIPELINED + 1


async def test_as_many_headers_as_are_allowed_pass(tmp_path: Path) -> None:
    """The limit is what it says."""
    headers = b"".join(b"H%d: x\r\n" % number for number in range(99))  # and Host
    async with open_service(tmp_path) as service:
        answers = await exchange(service, *[REQUEST + headers + b"\r\n"] * 3)
    assert [status for status, _, _ in answers] == [200] * 3


async def test_an_endless_body_is_cut_off(tmp_path: Path) -> None:
    """The refusal comes at once; what follows is read past for a while only."""
    async with open_world(tmp_path) as world, connected(world.service.port) as (reader, writer):
        path = world.uri.removeprefix(world.service.url)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.token}\r\nX-WNS-Type: wns/raw\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 1000000000\r\n\r\n"
        )
        writer.write(head.encode())
        assert b"413" in await reader.readline()
        with pytest.raises(ConnectionError):
            await _send_without_end(writer)


async def test_chunked_trailers_without_end_are_cut_off(tmp_path: Path) -> None:
    """No part of a request grows without end, not even one that is never looked at."""
    settings = ServiceSettings(body_timeout=0.2)
    async with open_service(tmp_path, settings) as service, connected(service.port) as (_, writer):
        writer.write(b"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: ")
        with pytest.raises(ConnectionError):
            await _send_without_end(writer)


async def _send_without_end(writer: asyncio.StreamWriter) -> None:
    """Send much more than any buffer on the way holds."""
    for _ in range(64 * MAX_REST // 65_536):
        writer.write(b"x" * 65_536)
        await writer.drain()


async def test_a_device_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """Once its buffers are full and its time is over, its connection is gone, and the service's memory with it."""
    settings = ServiceSettings.private(write_timeout=0.001, acknowledge_timeout=0.05)
    async with open_world(tmp_path, settings) as world:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", world.service.port))
            await _say_hello(deaf, world.service.port)
            with anyio.fail_after(10):
                while (now := world.service.report().gauges)["devices"] or not now["connections_dropped"]:
                    async with anyio.create_task_group() as group:
                        for _ in range(200):
                            group.start_soon(world.post, bytes(5000))


async def _say_hello(device: socket.socket, port: int) -> None:
    """Become the device of the world's channel, and read nothing more."""
    client = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/device"), max_size=None)
    client.send_request(client.connect())
    loop = asyncio.get_running_loop()
    device.setblocking(False)  # noqa: FBT003 - the socket's own signature
    await loop.sock_sendall(device, b"".join(client.data_to_send()))
    client.receive_data(await loop.sock_recv(device, 4096))
    client.send_binary(encode(Hello(PROTOCOL_VERSION, KEY)))
    await loop.sock_sendall(device, b"".join(client.data_to_send()))
    assert await loop.sock_recv(device, 4096)
