"""How a request has to say where it is for, and how long it is (RFC 9112 §3.2, §6.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.service.world import connected, exchange, read_raw
from tocsin.service.server import open_service

HOSTS = {
    "none": (b"", 400),
    "twice": (b"Host: x\r\nHost: y\r\n", 400),
    "twice the same": (b"Host: x\r\nhost: x\r\n", 400),
    "two in one": (b"Host: x, y\r\n", 400),
    "a path": (b"Host: x/y\r\n", 400),
    "credentials": (b"Host: user@x\r\n", 400),
    "a port that is none": (b"Host: x:http\r\n", 400),
    "half a bracket": (b"Host: [::1\r\n", 400),
    "no letters": (b"Host: \xff\r\n", 400),
    "empty": (b"Host:\r\n", 200),
    "a port": (b"Host: push.example:8080\r\n", 200),
    "IPv6": (b"Host: [fe80::1%25eth0]:8080\r\n", 200),
    "underscores": (b"HOST: my_service.internal\r\n", 200),
}


@pytest.mark.parametrize(("lines", "status"), HOSTS.values(), ids=list(HOSTS))
@pytest.mark.parametrize("offer", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"], ids=["plain", "with an offer"])
async def test_a_request_has_one_host(tmp_path: Path, lines: bytes, status: int, offer: bytes) -> None:
    """RFC 9112 §3.2: none, several or an invalid one are 400, which says so, for the second request of a connection too."""
    async with open_service(tmp_path) as service, connected(service.port) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await read_raw(reader))[0] == 200
        writer.write(b"GET /healthz HTTP/1.1\r\n" + offer + lines + b"\r\n")
        answered, headers, body = await read_raw(reader)
        assert answered == status
        if status == 400:
            assert headers["connection"] == "close"
            assert body == b"A request has one Host header, with a host and perhaps a port (RFC 9112, section 3.2).\n"
            assert await reader.read() == b""


async def test_a_request_in_http_1_0_needs_no_host(tmp_path: Path) -> None:
    """Only HTTP/1.1 asks for one."""
    async with open_service(tmp_path) as service:
        assert (await exchange(service, b"GET /healthz HTTP/1.0\r\n\r\n"))[0][0] == 200
        assert (await exchange(service, b"GET /healthz HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"))[0][0] == 400


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (b"Content-Length: x", b"Content-Length"),
        (b"Content-Length: -1", b"Content-Length"),
        (b"Content-Length:", b"Content-Length"),
        (b"Content-Length: 1, 1", b"Content-Length"),
        (b"Content-Length: 99999999999999999999999", b"Content-Length"),
        (b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length"),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked", b"Transfer-Encoding"),
        (b"Transfer-Encoding: gzip", b"Transfer-Encoding"),
    ],
)
async def test_what_is_no_request_is_told_which_header_is_wrong(tmp_path: Path, lines: bytes, named: bytes) -> None:
    """A wrong length is the sender's fault, which it can only mend when it knows."""
    async with open_service(tmp_path) as service:
        request = b"POST /w/?token=secret HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n\r\nx"
        ((status, _, body),) = await exchange(service, request)
    assert status == 400
    assert body.startswith(b"This is no HTTP request: ")
    assert named in body
    assert b"secret" not in body


@pytest.mark.parametrize(
    "lines",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: GZIP,Chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
    ],
)
@pytest.mark.parametrize("target", [b"/accesstoken.srf", b"/w/?token=secret"])
async def test_a_body_in_another_coding_is_not_taken_for_plain(tmp_path: Path, target: bytes, lines: bytes) -> None:
    """RFC 9112 §6.1: a coding that is not known is 501, which says so, and the connection ends."""
    async with open_service(tmp_path) as service, connected(service.port) as (reader, writer):
        writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n1\r\nx\r\n0\r\n\r\n" % (target, lines))
        status, headers, body = await read_raw(reader)
        assert (status, headers["connection"]) == (501, "close")
        assert body == b"Of transfer codings only chunked is known here (RFC 9112, section 6.1).\n"
        assert await reader.read() == b""


async def test_a_body_that_ends_early_is_told(tmp_path: Path) -> None:
    """Its sender may have closed its own direction only, and listen still."""
    async with open_service(tmp_path) as service, connected(service.port) as (reader, writer):
        writer.write(b"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nfour")
        writer.write_eof()
        status, headers, body = await read_raw(reader)
        assert (status, headers["x-wns-status"]) == (400, "dropped")
        assert body == b"The body is not as long as Content-Length says.\n"
        assert await reader.read() == b""


async def test_who_only_listens_gets_all_answers(tmp_path: Path) -> None:
    """Also those to requests that it sent ahead; then the connection ends."""
    whole = b"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfour"
    async with open_service(tmp_path) as service, connected(service.port) as (reader, writer):
        writer.write(whole + whole)
        writer.write_eof()
        assert [(await read_raw(reader))[0] for _ in range(2)] == [400, 400]
        assert await reader.read() == b""


async def test_a_request_that_says_that_it_is_http_2_is_none(tmp_path: Path) -> None:
    """HTTP/2 has other bytes, whatever its connection's first line says."""
    async with open_service(tmp_path) as service:
        ((status, _, body),) = await exchange(service, b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n")
    assert (status, body) == (505, b"HTTP/1.1 is spoken here, not HTTP/2.\n")
