"""Who is throttled, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service.world import World, assert_identified, dial, open_world
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelGranted, ChannelRefused, RequestChannel
from tocsin.protocol.network.addresses import client_key
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.settings import ServiceSettings

SLOW = 0.001  # tokens a second: none comes back while a test runs


def scope(host: str | None, *forwarded: str) -> dict[str, Any]:
    """Build what the limits look at of a request."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"client": None if host is None else (host, 1), "headers": headers}


async def test_a_channel_is_throttled(tmp_path: Path) -> None:
    """Above its burst a channel gets 406, with the status, the wait and the reason; another channel goes on."""
    async with open_world(tmp_path, ServiceSettings(channel_rate=SLOW, channel_burst=2)) as world:
        for _ in range(2):
            assert (await world.post()).status == 200
        answer = await world.post()
        assert answer.status == 406
        assert_identified(answer)
        assert answer.headers["X-WNS-Status"] == answer.headers["X-WNS-NotificationStatus"] == "channelthrottled"
        assert answer.headers["Retry-After"] == "1000"
        assert answer.reason == "Too many notifications to this channel: send more slowly"
        await world.open_channel()
        assert (await world.post()).status == 200


async def test_an_app_is_throttled(tmp_path: Path) -> None:
    """Above its burst an app gets 406 on all of its channels, with WNS' one word for it; the reason says whose limit it is."""
    async with open_world(tmp_path, ServiceSettings(app_rate=SLOW, app_burst=1)) as world:
        assert (await world.post()).status == 200
        await world.open_channel()
        answer = await world.post()
        assert (answer.status, answer.headers["X-WNS-Status"]) == (406, "channelthrottled")
        assert answer.reason == "Too many notifications of this app: send more slowly"
        assert "Retry-After" in answer.headers


async def test_an_address_is_throttled_on_every_route(tmp_path: Path) -> None:
    """An address above its rate is refused by channels and the token endpoint; requests without a token count too."""
    async with open_world(tmp_path, ServiceSettings(address_rate=SLOW, address_burst=2)) as world:
        assert (await world.post(headers={"Authorization": None})).status == 401  # the first was for the token
        answer = await world.post()
        assert (answer.status, answer.headers["X-WNS-Status"]) == (406, "channelthrottled")
        assert answer.headers["Retry-After"] == answer.headers["X-WNS-CONTINUE-AFTER"] == "1000"
        assert answer.reason == "Too many requests from this address: send more slowly"
        async with world.http.post(world.service.token_url, data={}) as response:
            assert (response.status, (await response.json())["error"]) == (429, "temporarily_unavailable")
            assert response.headers["Retry-After"] == "1000"


@pytest.mark.parametrize("path", ["/accesstoken.srf", "/common/oauth2/v2.0/token"])
async def test_wrong_secrets_are_throttled(tmp_path: Path, path: str) -> None:
    """After a few wrong ones not even the right secret is looked at, but only for that client id."""
    async with open_world(tmp_path, ServiceSettings(secret_rate=SLOW, secret_burst=2)) as world:
        other = await world.service.register("other")

        async def ask(client_id: str, secret: str) -> int:
            scopes = {"scope": "notify.windows.com" if path.endswith("srf") else "https://wns.windows.com/.default"}
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, **scopes}
            async with world.http.post(world.service.url + path, data=form) as response:
                return response.status

        wrong = 400 if path.endswith("srf") else 401
        assert [await ask(world.app.client_id, "guess") for _ in range(3)] == [wrong, wrong, 429]
        assert await ask(world.app.client_id, world.app.client_secret) == 429
        assert await ask(other.client_id, other.client_secret) == 200


async def test_requests_for_channels_are_throttled(tmp_path: Path) -> None:
    """A device that asks for channels without end is told to come back, in a way that devices obey."""
    settings = ServiceSettings(grant_rate=SLOW, grant_burst=2)
    async with open_world(tmp_path, settings) as world, dial(world.service) as device:
        await device.greet()
        for request in (1, 2):
            await device.send(RequestChannel(request, "app", world.app.remote_id, ""))
        await device.receive(ChannelGranted)
        refused = await device.receive(ChannelRefused)
    assert (refused.request, refused.hresult) == (2, HResult.WNP_E_BIND_USER_BUSY)
    assert refused.retry_after == pytest.approx(1000, rel=0.01)


