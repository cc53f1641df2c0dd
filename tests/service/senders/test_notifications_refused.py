"""The channel route: what it refuses, and how."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.service.world import OTHER_KEY, World, assert_identified, connected, dial, exchange, open_world, read_raw
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import RevokeChannels
from tocsin.protocol.values import CHANNEL_LIFETIME, MAX_PAYLOAD, TOKEN_LIFETIME
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channel_directory import ChannelDirectory

REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "GET": (405, "The method must be POST, or DELETE with X-WNS-Match, not 'GET'", {"method": "GET", "body": b""}),
    "PUT": (405, "The method must be POST, or DELETE with X-WNS-Match, not 'PUT'", {"method": "PUT"}),
    "no ticket": (401, "Authorization is missing", {"headers": {"Authorization": None}}),
    "malformed ticket": (401, "Authorization is malformed", {"headers": {"Authorization": "Basic YTpi"}}),
    "forged ticket": (401, "The access token was not issued by this", {"headers": {"Authorization": "Bearer a.b.c"}}),
    "type": (400, "X-WNS-Type must be", {"headers": {"X-WNS-Type": "wns/phone"}}),
    "no type": (400, "X-WNS-Type is missing", {"headers": {"X-WNS-Type": None}}),
    "content type": (400, "Content-Type must be application/octet-stream", {"headers": {"Content-Type": "text/xml"}}),
    "no content type": (400, "Content-Type is missing", {"headers": {"Content-Type": None}}),
    "cache policy": (400, "X-WNS-Cache-Policy must be", {"headers": {"X-WNS-Cache-Policy": "x"}}),
    "request for status": (400, "X-WNS-RequestForStatus must be", {"headers": {"X-WNS-RequestForStatus": "x"}}),
    "tag": (400, "X-WNS-Tag must be", {"headers": {"X-WNS-Tag": "a b"}}),
    "group": (400, "X-WNS-Group must be", {"headers": {"X-WNS-Group": "a b"}}),
    "ttl": (400, "X-WNS-TTL must be", {"headers": {"X-WNS-TTL": "soon"}}),
    "ttl against policy": (
        400,
        "Ttl value conflicts with X-WNS-Cache-Policy.",
        {"headers": {"X-WNS-TTL": "60", "X-WNS-Cache-Policy": "no-cache"}},
    ),
    "priority": (400, "X-WNS-PRIORITY must be", {"headers": {"X-WNS-PRIORITY": "0"}}),
    "popup": (400, "X-WNS-SuppressPopup must be true or", {"headers": {"X-WNS-SuppressPopup": "1"}}),
    "empty raw": (400, "A raw notification must not be empty", {"body": b""}),
    "too long": (413, "The payload has 5001 bytes; at most 5000", {"body": b"x" * (MAX_PAYLOAD + 1)}),
}


@pytest.mark.parametrize(("status", "words", "request_"), REFUSED.values(), ids=REFUSED)
async def test_a_wrong_request_is_refused_in_words(
    standing: World, status: int, words: str, request_: dict[str, Any]
) -> None:
    """Each refusal has its status, a description, and for people the same words as its body."""
    answer = await standing.post(**request_)
    assert answer.status == status
    assert answer.reason.startswith(words)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text == f"{answer.reason}\n"
    assert_identified(answer)


async def test_405_says_which_method_is_allowed(standing: World) -> None:
    """The Allow header is there, as RFC 9110 §15.5.6 wants it."""
    assert (await standing.post(method="PUT")).headers["Allow"] == "POST, DELETE"


async def test_head_is_refused_without_a_body(standing: World) -> None:
    """HEAD is a method like others, but its answer has no body."""
    answer = await standing.post(b"", method="HEAD")
    assert (answer.status, answer.text) == (405, "")


async def test_401_says_how_to_authorize(standing: World) -> None:
    """The challenge is there, as RFC 9110 §15.5.2 wants it."""
    assert (await standing.post(headers={"Authorization": None})).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "path", ["/w/", "/w", "/w/?token=unknown", "/?token=unknown", "/w/?token=a&token=b", "/w/more?token=unknown"]
)
async def test_an_unknown_channel_is_404(standing: World, path: str) -> None:
    """Whatever is no channel is not found, and the answer can be traced."""
    answer = await standing.post(uri=f"{standing.service.url}{path}")
    assert answer.status == 404
    assert_identified(answer)


async def test_a_ticket_is_asked_for_before_the_channel_is_looked_up(standing: World) -> None:
    """Who has no token does not learn which channels there are."""
    uri = f"{standing.service.url}/w/?token=unknown"
    assert (await standing.post(uri=uri, headers={"Authorization": None})).status == 401


async def test_another_apps_token_is_403(standing: World) -> None:
    """A token is good for the channels of its own app only."""
    other = await standing.service.register("fabrikam")
    token = (await standing.ask_token(other))["access_token"]
    answer = await standing.post(headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.reason) == (403, "The access token is of another app than the channel")


async def test_an_expired_token_is_401(world: World) -> None:
    """A day after it was issued, the token is no longer good, and the sender is told why."""
    world.clock.time += TOKEN_LIFETIME
    answer = await world.post()
    assert (answer.status, answer.reason) == (401, "The access token has expired: get a new one")


async def test_an_expired_channel_is_410(world: World) -> None:
    """30 days after it was granted, the channel is gone."""
    world.clock.time += CHANNEL_LIFETIME
    await world.authorize()
    answer = await world.post()
    assert (answer.status, answer.reason) == (410, "Expired channel URL")


async def test_a_revoked_channel_is_410(world: World) -> None:
    """A channel that its app has closed is gone, in the words of WNS."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        granted = await device.channel(world.app.remote_id)
        await device.send(RevokeChannels(1, "app"))
        await device.socket.recv()
    answer = await world.post(uri=granted.uri)
    assert (answer.status, answer.reason) == (410, "Revoked channel URL")


