"""Posting by aiohttp, to a server that answers with any bytes."""

from __future__ import annotations

import asyncio
import errno
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.helpers import listening
from tocsin.client import aio
from tocsin.client.aio import open_http
from tocsin.client.http import MAX_REPLY, Unreachable
from tocsin.client.wns_client import WnsClient
from tocsin.protocol.errors import InvalidArgument

OK = b"HTTP/1.1 200 OK\r\nX-WNS-Status: received\r\nContent-Length: 2\r\n\r\nhi"


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answer every request with these bytes; empty, with nothing at all. Gives the URL, and what came."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", heads


async def test_the_url_is_sent_as_it_is() -> None:
    """A channel's URI is not ours to respell, whatever its escapes; and nothing that WNS forbids is in the request."""
    async with serving(OK) as (url, heads), open_http() as http:
        reply = await http.request("POST", f"{url}/w/?token=a%7eb%2Bc%252f+d~", {"X-WNS-Type": "wns/raw"}, b"body")
    assert (reply.status, reply.headers["x-wns-status"], reply.body) == (200, "received", b"hi")
    line, *headers = heads[0].decode().lower().split("\r\n")
    assert line == "post /w/?token=a%7eb%2bc%252f+d~ http/1.1"
    assert "content-length: 4" in headers
    assert not [header for header in headers if header.startswith(("transfer-encoding", "expect"))]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "has cut the connection off (before it answered)"),
        (b"SSH-2.0\r\n\r\n", "no HTTP that can be understood"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, f"longer than {MAX_REPLY} bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx", "has not answered whole"),
    ],
)
async def test_what_is_no_answer_is_told_without_the_url(answer: bytes, words: str) -> None:
    """The URL is a secret, and the sentence may be logged."""
    async with serving(answer) as (url, _), open_http() as http:
        with pytest.raises(Unreachable) as unreachable:
            await http.request("POST", f"{url}/w/?token=secret", {}, b"body")
    assert words in str(unreachable.value)
    assert "secret" not in str(unreachable.value)
    assert unreachable.value.__suppress_context__


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0\r\n\r\n"])
async def test_plain_http_to_a_port_that_speaks_tls(answer: bytes) -> None:
    """Web servers cut such a request off, or answer 400: that TLS is spoken there is found out and said, and no wait mends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    connections = count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(connections) == 0:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        else:
            await writer.start_tls(context)

    async with listening(serve) as port, open_http() as http:
        with pytest.raises(Unreachable) as unreachable:
            await http.request("POST", f"http://127.0.0.1:{port}/w/?token=secret", {}, b"body")
    assert str(unreachable.value) == f"127.0.0.1:{port} speaks TLS: name it with https://"
    assert unreachable.value.lasting


async def test_a_port_is_asked_once_whether_it_speaks_tls() -> None:
    """A service that restarts under load, and cuts off what is under way, has no handshakes to refuse besides."""
    connections = count()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        next(connections)
        await reader.read(1)

    async with listening(serve) as port, open_http() as http:
        for _ in range(3):
            with pytest.raises(Unreachable, match="has cut the connection off") as unreachable:
                await http.request("POST", f"http://127.0.0.1:{port}/", {}, b"body")
            assert not unreachable.value.lasting
    assert next(connections) == 4


async def test_nobody_listens() -> None:
    """Host and port are named, and what is wrong."""
    async with serving(OK) as (url, _):
        pass
    async with open_http() as http:
        with pytest.raises(Unreachable, match=r"no program listens at 127\.0\.0\.1:\d+"):
            await http.request("POST", url, {}, b"body")


async def test_a_server_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has its time."""
    monkeypatch.setattr(aio, "TIMEOUT", 0.01)

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listening(serve) as port, open_http() as http:
        with pytest.raises(Unreachable, match=r"did not answer in time \(within 0\.01 s\)"):
            await http.request("POST", f"http://127.0.0.1:{port}/", {}, b"body")


async def test_a_header_that_comes_twice_is_read_twice() -> None:
    """The longer wait is not lost behind the shorter one; the same word twice is that word."""
    twice = b"HTTP/1.1 503 Busy\r\nRetry-After: 3600\r\nRetry-After: 1\r\nX-A: b\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"
    async with serving(twice) as (url, _), open_http() as http:
        answer = await http.request("POST", url, {}, b"body")
    assert (answer.headers["retry-after"], answer.headers["x-a"]) == ("3600, 1", "b")