async def test_the_number_of_channels_is_limited(tmp_path: Path) -> None:
    """A full service gives no other channel, and counts anew once old ones are forgotten."""
    async with open_world(tmp_path, ServiceSettings(max_channels=1)) as world, dial(world.service) as device:
        await device.greet()
        await device.send(RequestChannel(1, "app", world.app.remote_id, ""))
        refused = await device.receive(ChannelRefused)
        assert refused.text == "the service keeps 1 channels, and no more"
        world.clock.time += 61 * 24 * 3600
        await device.send(RequestChannel(2, "app", world.app.remote_id, ""))
        await device.receive(ChannelGranted)


async def test_a_private_service_has_no_rates(tmp_path: Path) -> None:
    """What a program runs for itself does not throttle it."""
    settings = ServiceSettings.private(port=0, channel_burst=1, app_burst=1, address_burst=1)
    async with open_world(tmp_path, settings) as world:
        for _ in range(5):
            assert (await world.post()).status == 200


@pytest.mark.parametrize(
    ("scope", "address"),
    [
        (scope("203.0.113.7"), "203.0.113.7"),
        (scope("203.0.113.7", "1.2.3.4"), "203.0.113.7"),
        (scope("10.0.0.1", "1.2.3.4"), "1.2.3.4"),
        (scope("10.0.0.1", "9.9.9.9, 1.2.3.4"), "1.2.3.4"),
        (scope("10.0.0.1", "9.9.9.9", "1.2.3.4"), "1.2.3.4"),
        (scope("10.0.0.1", "2001:db8::1"), "2001:db8::/64"),
        (scope("10.0.0.1", "unknown"), "10.0.0.1"),
        (scope("10.0.0.1"), "10.0.0.1"),
        (scope(None), ""),
        (scope("2001:db8:0:0:1::9"), "2001:db8::/64"),
        (scope("::ffff:203.0.113.7"), "203.0.113.7"),
        (scope("::ffff:10.0.0.1", "1.2.3.4"), "1.2.3.4"),
        (scope("10.0.0.1", "9.9.9.9, 1.2.3.4, 10.0.0.2"), "1.2.3.4"),
        (scope("10.0.0.1", "9.9.9.9", "1.2.3.4,::FFFF:10.0.0.2", "FD00::2"), "1.2.3.4"),
        (scope("fd00::1", "9.9.9.9, [2001:DB8::5]:443, [fd00::2]:80 , 10.1.1.1:8080"), "2001:db8::/64"),
        (scope("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3"),
        (scope("10.0.0.1", "9.9.9.9, unix:, 10.0.0.2"), "10.0.0.2"),
        (scope("10.0.0.1", "1.2.3.4, , 10.0.0.2,"), "1.2.3.4"),
    ],
)
def test_whom_a_request_is_from(scope: dict[str, Any], address: str) -> None:
    """The nearest address that is no proxy of ours, however it is spelled; only proxies are believed."""
    limits = Limits(ServiceSettings(trusted_proxies=("10.0.0.0/8", "fd00::/64")), lambda: 0.0)
    assert limits.address_of(scope) == address


def test_a_scoped_address_is_one_too() -> None:
    """A link-local address comes with its interface."""
    assert client_key("fe80::1%eth0") == "fe80::/64"
    assert client_key("no: address") == ""


async def test_throttling_leaves_the_service_well(world: World) -> None:
    """With the default limits an honest sender notices nothing."""
    for _ in range(20):
        assert (await world.post()).status == 200


def test_what_comes_to_one_of_several_nodes_counts_for_each() -> None:
    """Others come to the rest, whose number may change; what a hub sends all comes from one, and an address stays with one."""
    settings = ServiceSettings(
        channel_rate=SLOW, channel_burst=6, app_rate=SLOW, app_burst=6, address_rate=SLOW, address_burst=6
    )
    for nodes, taken in ((1, 6), (3, 2), (0, 6), (9, 1)):  # the limits ask for it
        limits = Limits(settings, lambda: 0.0, lambda: nodes)  # noqa: B023  # it is asked at once
        assert [limits.app("a") is None for _ in range(7)].count(True) == taken
        assert [limits.channel("c") is None for _ in range(7)].count(True) == taken
        assert [limits.app("b", of_hub=True) is None for _ in range(7)].count(True) == 6
        assert [limits.channel("d", of_hub=True) is None for _ in range(7)].count(True) == 6
        assert [limits.address(scope("192.0.2.1")) is None for _ in range(7)].count(True) == 6
