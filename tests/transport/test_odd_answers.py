"""Answers of HTTP to the handshake that are no good HTTP, or not the one that was hoped for."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers import listening
from tests.transport.test_connection_failures import broken, saying
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport import websocket_wire as websocket


async def test_a_wrong_address_is_told_with_a_right_one() -> None:
    """Which URL was tried, with its path and without a query, and what to name instead."""
    async with listening(saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as port:
        failure = await broken(f"ws://127.0.0.1:{port}/wrong/device?secret")
    assert str(failure) == (
        f"there is no push service at 127.0.0.1:{port} (it answered 404; tried was http://127.0.0.1:{port}/wrong/device;"
        " service= names what 'tocsin serve' prints, such as http://127.0.0.1:8080)"
    )


ODD = {
    "HTTP/1.0": b"HTTP/1.0 503 Busy\r\nRetry-After: 77\r\n\r\n",
    "bare line feeds": b"HTTP/1.0 503 Busy\nRetry-After: 77\n\n",
    "no reason": b"HTTP/1.1 503\r\nRetry-After: 77\r\n\r\n",
    "a reason that is long": b"HTTP/1.1 503 " + b"x" * 9000 + b"\r\nRetry-After: 77\r\n\r\n",
    "a header that is none": b"HTTP/1.1 503 Busy\r\nwhat\r\nRetry-After: 77\r\n\r\n",
    "a header that is long": b"HTTP/1.1 503 Busy\r\nX: " + b"x" * 9000 + b"\r\nRetry-After: 77\r\n\r\n",
    "a coding that is not known": b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: gzip\r\nRetry-After: 77\r\n\r\nxx",
    "a body that is cut off": b"HTTP/1.1 503 Busy\r\nContent-Length: 50\r\nRetry-After: 77\r\n\r\nxx",
    "a body that is long": b"HTTP/1.1 503 Busy\r\nContent-Length: 5000000\r\nRetry-After: 77\r\n\r\n",
}


@pytest.mark.parametrize("cut", [True, False], ids=["cut off", "held open"])
@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
async def test_an_odd_answer_of_http_counts_by_its_head(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, *, cut: bool
) -> None:
    """Old proxies and broken bodies: a service that is busy is busy, until it said, and no wrong address."""
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT", 0.1)
    leave = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not cut:
            await leave.wait()

    async with listening(handler) as port:
        failure = await broken(f"ws://127.0.0.1:{port}/device")
        leave.set()
    assert (failure.cause, failure.retry_after) == (ConnectionCause.BUSY, 77.0)