async def test_redirections_are_not_followed() -> None:
    """They would take the token elsewhere."""
    redirection = b"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(redirection) as (url, heads), open_http() as http:
        assert (await http.request("POST", url, {}, b"body")).status == 307
    assert len(heads) == 1


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give an environment that names no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_the_proxy_is_for_other_machines(environment: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies does not keep us from the own machine, and is used for any other."""
    async with serving(OK) as (url, heads), serving(OK) as (proxy, proxied), open_http() as http:
        environment.setenv("http_proxy", proxy)
        assert (await http.request("POST", f"{url}/own", {}, b"body")).status == 200
        assert (await http.request("POST", "http://push.example/other", {}, b"body")).status == 200
    assert heads[0].startswith(b"POST /own ")
    assert proxied[0].startswith(b"POST http://push.example/other ")


async def test_credentials_in_a_proxys_url_go_to_the_proxy(environment: pytest.MonkeyPatch) -> None:
    """As its own header, in place of none of ours."""
    async with serving(OK) as (proxy, proxied), open_http() as http:
        environment.setenv("http_proxy", proxy.replace("//", "//us%40er:pass@"))
        await http.request("POST", "http://push.example/", {"Authorization": "Bearer token"}, b"body")
    lines = proxied[0].decode().split("\r\n")
    assert f"Proxy-Authorization: Basic {b64encode(b'us@er:pass').decode()}" in lines
    assert "Authorization: Bearer token" in lines


async def test_a_netrc_file_is_for_other_programs(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its password for a host is not sent there, whatever the way."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login user password secret\n", encoding="ascii")
    netrc.chmod(0o600)
    environment.setenv("NETRC", str(netrc))
    async with serving(OK) as (url, heads), serving(OK) as (proxy, proxied), open_http() as http:
        environment.setenv("http_proxy", proxy)
        await http.request("POST", url, {}, b"body")
        await http.request("POST", "http://push.example/", {}, b"body")
    assert [b"uthorization" in head for head in (*heads, *proxied)] == [False, False]


async def test_cookies_are_not_kept() -> None:
    """What one answer leaves is not sent with the next request."""
    answer = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\nSet-Cookie: a=b\r\n\r\n")
    async with serving(answer) as (url, heads), open_http() as http:
        for _ in range(2):
            await http.request("POST", url, {}, b"body")
    assert [b"Cookie" in head for head in heads] == [False, False]


@pytest.mark.parametrize("value", ["socks5://u:secret@127.0.0.1:1", "ftp://u:secret@h", "http://u:secret@h:port"])
async def test_a_proxy_that_cannot_be_used_is_told(environment: pytest.MonkeyPatch, value: str) -> None:
    """The request is wrong as long as the variable is, so it is not tried again; its password is not shown."""
    environment.setenv("all_proxy", value)
    url = "http://push.example/accesstoken.srf"
    async with WnsClient("id", "secret-of-ours", token_url=url) as client:
        for _ in range(2):
            with pytest.raises(InvalidArgument, match="all_proxy names") as refused:
                await client.send("http://push.example/w/?token=x", b"body")
            assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://push.example/?secret", "https://push.example/?secret"])
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "answered 407: it wants other credentials"),
        (b"", "(before it answered, by the proxy 127.0.0.1:"),
    ],
)
async def test_what_a_proxy_answers_in_place_of_the_service(
    environment: pytest.MonkeyPatch, url: str, answer: bytes, words: str
) -> None:
    """It is no answer of the service, whether the proxy was to pass on a request or to make a connection."""
    async with serving(answer) as (proxy, _), open_http() as http:
        environment.setenv("all_proxy", proxy.replace("//", "//u:secret@"))
        with pytest.raises(Unreachable) as unreachable:
            await http.request("POST", url, {}, b"body")
    assert words in str(unreachable.value)
    assert "secret" not in str(unreachable.value)


async def test_a_proxy_that_is_away(environment: pytest.MonkeyPatch) -> None:
    """It is said that it is the proxy, and which."""
    async with serving(OK) as (proxy, _):
        pass
    environment.setenv("all_proxy", proxy)
    async with open_http() as http:
        for scheme in ("http", "https"):
            with pytest.raises(
                Unreachable, match=r"the proxy for push\.example:\d+ cannot be reached \(no program listens"
            ):
                await http.request("POST", f"{scheme}://push.example/", {}, b"body")


CAPABILITY = "http://push.example/w/?token=secret"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AssertionError(f"a case that was thought impossible, {CAPABILITY}"), "has failed (AssertionError)"),
        (ValueError(CAPABILITY), "has failed (ValueError)"),
        (aiohttp.InvalidURL(CAPABILITY), "no HTTP that can be understood (InvalidURL)"),
        (aiohttp.ClientOSError(None, f"Can not write request body for {CAPABILITY}"), "has cut the connection off"),
        (aiohttp.ClientOSError(errno.EPIPE, f"Can not write request body for {CAPABILITY}"), "has cut the connection"),
        (aiohttp.ServerTimeoutError(f"Timeout on reading data from socket {CAPABILITY}"), "did not answer in time"),
    ],
    ids=repr,
)
async def test_any_error_is_no_answer(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """A library may raise anything, and may show the URL in it: a sender hears of it in words of ours."""

    def raising(*_: object, **__: object) -> object:
        raise error

    async with open_http() as http:
        monkeypatch.setattr(http._session, "request", raising)
        with pytest.raises(Unreachable, match=re.escape(words)) as unreachable:
            await http.request("POST", CAPABILITY, {}, b"body")
    assert "push.example:80" in str(unreachable.value)
    assert "secret" not in str(unreachable.value)
