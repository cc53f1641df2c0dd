"""Ringing by pushes through a real push service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

import tocsin
from tocsin.calling_service.pusher import Pusher, whole_seconds
from tocsin.calling_service.wns_pusher import open_wns_pusher
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.repeat_log import RepeatLog
from tocsin.testing import LocalWns

BODY = b'{"eventId":107}'


@pytest.fixture
async def pusher(wns: LocalWns) -> AsyncIterator[Pusher]:
    """Open a pusher of the service's app."""
    async with open_wns_pusher(
        wns.client_id, wns.client_secret, token_url=wns.token_url, recurring=RepeatLog()
    ) as pusher:
        yield pusher


async def test_a_push_is_raw_and_urgent_and_kept_while_it_rings(wns: LocalWns, pusher: Pusher) -> None:
    """And reaches the device as it was written."""
    assert await pusher.push(wns.channel_uri, BODY, 29.2) is Pushed.ACCEPTED
    (push,) = await wns.wait_for_async()
    assert (push.type, push.body, push.priority) == ("raw", BODY, 1)
    assert push.expires is not None
    assert 29 < push.expires - wns.clock() <= 30
    (request,) = wns.requests
    headers = {name: request.headers.get(name) for name in ("content-type", "x-wns-cache-policy", "x-wns-ttl")}
    assert headers == {
        "content-type": "application/octet-stream",
        "x-wns-cache-policy": "cache",
        "x-wns-ttl": "30",
    }


async def test_a_device_that_is_back_in_time_gets_it(wns: LocalWns, pusher: Pusher) -> None:
    """One that comes later does not."""
    wns.go_offline()
    assert await pusher.push(wns.channel_uri, b"long", 60) is Pushed.ACCEPTED
    assert await pusher.push(wns.channel_uri, b"short", 5) is Pushed.ACCEPTED
    wns.clock.advance(seconds=10)
    wns.go_online()
    (push,) = await wns.wait_for_async()
    assert push.body == b"long"


@pytest.mark.parametrize("end", [LocalWns.expire_channel, LocalWns.revoke_channel])
async def test_a_channel_that_has_ended_is_gone(
    wns: LocalWns, pusher: Pusher, end: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Its registration is to be forgotten; there is nothing to log in that."""
    end(wns)  # type: ignore[operator]
    assert await pusher.push(wns.channel_uri, BODY, 30) is Pushed.GONE
    assert warnings(caplog) == []


async def test_what_the_service_drops_is_dropped(wns: LocalWns, pusher: Pusher) -> None:
    """As where the device wants no notifications."""
    with wns.host.policy(cloud_notifications=False):
        assert await pusher.push(wns.channel_uri, BODY, 30) is Pushed.DROPPED


@pytest.mark.parametrize("status", [500, 503, 406])
async def test_what_may_pass_has_failed(
    wns: LocalWns, pusher: Pusher, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once: the exchange tries it again while the call rings. It is told once, however often it fails."""
    wns.fail(status, times=3, description="no")
    for _ in range(3):
        assert await pusher.push(wns.channel_uri, BODY, 30) is Pushed.FAILED
    assert len(wns.requests) == 3
    (line,) = warnings(caplog)
    assert line == f"a device could not be rung by a push: refused with {status}: no"
    assert await pusher.push(wns.channel_uri, BODY, 30) is Pushed.ACCEPTED


async def test_wrong_credentials_are_told_in_words(
    wns: LocalWns, pusher: Pusher, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the credentials, and without the channel."""
    wns.refuse_token()
    assert await pusher.push(wns.channel_uri, BODY, 30) is Pushed.FAILED
    (line,) = warnings(caplog)
    assert line.startswith("a device could not be rung by a push: no access token: ")
    assert wns.client_secret not in caplog.text
    assert wns.channel_uri.rpartition("=")[2] not in caplog.text


async def test_a_service_that_cannot_be_reached_has_failed(wns: LocalWns, caplog: pytest.LogCaptureFixture) -> None:
    """As a place where nothing listens."""
    away = "http://127.0.0.1:1/accesstoken.srf"
    async with open_wns_pusher(wns.client_id, wns.client_secret, token_url=away, recurring=RepeatLog()) as pusher:
        assert await pusher.push("http://127.0.0.1:1/w/?token=secret", BODY, 30) is Pushed.FAILED
    (line,) = warnings(caplog)
    assert line.endswith("no program listens at 127.0.0.1:1: the connection was refused")
    assert "secret" not in caplog.text


async def test_channels_may_be_elsewhere_where_the_operator_says_so(
    wns: LocalWns, caplog: pytest.LogCaptureFixture
) -> None:
    """By name; and those of WNS where tokens are Microsoft's."""
    log = RepeatLog()
    async with open_wns_pusher(
        "id", "secret", token_url=wns.token_url, hosts=["push.example"], recurring=log
    ) as pusher:
        pusher.check("http://push.example:8080/w/?token=x")
        with pytest.raises(tocsin.InvalidArgument):
            pusher.check(wns.channel_uri)
    microsoft = "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    async with open_wns_pusher("id", "secret", token_url=microsoft, recurring=log) as pusher:
        pusher.check("https://db5p.notify.windows.com/?token=x")
        with pytest.raises(tocsin.InvalidArgument):
            pusher.check(wns.channel_uri)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "nonsense",
        "http://elsewhere.example/w/?token=secret",
        "file:///etc/passwd",
        "http://127.0.0.1:1/ x",
        "http://127.0.0.1:1/",
    ],
)
async def test_a_channel_elsewhere_is_refused(
    wns: LocalWns, pusher: Pusher, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is registered, in words; and a push to it is made nowhere, since its host would get the token."""
    pusher.check(wns.channel_uri)
    with pytest.raises(tocsin.InvalidArgument, match="channel") as refused:
        pusher.check(uri)
    assert "secret" not in str(refused.value)
    assert await pusher.push(uri, BODY, 30) is Pushed.DROPPED
    assert len(warnings(caplog)) == 1
    assert wns.requests == []


async def test_what_is_too_long_is_dropped(wns: LocalWns, pusher: Pusher, caplog: pytest.LogCaptureFixture) -> None:
    """It would be refused each time."""
    assert await pusher.push(wns.channel_uri, b"x" * 5_001, 30) is Pushed.DROPPED
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("ttl", "said"), [(-1, 1), (0, 1), (0.1, 1), (1.0, 1), (119.01, 120), (1e12, 9_999_999_999)])
def test_seconds_are_whole_and_never_none(ttl: float, said: int) -> None:
    """0 with a cache policy would be refused, and so would more than ten digits."""
    assert whole_seconds(ttl) == said


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the pusher has warned of."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("tocsin.calling_service")
    ]
