"""The rules of WNS for senders, one row each; a row's name begins with the section of the documents' digest that it is of.

1.2 is the request and its headers, 1.3 the answer's headers, 1.4 its codes, 1.5 what is stored for a device that is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.world import OTHER_KEY, World, assert_identified, dial, exchange, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload, RevokeChannels, Suspended
from tocsin.protocol.service.wns import WnsRefusal, throttled
from tocsin.protocol.values import CHANNEL_LIFETIME, TOKEN_LIFETIME
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.senders.wns_exchange import WnsExchange

XML = {"Content-Type": "text/xml"}
TOAST, TILE, BADGE = ({"X-WNS-Type": f"wns/{kind}", **XML} for kind in ("toast", "tile", "badge"))
CACHE = {"X-WNS-Cache-Policy": "cache"}
NO_CACHE = {"X-WNS-Cache-Policy": "no-cache"}
TTL_CONFLICT = "Ttl value conflicts with X-WNS-Cache-Policy."
OFFLINE = "Device is offline and X-WNS-Cache-Policy is no-cache"


def h(*headers: dict[str, Any], **more: str | None) -> dict[str, Any]:
    """Ask with these headers; those given by name have underscores for dashes, and None takes one away."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"headers": {name: value for each in (*headers, named) for name, value in each.items()}}


def row(name: str, request: dict[str, Any], status: int, outcome: str | None, words: str = "") -> Any:
    """One rule: what is asked, and the code, status and description that answer it."""
    return pytest.param(request, status, outcome, words, id=name)


