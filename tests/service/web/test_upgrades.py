"""Offers to speak another protocol: a device's WebSocket is taken, all others are passed over, and no body is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.service.world import Device, World, connected, dial, ending, open_world, read_raw
from tocsin.service.layer import Layer
from tocsin.service.server import open_service

H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
"""What ``java.net.http.HttpClient`` and ``curl --http2`` send over plain HTTP (RFC 7540 §3.2)."""

WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)
OFFERS = {
    "h2c": H2C,
    "h2c, kept alive": "Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n",
    "websocket": WEBSOCKET,
    "tls": "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n",
    "two lines": "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUPGRADE: irc/6.9\r\n",
    "expecting": f"{H2C}Expect: 100-continue\r\n",
    "without a connection header": "Upgrade: h2c\r\n",
}


@define
class Sender:
    """A sender's connection, and the device that gets what it posts."""

    world: World
    device: Device
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def post(self, offer: str, body: bytes, *, length: int | None = None) -> bytes:
        """Write a post that makes an offer."""
        path = self.world.uri.removeprefix(self.world.service.url)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.world.token}\r\nX-WNS-Type: wns/raw\r\n"
            f"Content-Type: application/octet-stream\r\n{offer}"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        )
        return head.encode() + body

    async def got(self) -> tuple[bytes, str | None]:
        """Let the device take a payload, and return its body and what its sender was told."""
        payload = await self.device.acknowledge()
        with_continue = await self.reader.readuntil(b"\r\n") if b"100 Continue" in await _peek(self.reader) else b""
        if with_continue:
            await self.reader.readuntil(b"\r\n")
        status, headers, _ = await read_raw(self.reader)
        return payload.body, headers.get("x-wns-status") if status == 200 else str(status)


async def turns() -> None:
    """Let the service read what it was sent, so that it comes in pieces."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _peek(reader: asyncio.StreamReader) -> bytes:
    """Look at the first line without taking it."""
    line = await reader.readuntil(b"\r\n")
    reader._buffer[0:0] = line  # type: ignore[attr-defined]
    return line


@asynccontextmanager
async def _sending(tmp_path: Path) -> AsyncIterator[Sender]:
    async with (
        open_world(tmp_path) as world,
        dial(world.service) as device,
        connected(world.service.port) as (reader, writer),
    ):
        await device.greet()
        yield Sender(world, device, reader, writer)


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_a_post_that_makes_an_offer_is_a_post(tmp_path: Path, offer: str) -> None:
    """The offer is passed over (RFC 9110 §7.8), however the bytes come, and the next request is in step."""
    async with _sending(tmp_path) as sender:
        for body in (b"body", b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n"):
            whole = sender.post(offer, body)
            for pieces in ([whole], [whole[:40], whole[40:]], [whole[: -len(body)], body], [whole[:-2], whole[-2:]]):
                for piece in pieces:
                    sender.writer.write(piece)
                    await turns()
                assert await sender.got() == (body, "received")


async def test_offers_may_be_sent_ahead(tmp_path: Path) -> None:
    """Before, between and behind other posts, each has its own body and its own answer."""
    async with _sending(tmp_path) as sender:
        bodies = [b"one", b"two", b"three", b"four", b"five"]
        offers = ["", H2C, WEBSOCKET, "", H2C]
        sender.writer.write(b"".join(map(sender.post, offers, bodies)))
        assert [await sender.got() for _ in bodies] == [(body, "received") for body in bodies]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_token_is_given_to_who_makes_an_offer(world: World, chunked: bool) -> None:
    """The form is not lost either."""
    form = (
        f"grant_type=client_credentials&client_id={world.app.client_id}&client_secret={world.app.client_secret}"
        "&scope=notify.windows.com"
    ).encode()
    head = f"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\n{H2C}".encode()
    body = b"Content-Length: %d\r\n\r\n%b" % (len(form), form)
    parts = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(form), form)
    async with connected(world.service.port) as (reader, writer):
        writer.write(head + (parts if chunked else body))
        assert (await read_raw(reader))[0] == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (f"GET /healthz HTTP/1.1\r\nHost: x\r\n{H2C}\r\n", 200),
        (f"GET /healthz HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n", 200),
        (f"GET /elsewhere HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n", 404),
        (f"GET /device HTTP/1.1\r\nHost: x\r\n{H2C}\r\n", 426),
        (f"GET /device HTTP/1.0\r\nHost: x\r\n{WEBSOCKET}\r\n", 426),
        (f"GET /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}Content-Length: 4\r\n\r\nbody", 426),
        (f"GET /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n\x82\x80mask", 426),
        (f"POST /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n", 405),
        (f"GET /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET.replace('websocket', 'h2c, WebSocket')}\r\n", 101),
        (f"GET /device?x HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}Content-Length: 0\r\n\r\n", 101),
        ("CONNECT push.example:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (f"CONNECT /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
async def test_what_becomes_of_an_offer(standing: World, request_: str, status: int) -> None:
    """Only the handshake of a device (RFC 6455 §4.1) is taken; a request with any other offer is answered as without it."""
    async with connected(standing.service.port) as (reader, writer):
        writer.write(request_.encode("latin-1"))
        assert (await reader.readline()).split()[1] == str(status).encode()


async def test_a_handshake_behind_another_request_waits_for_no_stream(standing: World) -> None:
    """An answer that is still to come must not end up within a WebSocket."""
    async with connected(standing.service.port) as (reader, writer):
        writer.write(
            f"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /device HTTP/1.1\r\nHost: x\r\n{WEBSOCKET}\r\n".encode()
        )
        assert [(await read_raw(reader))[0] for _ in range(2)] == [200, 426]


async def test_a_body_that_does_not_come_whole_is_not_delivered(tmp_path: Path) -> None:
    """A sender that leaves in the middle gets no answer, and the device nothing."""
    async with _sending(tmp_path) as sender:
        sender.writer.write(sender.post("", b"bo", length=4))
        sender.writer.write_eof()
        assert b" 200 " not in await ending(sender.reader)
        async with connected(sender.world.service.port) as (reader, writer):
            writer.write(sender.post("", b"next"))
            assert (await sender.device.acknowledge()).body == b"next"
            assert (await read_raw(reader))[0] == 200


class Reading(Layer):
    """Takes some bytes off the end of the bodies that no channel gets, and notes the names of their requests' headers."""

    def __init__(self, cut: int) -> None:
        self._cut = cut
        self.names: list[list[bytes]] = []

    def around_others(self, app: ASGIApp) -> ASGIApp:
        """Read each body before the application does."""

        async def reading(scope: Scope, receive: Receive, send: Send) -> None:
            event = dict(await receive())
            while event["more_body"]:
                later = await receive()
                event |= {"body": event["body"] + later["body"], "more_body": later["more_body"]}
            event["body"] = event["body"][: len(event["body"]) - self._cut]
            self.names.append([name for name, _ in scope["headers"]])

            async def torn() -> dict[str, object]:
                return event

            await app(scope, torn, send)

        return reading


