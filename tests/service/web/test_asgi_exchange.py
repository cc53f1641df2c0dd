"""A request as ASGI: what an application may do, and what its peer gets of it."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from aiohttp import ClientSession
from starlette.types import Receive, Scope, Send

from tests.service.web.test_web_server import running
from tests.service.world import connected, ending, read_raw
from tocsin.service.web.asgi_exchange import HIGH_WATER

GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n"
RESET = b"\x01\0\0\0\0\0\0\0"
"""What makes a socket end its connection by a reset (SO_LINGER): one that is closed may have a peer that listens still."""

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


def answering(
    *parts: bytes, status: int = 200, headers: list[tuple[bytes, bytes]] | None = None, ends: bool = True
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Make an application that answers with these parts of a body."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        for number, part in enumerate(parts, 1):
            more = number < len(parts) or not ends
            await send({"type": "http.response.body", "body": part, "more_body": more})

    return app


async def asked(app: Any, *requests: bytes) -> bytes:
    """Return all that a connection says to these requests before it ends."""
    async with running(requests=app) as (_, port), connected(port) as (reader, writer):
        writer.write(b"".join(requests))
        writer.write_eof()
        return re.sub(rb"date: [^\r]*\r\n", b"", await ending(reader))


@pytest.mark.parametrize(
    ("app", "request_", "answer"),
    [
        (answering(b"one", b"", b"two"), GET, b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        (answering(b"one", b"two", headers=[(b"Content-Length", b"6")]), GET, b"Content-Length: 6\r\n\r\nonetwo"),
        (answering(b"one"), GET.replace(b"1.1", b"1.0"), b"connection: close\r\n\r\none"),
        (answering(b"one"), GET.replace(b"GET", b"HEAD"), b"\r\n\r\n"),
        (answering(b"", status=204), GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (answering(b"", status=299), GET, b"HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        (answering(b"", headers=[(b"Connection", b"x, Close")]), GET, b"Connection: x, Close\r\n"),
    ],
    ids=["chunked", "length", "1.0", "HEAD", "204", "unknown", "close"],
)
async def test_an_answer_ends_as_its_headers_say(app: Any, request_: bytes, answer: bytes) -> None:
    """By its length, in chunks, with the connection, or with its head; names go out as they are spelled."""
    said = await asked(app, request_, GET)
    whole = said if b"one" not in answer else said[: said.index(answer) + len(answer)]
    assert answer in whole
    closes = b"lose" in answer
    assert said.count(b"HTTP/1.1 ") == (1 if closes else 2)


@pytest.mark.parametrize(
    "app",
    [
        answering(b"", headers=[(b"x", b"y\r\nSet-Cookie: z")]),
        answering(b"", headers=[(b"x y", b"")]),
        answering(b"", headers=[(b"Transfer-Encoding", b"chunked")]),
        answering(b"longer", headers=[(b"content-length", b"2")]),
        answering(b"short", headers=[(b"content-length", b"9")]),
        answering(),
    ],
    ids=["value", "name", "coding", "longer", "shorter", "nothing"],
)
async def test_an_answer_that_is_none_is_500(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing of it went out yet; it is logged once, and its connection ends."""
    said = await asked(app, GET, GET)
    assert said.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"Set-Cookie" not in said
    assert [record.name for record in caplog.records] == ["tocsin.service.web.asgi_exchange"]