ROWS = [
    # The device is away: received means stored, dropped means that it was not to be.
    row("1.2 raw goes with octets", h(CACHE), 200, "received"),
    row("1.2 raw goes with octets and parameters", h(CACHE, Content_Type="application/octet-stream; charset=utf-8"), 200, "received"),
    row("1.2 toast goes with XML", h(TOAST), 200, "received"),
    row("1.2 tile goes with XML", h(TILE), 200, "received"),
    row("1.2 badge goes with XML", h(BADGE), 200, "received"),
    row("1.2 XML may name its charset", h(TOAST, Content_Type="text/xml; charset=utf-8"), 200, "received"),
    row("1.2 XML may begin with a declaration", {**h(TOAST), "body": b'<?xml version="1.0" encoding="utf-8"?><toast/>'}, 200, "received"),
    row("1.2 XML may begin without", {**h(TOAST), "body": b"<toast/>"}, 200, "received"),
    row("1.2 the payload is not looked into", {**h(TOAST), "body": b"<tile"}, 200, "received"),
    row("1.2 raw may be XML", {**h(CACHE), "body": b"<a/>"}, 200, "received"),
    row("1.2 raw may be JSON", {**h(CACHE), "body": b'{"a": 1}'}, 200, "received"),
    row("1.2 header names have no case", {"headers": {"x-wns-TYPE": "wns/toast", "CONTENT-TYPE": "text/xml", "X-WNS-Type": None, "Content-Type": None}}, 200, "received"),
    row("1.2 Authorization is required", h(Authorization=None), 401, None, "Authorization is missing"),
    row("1.2 Authorization is Bearer", h(Authorization="Basic YTpi"), 401, None, "Authorization is malformed"),
    row("1.2 Content-Type is required", h(Content_Type=None), 400, "dropped", "Content-Type is missing"),
    row("1.2 raw with XML", h(XML), 400, "dropped", "Content-Type must be application/octet-stream"),
    row("1.2 raw with JSON", h(Content_Type="application/json"), 400, "dropped", "Content-Type must be application/octet"),
    row("1.2 toast with octets", h(X_WNS_Type="wns/toast"), 400, "dropped", "Content-Type must be text/xml"),
    row("1.2 tile with octets", h(X_WNS_Type="wns/tile"), 400, "dropped", "Content-Type must be text/xml"),
    row("1.2 badge with octets", h(X_WNS_Type="wns/badge"), 400, "dropped", "Content-Type must be text/xml"),
    row("1.2 X-WNS-Type is required", h(X_WNS_Type=None), 400, "dropped", "X-WNS-Type is missing"),
    row("1.2 X-WNS-Type is one of four", h(X_WNS_Type="wns/phone"), 400, "dropped", "X-WNS-Type must be"),
    row("1.2 cache policy: cache", h(CACHE), 200, "received"),
    row("1.2 cache policy: no-cache", h(TOAST, NO_CACHE), 200, "dropped", OFFLINE),
    row("1.2 cache policy: another", h(X_WNS_Cache_Policy="store"), 400, "dropped", "X-WNS-Cache-Policy must be"),
    row("1.2 cache policy of raw is no-cache", h(), 200, "dropped", OFFLINE),
    row("1.2 request for status: another", h(X_WNS_RequestForStatus="1"), 400, "dropped", "X-WNS-RequestForStatus must"),
    row("1.2 tag of 16", h(TILE, X_WNS_Tag="a1B2c3D4e5F6g7H8"), 200, "received"),
    row("1.2 tag of 17", h(TILE, X_WNS_Tag="a1B2c3D4e5F6g7H8i"), 400, "dropped", "X-WNS-Tag must be"),
    row("1.2 tag with a dash", h(TILE, X_WNS_Tag="a-b"), 400, "dropped", "X-WNS-Tag must be"),
    row("1.2 group of 16", h(TOAST, X_WNS_Group="a1B2c3D4e5F6g7H8"), 200, "received"),
    row("1.2 group of 17", h(TOAST, X_WNS_Group="a1B2c3D4e5F6g7H8i"), 400, "dropped", "X-WNS-Group must be"),
    row("1.2 ttl", h(CACHE, X_WNS_TTL="60"), 200, "received"),
    row("1.2 ttl is a number", h(CACHE, X_WNS_TTL="soon"), 400, "dropped", "X-WNS-TTL must be"),
    row("1.2 ttl is not negative", h(CACHE, X_WNS_TTL="-1"), 400, "dropped", "X-WNS-TTL must be"),
    row("1.2 ttl of 0 with cache", h(CACHE, X_WNS_TTL="0"), 400, "dropped", TTL_CONFLICT),
    row("1.2 ttl with no-cache", h(NO_CACHE, X_WNS_TTL="60"), 400, "dropped", TTL_CONFLICT),
    row("1.2 ttl of 0 with no-cache", h(NO_CACHE, X_WNS_TTL="0"), 200, "dropped", OFFLINE),
    row("1.2 ttl of 0 without a policy", h(TOAST, X_WNS_TTL="0"), 200, "dropped", "Device is offline and X-WNS-TTL is 0"),
    row("1.2 popup is suppressed on every device", h(TOAST, X_WNS_SuppressPopup="true"), 200, "received"),
    row("1.2 popup is neither", h(TOAST, X_WNS_SuppressPopup="True"), 400, "dropped", "X-WNS-SuppressPopup must be"),
    row("1.2 popup is not suppressed", h(TOAST, X_WNS_SuppressPopup="false"), 200, "received"),
    row("1.2 match: all", {**h(X_WNS_Match="type:wns/toast;all"), "method": "DELETE"}, 200, "received"),
    row("1.2 match: group", {**h(X_WNS_Match="type:wns/toast;group=g"), "method": "DELETE"}, 200, "received"),
    row("1.2 match: tag", {**h(X_WNS_Match="type:wns/toast;tag=t"), "method": "DELETE"}, 200, "received"),
    row("1.2 match: both", {**h(X_WNS_Match="type:wns/toast;group=g;tag=t"), "method": "DELETE"}, 200, "received"),
    row("1.2 match: another type", {**h(X_WNS_Match="type:wns/tile;all"), "method": "DELETE"}, 400, "dropped", "X-WNS-Match must be"),
    row("1.2 match: nothing", {**h(X_WNS_Match="type:wns/toast;"), "method": "DELETE"}, 400, "dropped", "X-WNS-Match must be"),
    row("1.2 match: long tag", {**h(X_WNS_Match=f"type:wns/toast;tag={'t' * 17}"), "method": "DELETE"}, 400, "dropped", "X-WNS-Match must"),
    row("1.2 match: missing", {"method": "DELETE", "body": b""}, 400, "dropped", "X-WNS-Match is missing"),
    row("1.2 match: with POST", h(X_WNS_Match="type:wns/toast;all"), 400, "dropped", "X-WNS-Match goes with DELETE only"),
    *(row(f"1.2 priority {n}", h(CACHE, X_WNS_PRIORITY=n), 200, "received") for n in "1234"),
    row("1.2 priority 0", h(X_WNS_PRIORITY="0"), 400, "dropped", "X-WNS-PRIORITY must be"),
    row("1.2 priority 5", h(X_WNS_PRIORITY="5"), 400, "dropped", "X-WNS-PRIORITY must be"),
    row("1.2 a toast may be empty", {**h(TOAST), "body": b""}, 200, "received"),
    row("1.2 raw is not empty", {"body": b""}, 400, "dropped", "A raw notification must not be empty"),
    row("1.2 5,000 bytes", {**h(CACHE), "body": b"x" * 5_000}, 200, "received"),
    row("1.4 401 forged token", h(Authorization="Bearer a.b.c"), 401, None, "The access token was not issued by this"),
    row("1.4 404 unknown channel", {"uri": "/w/?token=unknown"}, 404, None, "The channel URI is not known"),
    row("1.4 404 no channel", {"uri": "/w/"}, 404, None, "The channel URI is not known"),
    *(row(f"1.4 405 {name}", {"method": name, "body": b""}, 405, None, "The method must be") for name in ("GET", "PUT", "OPTIONS", "PATCH")),
    row("1.4 413 5,001 bytes", {"body": b"x" * 5_001}, 413, "dropped", "The payload has 5001 bytes"),
    row("1.5 tile is stored", h(TILE), 200, "received"),
    row("1.5 badge is stored", h(BADGE), 200, "received"),
    row("1.5 toast is stored", h(TOAST), 200, "received"),
    row("1.5 raw is not", h(), 200, "dropped", OFFLINE),
    row("1.5 raw is with cache", h(CACHE), 200, "received"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "status", "outcome", "words"), ROWS)