async def test_a_body_of_another_length_is_refused(tmp_path: Path) -> None:
    """Whatever has torn it: 400, and no token is given."""
    async with open_service(tmp_path, layer=Reading(1)) as service, connected(service.port) as (reader, writer):
        writer.write(b"POST /accesstoken.srf HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        status, _, text = await read_raw(reader)
        assert status == 400
        assert b"as long as" in text


async def test_a_trailer_is_no_header(tmp_path: Path) -> None:
    """What comes behind a body cannot say whom the request is from, nor be taken for a header of the next."""
    layer = Reading(0)
    async with open_service(tmp_path, layer=layer) as service, connected(service.port) as (reader, writer):
        writer.write(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        for _ in range(2):
            assert (await read_raw(reader))[0] == 200
    assert layer.names == [[b"host", b"transfer-encoding"], [b"host"]]


async def test_nonsense_behind_a_post_is_answered_behind_it(tmp_path: Path) -> None:
    """The answer to the post is its own, though the refusal of what follows was ready before it."""
    async with _sending(tmp_path) as sender:
        sender.writer.write(sender.post("", b"body") + b"nonsense\r\n\r\n")
        await turns()
        assert await sender.got() == (b"body", "received")
        assert (await read_raw(sender.reader))[0] == 400
        assert await ending(sender.reader) == b""


async def test_offers_and_nonsense_are_not_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What strangers send is counted, not told."""
    caplog.set_level(logging.INFO)
    for said in (f"GET / HTTP/1.1\r\nHost: x\r\n{H2C}\r\n", "nonsense\r\n\r\n"):
        async with connected(world.service.port) as (reader, writer):
            writer.write(said.encode())
            await reader.readline()
    assert not [record for record in caplog.records if record.name.startswith("tocsin.service.web")]