async def test_a_broken_store_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a channel cannot be looked up, that is what the sender is told, without our paths."""

    async def fail(*_: object) -> None:
        raise StateUnavailable("/secret/path cannot be used")

    monkeypatch.setattr(ChannelDirectory, "known", lambda *_: None)
    monkeypatch.setattr(ChannelDirectory, "find_all", fail)
    answer = await world.post()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.reason == "The service cannot read its store just now: send the request again"


def raw_post(world: World, *lines: str, body: bytes = b"") -> bytes:
    """Write a POST to the channel, its framing left to the test."""
    head = (
        f"POST {world.uri.removeprefix(world.service.url)} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {world.token}",
        "X-WNS-Type: wns/raw",
        "Content-Type: application/octet-stream",
        *lines,
    )
    return "\r\n".join((*head, "", "")).encode() + body


async def test_a_refusal_leaves_the_connection_in_step(standing: World) -> None:
    """Bodies that were not read are read past: the next request on the same connection is understood."""
    chunks = b"4\r\nbody\r\n0\r\n\r\n"
    bad = [
        raw_post(standing, "Content-Length: 4", "X-WNS-Tag: a b", body=b"body"),
        raw_post(standing, "Content-Length: 5001", body=b"x" * 5_001),
        raw_post(standing, "Transfer-Encoding: chunked", body=chunks),
        raw_post(standing),
        raw_post(standing, "Content-Length: 4", body=b"body").replace(b"POST", b"GET"),
        raw_post(standing, "Content-Length: 4", body=b"body").replace(b"token=", b"token=x"),
        raw_post(standing, "Content-Length: 300000", body=b"x" * 300_000),
    ]
    good = raw_post(standing, "Content-Length: 4", body=b"body")
    requests = [request for each in bad for request in (each, good)]
    answers = await exchange(standing.service, *requests)
    assert [status for status, _, _ in answers] == [
        400,
        200,
        413,
        200,
        400,
        200,
        400,
        200,
        405,
        200,
        404,
        200,
        413,
        200,
    ]


async def test_pipelined_requests_are_answered_in_order(standing: World) -> None:
    """Two requests in one write get their two answers, in order."""
    bad = raw_post(standing, "Content-Length: 4", "X-WNS-Tag: a b", body=b"body")
    good = raw_post(standing, "Content-Length: 4", body=b"body")
    answers = await exchange(standing.service, bad + good, b"")
    assert [status for status, _, _ in answers] == [400, 200]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Transfer-Encoding: chunked"], "Transfer-Encoding is not supported"),
        ([], "Content-Length is missing"),
    ],
)
async def test_a_body_comes_with_its_length(standing: World, lines: list[str], words: str) -> None:
    """Without Content-Length nothing is accepted, and the sender is told what to send."""
    body = b"4\r\nbody\r\n0\r\n\r\n" if lines else b""
    [(status, headers, _)] = await exchange(standing.service, raw_post(standing, *lines, body=body))
    assert status == 400
    assert headers["x-wns-error-description"].startswith(words)


async def test_a_sender_that_waits_for_a_refusal_is_parted_with(standing: World) -> None:
    """Who asked whether to send its body and is refused may never send it: the connection is closed."""
    lines = ["Content-Length: 5001", "Expect: 100-continue"]
    [(status, headers, _)] = await exchange(standing.service, raw_post(standing, *lines))
    assert (status, headers["connection"]) == (413, "close")


async def test_a_body_that_does_not_come_is_408(tmp_path: Path) -> None:
    """A sender that stops in the middle is told so, and parted with."""
    async with open_world(tmp_path, ServiceSettings(body_timeout=0.25)) as world:
        [(status, headers, _)] = await exchange(world.service, raw_post(world, "Content-Length: 4", body=b"bo"))
    assert (status, headers["connection"]) == (408, "close")
    assert headers["x-wns-error-description"] == "The body did not arrive in time"


async def test_a_sender_in_the_middle_of_its_body_is_told_that_the_service_stops(tmp_path: Path) -> None:
    """The request is answered with 503 before the service goes."""
    async with open_world(tmp_path) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.service.port)
        writer.write(raw_post(world, "Content-Length: 4", "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    status, headers, _ = await read_raw(reader)
    writer.close()
    await writer.wait_closed()
    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert headers["x-wns-error-description"] == "The service is stopping"


@pytest.mark.parametrize("lines", [[], ["Connection: keep-alive"]], ids=["plain", "keep-alive"])
async def test_a_sender_in_http_1_0_is_not_told_to_go_on(standing: World, lines: list[str]) -> None:
    """It knows no interim answer and takes it for the last (RFC 9110 §10.1.1): what it expects is passed over, on each route."""
    post = raw_post(standing, "Content-Length: 4", "Expect: 100-continue", *lines, body=b"body")
    form = b"POST /accesstoken.srf HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n%b\r\nform"
    token = form % "".join(f"{line}\r\n" for line in lines).encode()
    for request, status in ((post, 200), (token, 400)):
        older = request.replace(b"HTTP/1.1", b"HTTP/1.0")
        assert [answer[0] for answer in await exchange(standing.service, older)] == [status]


async def test_what_is_behind_a_body_is_no_part_of_it(standing: World) -> None:
    """A body that is longer than its Content-Length says is taken as far as that; the rest is the next request, or none."""
    post = raw_post(standing, "Content-Length: 4", body=b"body, and more\r\n\r\n")
    async with connected(standing.service.port) as (reader, writer):
        writer.write(post)
        answers = [await read_raw(reader) for _ in range(2)]
        assert await reader.read() == b""
    assert [(status, headers.get("connection")) for status, headers, _ in answers] == [(200, None), (400, "close")]


async def test_an_expectation_that_is_not_known_is_passed_over(standing: World) -> None:
    """RFC 9110 §10.1.1 allows it: there is neither 100 nor 417, and what is asked is answered."""
    post = raw_post(standing, "Content-Length: 4", "Expect: 200-ok", body=b"body")
    [(status, headers, _)] = await exchange(standing.service, post)
    assert (status, headers["x-wns-status"]) == (200, "dropped")