async def test_a_rule_holds(
    standing: World, request_: dict[str, Any], status: int, outcome: str | None, words: str
) -> None:
    """Each rule has its code, its ``X-WNS-Status`` under both names, and its description; all answers can be traced."""
    if "uri" in request_:
        request_ = {**request_, "uri": standing.service.url + request_["uri"]}
    answer = await standing.post(**request_)
    assert answer.status == status, answer
    assert answer.headers.get("X-WNS-Status") == answer.headers.get("X-WNS-NotificationStatus") == outcome
    assert answer.headers.get("X-WNS-Error-Description", "").startswith(words)
    assert bool(words) == ("X-WNS-Error-Description" in answer.headers)
    assert_identified(answer)


async def nothing(_: World) -> None:
    """Leave the world as it is."""


async def a_day_passes(world: World) -> None:
    """The token's life is over."""
    world.clock.time += TOKEN_LIFETIME


async def a_month_passes(world: World) -> None:
    """The channel's life is over; the sender has a new token."""
    world.clock.time += CHANNEL_LIFETIME
    await world.authorize()


async def another_app_sends(world: World) -> None:
    """The token is of another app."""
    world.token = (await world.ask_token(await world.service.register("fabrikam")))["access_token"]


async def the_app_closes_its_channel(world: World) -> None:
    """The channel is revoked."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        world.uri = (await device.channel(world.app.remote_id)).uri
        await device.send(RevokeChannels(1, "app"))
        await device.socket.recv()


SITUATIONS = {
    "1.4 401 expired token": (a_day_passes, 401, {"WWW-Authenticate": "Bearer"}, "The access token has expired"),
    "1.4 403 another app": (another_app_sends, 403, {}, "The access token is of another app"),
    "1.4 406 throttled": (
        throttled("Too many", 7, "channel_throttled"),
        406,
        {"Retry-After": "7", "X-WNS-CONTINUE-AFTER": "7", "X-WNS-Status": "channelthrottled"},
        "Too many",
    ),
    "1.4 410 expired channel": (a_month_passes, 410, {}, "Expired channel URL"),
    "1.4 410 revoked channel": (the_app_closes_its_channel, 410, {}, "Revoked channel URL"),
    "1.4 410 blocked domain": (WnsRefusal(410, "Domain Blocked", reason="other"), 410, {}, "Domain Blocked"),
    "1.4 429 quota": (WnsRefusal(429, "Quota", reason="other"), 429, {}, "Quota"),
    "1.4 503 with its time": (
        WnsRefusal(503, "Later", retry_after=9, reason="other"),
        503,
        {"Retry-After": "9"},
        "Later",
    ),
    "1.4 503 without": (WnsRefusal(503, "Later", reason="other"), 503, {"Retry-After": "1"}, "Later"),
    "1.3 disconnected": (nothing, 200, {"X-WNS-DeviceConnectionStatus": "disconnected"}, OFFLINE),
}


@pytest.mark.parametrize(("prepare", "status", "headers", "words"), SITUATIONS.values(), ids=SITUATIONS)
async def test_a_situation_has_its_answer(  # noqa: PLR0917  # the row, and where it is tried
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[World], Awaitable[None]] | WnsRefusal,
    status: int,
    headers: dict[str, str],
    words: str,
) -> None:
    """Each code has its headers; those that this service never gives are given by a stand-in for the channel."""
    if isinstance(prepare, WnsRefusal):
        refusal = prepare
        monkeypatch.setattr(WnsExchange, "_admit", lambda exchange, _: exchange._answer(refusal))
    else:
        await prepare(world)
    answer = await world.post(headers={"X-WNS-RequestForStatus": "true"})
    assert answer.status == status
    assert answer.reason == words or answer.reason.startswith(words)
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert_identified(answer)


async def test_1_4_503_a_broken_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.4: a store that cannot be read now passes, so it is 503 with a time to come back, as everywhere else."""

    async def fail(*_: object) -> None:
        raise StateUnavailable("the disk is gone")

    monkeypatch.setattr(ChannelDirectory, "known", lambda *_: None)
    monkeypatch.setattr(ChannelDirectory, "find_all", fail)
    answer = await world.post()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_1_4_503_a_device_that_can_store_nothing(world: World) -> None:
    """1.4 and 1.3: 503 names its time, and the device is connected all the while."""
    async with dial(world.service) as device:
        await device.greet()
        await device.send(Suspended(suspended=True), RevokeChannels(1, "nobody"))
        await device.socket.recv()
        answer = await world.post(headers={"X-WNS-RequestForStatus": "true"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


async def test_1_3_connected(world: World) -> None:
    """1.3: a device that is connected is told as connected, and only to who asks."""
    told = {}

    async def post(wish: str | None) -> None:
        answer = await world.post(headers={"X-WNS-RequestForStatus": wish})
        told[wish] = answer.headers.get("X-WNS-DeviceConnectionStatus")

    async with dial(world.service) as device, anyio.create_task_group() as group:
        await device.greet()
        for wish in ("true", "false", None):
            group.start_soon(post, wish)
            await device.acknowledge()
    assert told == {"true": "connected", "false": None, None: None}


async def test_1_3_names_are_spelled_as_wns_spells_them(standing: World) -> None:
    """1.3: some senders look for the names as the documents write them."""
    request = (
        f"POST {standing.uri.removeprefix(standing.service.url)} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n"
        f"Authorization: Bearer {standing.token}\r\n{{}}Content-Type: application/octet-stream\r\n\r\nx"
    )
    ok, bad = (request.format(line).encode() for line in ("X-WNS-Type: wns/raw\r\n", ""))
    answers = await exchange(standing.service, ok, bad, lower=False)
    names = {"X-WNS-Msg-ID", "X-WNS-Debug-Trace", "MS-CV", "X-WNS-Status", "X-WNS-NotificationStatus", "Content-Length"}
    for _, headers, _ in answers:
        assert names | {"X-WNS-Error-Description"} <= set(headers)
    assert "Content-Type" in answers[1][1]


async def test_1_2_a_respelled_token_is_the_same(standing: World) -> None:
    """1.2: the token is compared as it is meant, whatever became of it in other people's URL libraries."""
    head, token = standing.uri.split("token=")
    respelled = "".join(f"%{ord(each):02x}" if number % 3 == 0 else each for number, each in enumerate(token))
    path = head.removeprefix(standing.service.url)
    request = (
        f"POST {path}token={respelled} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nX-WNS-Type: wns/raw\r\n"
        f"Authorization: Bearer {standing.token}\r\nContent-Type: application/octet-stream\r\n\r\nx"
    )
    [(status, _, _)] = await exchange(standing.service, request.encode())
    assert status == 200


@pytest.mark.parametrize(
    ("line", "kept"), [("", True), ("Connection: keep-alive\r\n", True), ("Connection: close\r\n", False)]
)
async def test_1_2_connections_are_kept_as_the_sender_wishes(standing: World, line: str, kept: bool) -> None:
    """1.2: HTTP/1.1 keeps a connection unless it is told to close it."""
    request = (
        f"POST {standing.uri.removeprefix(standing.service.url)} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n{line}"
        f"Authorization: Bearer {standing.token}\r\nX-WNS-Type: wns/raw\r\nContent-Type: application/octet-stream\r\n\r\nx"
    ).encode()
    if kept:
        answers = await exchange(standing.service, request, request)
        assert [status for status, _, _ in answers] == [200, 200]
    else:
        [(status, headers, _)] = await exchange(standing.service, request)
        assert (status, headers["connection"]) == (200, "close")


async def test_1_5_a_live_notification_carries_what_was_sent(tmp_path: Path) -> None:
    """1.5: what the device gets has the id that the sender got, the default priority of its type, and its end."""
    async with open_world(tmp_path, ServiceSettings()) as world, dial(world.service) as device:
        await device.greet()
        answers = []

        async def post() -> None:
            answers.append(await world.post(b"<toast/>", {**TOAST, "X-WNS-TTL": "60"}))

        async with anyio.create_task_group() as group:
            group.start_soon(post)
            payload = await device.acknowledge()
    assert payload == Payload(
        answers[0].headers["X-WNS-Msg-ID"],
        payload.channel,
        payload.type,
        b"<toast/>",
        world.clock() + 60,
        1,
        world.clock(),
    )
