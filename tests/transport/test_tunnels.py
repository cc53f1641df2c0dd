"""What proxies do that are no good: each is named as the one that has failed, and none makes a callback fail."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from tests.helpers import listening
from tests.transport.test_connection_failures import broken, server_tls
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport import websocket_wire as websocket
from tocsin.transport.websocket_wire import dial_websocket

OPEN = b"HTTP/1.0 200 Connection established\r\n\r\n"

BAD: dict[str, tuple[list[bytes], ConnectionCause, str]] = {
    "says nothing": ([], ConnectionCause.PROXY_UNREACHABLE, "{proxy} has cut the connection off (before it answered)"),
    "speaks no HTTP": ([b"SSH-2.0\r\n\r\n"], ConnectionCause.PROXY_FAILED, "what {proxy} answered is not HTTP"),
    "speaks half a line": ([b"SSH-"], ConnectionCause.PROXY_FAILED, "what {proxy} answered is not HTTP"),
    "speaks without end": ([b"x" * 70_000], ConnectionCause.PROXY_FAILED, "what {proxy} answered is not HTTP"),
    "agrees without end": (
        [OPEN[:-2] + b"A: b\r\n" * 20_000],
        ConnectionCause.PROXY_FAILED,
        "what {proxy} answered is not HTTP",
    ),
    "begins to agree": ([OPEN[:-2]], ConnectionCause.PROXY_UNREACHABLE, "{proxy} has cut the connection off"),
    "refuses": ([b"HTTP/1.1 502 No\r\n\r\n"], ConnectionCause.PROXY_FAILED, "{proxy} answered 502"),
    "refuses and cuts": ([b"HTTP/1.1 403 No\r\nX:"], ConnectionCause.PROXY_DENIED, "{proxy} answered 403"),
    "refuses at length": ([b"HTTP/1.1 407 No\r\n\r\n", b"<html>"], ConnectionCause.PROXY_DENIED, "answered 407"),
    "agrees and cuts": ([OPEN], ConnectionCause.LOST, "push.example"),
    "agrees and is slow": ([OPEN[:30], OPEN[30:]], ConnectionCause.LOST, "push.example"),
}


@pytest.fixture
def callbacks(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Watch what the event loop logs of callbacks that have failed."""
    caplog.set_level("ERROR", "asyncio")
    return caplog


def name_proxy(environment: pytest.MonkeyPatch, url: str) -> None:
    """Let the environment name it for all hosts."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            environment.delenv(name)
    environment.setenv("all_proxy", url)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize(("said", "cause", "words"), BAD.values(), ids=BAD)
async def test_a_proxy_that_fails_is_named(  # noqa: PLR0917  # one a column, and two fixtures
    scheme: str,
    said: list[bytes],
    cause: ConnectionCause,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    callbacks: pytest.LogCaptureFixture,
) -> None:
    """With what it did, at whatever point it ends the connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for each in said:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(handler) as port:
        name_proxy(monkeypatch, f"http://127.0.0.1:{port}")
        failure = await broken(f"{scheme}://push.example/device")
    assert failure.cause is cause
    assert words.format(proxy=f"127.0.0.1:{port}") in str(failure)
    assert not callbacks.records


async def test_a_proxy_that_is_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the service would be blamed, which has never been asked."""
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT", 0.05)
    leave = asyncio.Event()

    async def silent(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await leave.wait()

    async with listening(silent) as port:
        name_proxy(monkeypatch, f"http://127.0.0.1:{port}")
        failure = await broken("ws://push.example/device")
        leave.set()
    assert failure.cause is ConnectionCause.PROXY_UNREACHABLE
    assert str(failure) == (
        f"the proxy for push.example:80 cannot be reached (127.0.0.1:{port} did not answer in time)"
    )


async def test_a_proxy_that_is_not_trusted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is its certificate that is wrong, not the service's."""
    tls = server_tls(trustme.CA().issue_cert("127.0.0.1"))
    async with listening(_never, tls) as port:
        name_proxy(monkeypatch, f"https://127.0.0.1:{port}")
        failure = await broken("ws://push.example/device")
    assert failure.cause is ConnectionCause.PROXY_UNREACHABLE
    assert f"the certificate of 127.0.0.1:{port} is not trusted" in str(failure)


async def _never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Be no use."""


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("by", ["http", "https"])
async def test_a_tunnel_carries_both(
    by: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, callbacks: pytest.LogCaptureFixture
) -> None:
    """In plain words and by TLS, on either leg; the credentials go to the proxy."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    asked: list[bytes] = []

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        there, back = await asyncio.open_connection("127.0.0.1", target)
        writer.write(OPEN)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_pass(reader, back))
            tasks.create_task(_pass(there, writer))

    secure = server_tls(authority.issue_cert("push.example")) if scheme == "wss" else None
    front = server_tls(authority.issue_cert("127.0.0.1")) if by == "https" else None
    async with serve(echo, "127.0.0.1", 0, ssl=secure) as server, listening(relay, front) as port:
        target = server.sockets[0].getsockname()[1]
        name_proxy(monkeypatch, f"{by}://us%25er:p%C3%BC@127.0.0.1:{port}")
        async with dial_websocket(f"{scheme}://push.example:4711/device") as wire:
            await wire.send(b"ding")
            assert await wire.receive() == b"ding"
    (head,) = asked
    assert head.startswith(b"CONNECT push.example:4711 HTTP/1.1\r\nHost: push.example:4711\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode("us%er:pü".encode()) in head
    assert not callbacks.records


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry bytes one way."""
    while data := await source.read(4096):
        target.write(data)
    target.close()


async def test_authorities_that_are_a_pipe_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No writer may ever come; the variable is named."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "pipe"))
    async with listening(_never) as port:
        failure = await broken(f"wss://127.0.0.1:{port}/device")
    assert failure.cause is ConnectionCause.TLS_FAILED
    assert f"SSL_CERT_FILE names '{tmp_path / 'pipe'}', which is no regular file" in str(failure)
