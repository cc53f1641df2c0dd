"""Posting by aiohttp, to a server that answers with any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tocsin.client import aio
from tocsin.client.aio import MAX_REPLY, open_http
from tocsin.client.http import Unreachable

OK = b"HTTP/1.1 200 OK\r\nX-WNS-Status: received\r\nContent-Length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every request with these bytes; empty, with nothing at all. Gives the URL, and what came."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def test_the_url_is_sent_as_it_is() -> None:
    """A channel's URI is not ours to respell, whatever its escapes; and nothing that WNS forbids is in the request."""
    async with serving(OK) as (url, heads), open_http() as http:
        reply = await http.post(f"{url}/w/?token=a%7eb%2Bc%252f+d~", {"X-WNS-Type": "wns/raw"}, b"body")
    assert (reply.status, reply.headers["x-wns-status"], reply.body) == (200, "received", b"hi")
    line, *headers = heads[0].decode().lower().split("\r\n")
    assert line == "post /w/?token=a%7eb%2bc%252f+d~ http/1.1"
    assert "content-length: 4" in headers
    assert not [header for header in headers if header.startswith(("transfer-encoding", "expect"))]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "127.0.0.1 cannot be reached: Server disconnected"),
        (b"SSH-2.0\r\n\r\n", "no HTTP that can be understood"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, f"longer than {MAX_REPLY} bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", "cannot be reached"),
    ],
)
async def test_what_is_no_answer_is_told_without_the_url(answer: bytes, words: str) -> None:
    """The URL is a secret, and the sentence may be logged."""
    async with serving(answer) as (url, _), open_http() as http:
        with pytest.raises(Unreachable) as unreachable:
            await http.post(f"{url}/w/?token=secret", {}, b"body")
    assert words in str(unreachable.value)
    assert "secret" not in str(unreachable.value)
    assert unreachable.value.__suppress_context__


async def test_nobody_listens() -> None:
    """The system's own words."""
    async with serving(OK) as (url, _):
        pass
    async with open_http() as http:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 cannot be reached: "):
            await http.post(url, {}, b"body")


async def test_a_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has its time."""
    monkeypatch.setattr(aio, "TIMEOUT", 0.01)
    silence = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await silence.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, open_http() as http:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.01 s"):
            await http.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"body")
        silence.set()


async def test_a_header_that_comes_twice_is_read_twice() -> None:
    """The longer wait is not lost behind the shorter one; the same word twice is that word."""
    twice = b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nRetry-After: 1\r\nX-A: b\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"
    async with serving(twice) as (url, _), open_http() as http:
        answer = await http.post(url, {}, b"body")
    assert (answer.headers["retry-after"], answer.headers["x-a"]) == ("3600, 1", "b")


async def test_redirections_are_not_followed() -> None:
    """They would take the token elsewhere."""
    redirection = b"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(redirection) as (url, heads), open_http() as http:
        assert (await http.post(url, {}, b"body")).status == 307
    assert len(heads) == 1


async def test_the_proxy_is_for_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies does not keep us from the own machine, and is used for any other."""
    async with serving(OK) as (url, heads), serving(OK) as (proxy, proxied), open_http() as http:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await http.post(f"{url}/own", {}, b"body")).status == 200
        assert (await http.post("http://push.example/other", {}, b"body")).status == 200
    assert heads[0].startswith(b"POST /own ")
    assert proxied[0].startswith(b"POST http://push.example/other ")
