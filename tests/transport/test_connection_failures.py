"""Why a device has no connection, found out over real sockets: each cause is told from every other."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import anyio
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import BytesLike

from tests.helpers import Handler, listening
from tocsin.protocol.messages import ConnectionDown
from tocsin.protocol.messages.codec import decode, decode_own, encode
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport import service_socket
from tocsin.transport import websocket_wire as websocket
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import WireBroken


def saying(answer: bytes, *, first: bool = True) -> Handler:
    """Give a server that says this once it has heard something, and cuts the connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first:
            await reader.read(1)
        writer.write(answer)

    return handler


async def broken(url: str) -> WireBroken:
    """Dial, which must fail; return how."""
    with pytest.raises(WireBroken) as caught:
        async with dial_websocket(url):
            pass
    return caught.value


def server_tls(issued: trustme.LeafCert) -> ssl.SSLContext:
    """Let a server show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make an authority."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Let this machine trust it, as an administrator does."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


async def test_no_program_listens() -> None:
    """The address is named, and that the connection was refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = await broken(f"ws://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.REFUSED
    assert str(failure) == f"no program listens at 127.0.0.1:{port}: the connection was refused"


async def test_no_program_listens_on_any_address_of_a_name() -> None:
    """Where a name has several addresses, the system's words come all in one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert (await broken(f"ws://localhost:{port}/device")).cause is ConnectionCause.REFUSED


async def test_a_host_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that cannot be a host's name."""

    def no_address(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    for host in ("push.invalid", "a..b", "ü..b", "x" * 64):
        failure = await broken(f"ws://{host}/device")
        assert failure.cause is ConnectionCause.HOST_UNKNOWN, host
        assert f"the host of {host}:80 is unknown" in str(failure)


async def test_it_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing."""
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT", 0.05)
    leave = asyncio.Event()

    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await leave.wait()

    async with listening(silent) as port:
        assert (await broken(f"ws://127.0.0.1:{port}/device")).cause is ConnectionCause.TIMED_OUT
        leave.set()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n"])
async def test_tls_to_a_plain_port(answer: bytes) -> None:
    """Whatever it says to the handshake is no TLS."""
    async with listening(saying(answer)) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.TLS_MISSING
    assert str(failure) == f"127.0.0.1:{port} does not speak TLS: name it with http://, or the port that speaks TLS"


async def test_tls_to_a_port_that_says_nothing() -> None:
    """It may speak anything, or be overloaded: all that is known is when it cut the connection."""
    async with listening(saying(b"")) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause in {ConnectionCause.TLS_FAILED, ConnectionCause.LOST}  # as its end or its reset comes first


async def test_plain_to_a_tls_port(authority: trustme.CA) -> None:
    """That the port speaks TLS is found out, so that it can be said."""
    tls = server_tls(authority.issue_cert("127.0.0.1"))
    async with listening(saying(b""), tls) as port:
        failure = await broken(f"ws://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.TLS_WANTED
    assert str(failure) == f"127.0.0.1:{port} speaks TLS: name it with https://"


async def test_a_certificate_of_an_authority_that_is_not_trusted(authority: trustme.CA) -> None:
    """Nothing is sent to whom one does not know."""
    async with listening(saying(b""), server_tls(authority.issue_cert("127.0.0.1"))) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.CERTIFICATE_UNTRUSTED
    assert "unable to get local issuer certificate" in str(failure)


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_certificate_out_of_its_time(trusted: trustme.CA, days: int) -> None:
    """Expired, or not valid yet: by the clock of this machine, which may be wrong."""
    begin = datetime.now(UTC) + timedelta(days=days)
    issued = trusted.issue_cert("127.0.0.1", not_before=begin, not_after=begin + timedelta(hours=1))
    async with listening(saying(b""), server_tls(issued)) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.CERTIFICATE_OUTDATED
    assert "by the clock of this machine" in str(failure)


@pytest.mark.parametrize("host", ["127.0.0.2", "push.example"])
async def test_a_certificate_of_another_host(trusted: trustme.CA, host: str) -> None:
    """Named by address or by name."""
    async with listening(saying(b""), server_tls(trusted.issue_cert(host))) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.CERTIFICATE_OF_ANOTHER


ANSWERS = [
    ("200 OK", "", ConnectionCause.NO_PUSH_SERVICE, "it answered 200"),
    ("404 Not Found", "", ConnectionCause.NO_PUSH_SERVICE, "it answered 404"),
    ("400 Bad Request", "", ConnectionCause.NO_PUSH_SERVICE, "it answered 400"),
    (
        "301 Moved", "Location: https://u:secret@push.example/x?secret\r\n", ConnectionCause.NO_PUSH_SERVICE,
        "it answered 301, which leads to https://push.example; tried was",
    ),
    ("307 Moved", "Location: /elsewhere\r\nLocation: //[\r\n", ConnectionCause.NO_PUSH_SERVICE, "it answered 307; tried was"),
    ("401 Unauthorized", "", ConnectionCause.DENIED, "it answered 401"),
    ("403 Forbidden", "", ConnectionCause.DENIED, "it answered 403"),
    ("502 Bad Gateway", "", ConnectionCause.BUSY, "it answered 502"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers", "cause", "words"), ANSWERS, ids=[each[0] for each in ANSWERS])
async def test_something_else_answers(status: str, headers: str, cause: ConnectionCause, words: str) -> None:
    """By its status; a redirection is told, without what may be secret in it, and not followed."""
    answer = f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n".encode()
    async with listening(saying(answer)) as port:
        failure = await broken(f"ws://127.0.0.1:{port}/device")
    assert failure.cause is cause
    assert words in str(failure)
    assert "secret" not in str(failure)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n\r\n", b"\xff\xfe\r\n\r\n", b"HTTP/1.1 101 Fine\r\n\r\n", b"HTTP/1.0 101 Fine\r\n\r\n"],
)
async def test_what_answers_begins_no_websocket(answer: bytes) -> None:
    """It is another protocol, or half of this one."""
    async with listening(saying(answer)) as port:
        assert (await broken(f"ws://127.0.0.1:{port}/device")).cause is ConnectionCause.NO_PUSH_SERVICE


async def test_it_ends_the_connection_without_an_answer() -> None:
    """And does not speak TLS either."""
    async with listening(saying(b"", first=False)) as port:
        failure = await broken(f"ws://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.LOST
    assert str(failure) == f"127.0.0.1:{port} has cut the connection off (before it answered)"


@pytest.mark.parametrize(
    ("wish", "seconds"), [("77", 77), ("Sat, 28 Nov 2026 12:01:30 GMT", 90), ("9" * 20, 1e10), ("soon", 30)]
)
async def test_a_service_that_is_busy_says_when_it_is_not(wish: str, seconds: float) -> None:
    """Retry-After is taken along: a number, a date by the service's own clock, or a wish to be left alone for a while."""

    def busy(_: ServerConnection, __: Request) -> Response:
        headers = [("Retry-After", wish), ("Date", "Sat, 28 Nov 2026 12:00:00 GMT"), ("Content-Length", "0")]
        return Response(503, HTTPStatus(503).phrase, Headers(headers))

    async with serve(_nothing, "127.0.0.1", 0, process_request=busy) as server:
        failure = await broken(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device")
    assert (failure.cause, failure.retry_after) == (ConnectionCause.BUSY, seconds)


async def _nothing(_: ServerConnection) -> None:
    """Serve nothing."""


@pytest.mark.parametrize(
    ("code", "reason", "cause"),
    [
        (1000, "", ConnectionCause.LOST),
        (1001, "", ConnectionCause.GOING_AWAY),
        (1002, "what was that?", ConnectionCause.PROTOCOL),
        (1008, "no", ConnectionCause.PROTOCOL),
        (1009, "too big", ConnectionCause.PROTOCOL),
        (1011, "", ConnectionCause.LOST),
        (1012, "", ConnectionCause.GOING_AWAY),
        (1013, "", ConnectionCause.BUSY),
        (4001, "replaced", ConnectionCause.REPLACED),
        (4002, "version", ConnectionCause.OTHER_VERSION),
        (4999, "?", ConnectionCause.LOST),
    ],
)
async def test_a_service_says_by_a_code_why_it_closes(code: int, reason: str, cause: ConnectionCause) -> None:
    """Reading and writing tell it alike, with the service's own words."""

    async def closing(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve(closing, "127.0.0.1", 0))
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device"
        wire = await stack.enter_async_context(dial_websocket(url))
        for end in (wire.receive(), wire.send(b"late")):
            with pytest.raises(WireBroken) as caught:
                await end
            assert caught.value.cause is cause
            assert f"it closed with {code}" in str(caught.value)
            assert reason in str(caught.value)


async def test_a_service_that_does_not_answer_pings_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been stopped, or the network swallows everything."""
    monkeypatch.setattr(service_socket, "PING_INTERVAL", 0.01)

    async def deaf(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with serve(deaf, "127.0.0.1", 0, ping_interval=None) as server:
        async with dial_websocket(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device") as wire:
            with pytest.raises(WireBroken) as caught:
                await wire.receive()
        for connection in server.connections:
            connection.transport.abort()
    assert caught.value.cause is ConnectionCause.SILENT


async def test_a_service_that_is_heard_is_not_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own pings are enough, and each of ours would wake the machine twice more."""
    monkeypatch.setattr(service_socket, "PING_INTERVAL", 0.05)
    sent, ping = [], ClientProtocol.send_ping

    def note(protocol: ClientProtocol, data: BytesLike) -> None:
        sent.append(data)
        ping(protocol, data)

    monkeypatch.setattr(ClientProtocol, "send_ping", note)

    async def stay(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(stay, "127.0.0.1", 0, ping_interval=0.005) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/device"
        async with dial_websocket(url):
            await anyio.sleep(0.5)
    assert len(sent) < 4  # of ten; none but for a machine that stalls


async def test_an_error_that_is_not_foreseen_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may raise anything: no app ends by it."""

    def raising(*_: object, **__: object) -> object:
        raise AssertionError("a case that was thought impossible")

    monkeypatch.setattr(websocket, "open_websocket", raising)
    failure = await broken("ws://127.0.0.1:1/device")
    assert failure.cause is ConnectionCause.UNEXPECTED
    assert "AssertionError: a case that was thought impossible" in str(failure)


@given(st.text(st.characters(exclude_categories=[]), min_size=1).map(lambda text: text * 20_000))
@settings(max_examples=20, deadline=None)
def test_why_a_wire_broke_can_always_be_told(text: str) -> None:
    """However long the words of a peer or a library are: an actor takes the frame, and a log has one line."""
    broken = WireBroken(text)
    assert str(broken).isprintable()
    down = ConnectionDown(broken.cause, str(broken), 1.0)
    assert decode(encode(down)) == decode_own(encode(down)) == down