@pytest.mark.parametrize(
    "app", [answering(b"part", ends=False), answering(b"part", b"", headers=[(b"content-length", b"9")])]
)
async def test_an_answer_that_has_begun_is_broken_off(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What failed cannot be said any more: the connection ends before the answer's end."""
    said = await asked(app, GET, GET)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith((b"part", b"part\r\n"))
    assert len(caplog.records) == 1


@pytest.mark.parametrize("kind", ["http.response.body", "http.other"])
async def test_what_may_not_be_sent_is_refused(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A body has a head before it, and an answer ends once."""

    async def confused(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": kind})

    assert (await asked(confused, GET)).startswith(b"HTTP/1.1 500 ")
    assert f"{kind} may not be sent now" in caplog.text

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        await answering(b"once")(scope, receive, send)
        await send({"type": kind})

    assert (await asked(twice, GET)).endswith(b"once\r\n0\r\n\r\n")
    assert caplog.text.count(f"{kind} may not be sent now") == 2


async def test_an_application_is_told_all_of_a_request() -> None:
    """The path is decoded, headers are in lower case, and both ends of the connection are named."""
    told: list[Scope] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(scope)
        await answering(b"")(scope, receive, send)

    async with running(requests=listen) as (_, port), connected(port) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"0\r\n\r\n")
        client = writer.get_extra_info("sockname")
    (scope,) = told
    assert (scope["method"], scope["path"], scope["raw_path"], scope["query_string"]) == (
        "GET",
        "/a b",
        b"/a%20b",
        b"c=d",
    )
    assert (scope["type"], scope["http_version"], scope["scheme"], scope["root_path"]) == ("http", "1.1", "http", "")
    assert scope["headers"] == [(b"host", b"x")]
    assert (scope["client"], scope["server"]) == (client, ("127.0.0.1", port))


async def test_a_body_is_asked_for_when_it_is_wanted() -> None:
    """A peer that waits to be told is told by the first look for its body, once, and not behind the answer."""

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"] if scope["path"] == "/" else b"unread"
        await answering(body, headers=[(b"content-length", b"%d" % len(body))])(scope, receive, send)

    expecting = POST[:-4].replace(b"Content", b"Expect: 100-continue\r\nContent")
    async with running(requests=read) as (_, port), connected(port) as (reader, writer):
        writer.write(expecting)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert (await read_raw(reader))[2] == b"body"
        writer.write(expecting.replace(b"/ ", b"/x ") + b"body")
        assert (await read_raw(reader))[2] == b"unread"


async def test_a_body_waits_for_the_application() -> None:
    """It comes in parts, of which no more are kept than the mark says and what is read at once."""
    sizes: list[int] = []
    turn = anyio.Event()

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        await turn.wait()
        while True:
            event = await receive()
            sizes.append(len(event["body"]))
            if not event["more_body"]:
                break
        await answering(b"")(scope, receive, send)

    async def body() -> Any:
        yield bytes(HIGH_WATER * 40)

    async with running(requests=read) as (_, port), ClientSession() as http, anyio.create_task_group() as tasks:

        async def post() -> None:
            async with http.post(f"http://127.0.0.1:{port}/", data=body()) as answer:
                assert answer.status == 200

        tasks.start_soon(post)
        await anyio.wait_all_tasks_blocked()
        turn.set()
    assert sum(sizes) == HIGH_WATER * 40
    assert max(sizes) <= HIGH_WATER * 2


async def test_an_application_hears_that_its_peer_has_left() -> None:
    """Whatever it waits for: the rest of a body, the end, or that more can be sent; what it sends then is dropped."""
    heard: list[str] = []

    async def listen(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        heard.append((await receive())["type"])
        if scope["path"] == "/flood":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not ended.is_set():
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
                flooding.set()
        else:
            heard.append((await receive())["type"])
            await answering(b"too late")(scope, receive, send)
        done.set()

    async with running(requests=listen) as (_, port):
        for request in (POST, POST[:-1], GET.replace(b"/a%20b", b"/flood")):
            begun, done, flooding, ended = anyio.Event(), anyio.Event(), anyio.Event(), anyio.Event()
            async with connected(port) as (_, writer):
                writer.write(request)
                if b"flood" in request:
                    await flooding.wait()
                else:
                    await begun.wait()
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
                ended.set()
            with anyio.fail_after(10):
                await done.wait()
    assert heard == ["http.request", "http.disconnect", "http.request", "http.disconnect", "http.request"]


async def test_a_peer_that_does_not_read_is_waited_for() -> None:
    """No more than a buffer of what an application sends is kept."""
    sent = 0

    async def flood(_: Scope, __: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(300):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": number < 299})
            sent += 1

    async with running(requests=flood) as (_, port), connected(port) as (reader, writer):
        writer.write(GET)
        await anyio.wait_all_tasks_blocked()
        assert sent < 200
        writer.write_eof()
        got = 0
        while chunk := await reader.read(1_000_000):
            got += len(chunk)
        assert got > 30_000_000
        assert sent == 300
