"""Ringing by pushes through a notification hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import tocsin
from tests.calling_service.test_wns_pusher import warnings
from tests.helpers import PATIENCE
from tests.service.hub.hub_world import HubWorld, connected, open_hub
from tests.service.world import KEY, OTHER_KEY, dial
from tocsin.calling_service.hub_pusher import HubPusher, open_hub_pusher
from tocsin.calling_service.pusher import ONE_ATTEMPT, Pusher
from tocsin.client.http_opening import http_client
from tocsin.client.hub_requests import HubRequests
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.hub.connection_string import read_connection_string, write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.messages import ChannelsRevoked, Payload, RevokeChannels
from tocsin.repeat_log import RepeatLog

BODY = b'{"eventId":107}'


def string_of(hub: HubWorld, right: Right = Right.SEND) -> str:
    """Return a connection string of the hub."""
    return write_connection_string(hub.world.service.url, KEY_NAMES[right], hub.keys.keys[right])


@asynccontextmanager
async def pusher_of(hub: HubWorld, right: Right = Right.SEND, name: str = "contoso") -> AsyncIterator[HubPusher]:
    """Open a pusher on the hub's clock."""
    async with http_client() as http:
        key = read_connection_string(string_of(hub, right))
        yield HubPusher(HubRequests(http, name, key, ONE_ATTEMPT, now=hub.world.clock), RepeatLog())


async def expect(pushed: Pushed, pusher: HubPusher, uri: str) -> None:
    """Push what rings for 29.2 s, and see what it comes to."""
    with anyio.fail_after(PATIENCE):
        assert await pusher.push(uri, BODY, 29.2) is pushed


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubWorld]:
    """Run a service with a hub."""
    async with open_hub(tmp_path) as hub:
        yield hub


async def test_a_push_reaches_the_channel_that_it_names(hub: HubWorld) -> None:
    """Which is not registered in the hub; raw, urgent, and kept while it rings."""
    async with connected(hub, KEY) as (device, uri), pusher_of(hub) as pusher:
        pusher.check(uri)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect, Pushed.ACCEPTED, pusher, uri)
            payload = await device.acknowledge()
    assert (payload.type, payload.body, payload.priority) == ("raw", BODY, 1)
    assert payload.expires is not None
    assert payload.expires - hub.world.clock() == 30


async def test_a_device_that_is_back_in_time_gets_it(hub: HubWorld) -> None:
    """The hub keeps it as the push service does."""
    async with pusher_of(hub) as pusher:
        assert await pusher.push(hub.world.uri, BODY, 60) is Pushed.ACCEPTED
    with anyio.fail_after(PATIENCE):
        while not hub.world.service.offline.kept:
            await anyio.lowlevel.checkpoint()
    async with dial(hub.world.service) as device:
        await device.greet()
        assert (await device.receive(Payload)).body == BODY


async def test_a_channel_that_has_ended_is_gone(hub: HubWorld, caplog: pytest.LogCaptureFixture) -> None:
    """The hub takes the message, and finds that out later; its registration is to be forgotten, and nothing logged."""
    async with connected(hub, OTHER_KEY) as (device, uri):
        await device.send(RevokeChannels(1, "app"))
        await device.receive(ChannelsRevoked)
    async with pusher_of(hub) as pusher:
        await expect(Pushed.GONE, pusher, uri)
    assert warnings(caplog) == []


async def test_a_channel_that_never_was_is_gone(hub: HubWorld) -> None:
    """As after the service has lost its state."""
    async with pusher_of(hub) as pusher:
        await expect(Pushed.GONE, pusher, f"{hub.world.service.url}/w/?token={'x' * 43}")


async def test_a_channel_of_another_app_than_the_hub_sends_for_is_dropped(
    hub: HubWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time it would be, until the operator mends it: so that is said, once."""
    await hub.world.service.register("other")
    hub.keys = await hub.world.service.hubs.add("fabrikam", app="other")
    async with pusher_of(hub, name="fabrikam") as pusher:
        for _ in range(2):
            await expect(Pushed.DROPPED, pusher, hub.world.uri)
    (line,) = warnings(caplog)
    assert line == "a device could not be rung by a push through a hub: the hub says Completed, WrongChannel"


@pytest.mark.parametrize("uri", ["", "nonsense", "https://push.example/w/?token=a b", "https://push.example/\r\nX: y"])
async def test_what_is_no_channel_is_refused(hub: HubWorld, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    """When it is registered, in words; and nothing is asked of the hub for it."""
    async with pusher_of(hub) as pusher:
        with pytest.raises(tocsin.InvalidArgument, match="What is to be registered is the URI of a channel"):
            pusher.check(uri)
        assert await pusher.push(uri, BODY, 30) is Pushed.DROPPED
    assert len(warnings(caplog)) == 1


async def test_a_channel_of_no_service_is_refused_by_the_hub(hub: HubWorld, caplog: pytest.LogCaptureFixture) -> None:
    """Each time it would be; its words are told, once, and without the URI."""
    async with pusher_of(hub) as pusher:
        for _ in range(2):
            assert await pusher.push("https://push.example/w/?secret", BODY, 30) is Pushed.DROPPED
    (line,) = warnings(caplog)
    assert line.startswith("a device could not be rung by a push through a hub: the hub has answered 400: Service")
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("right", "name", "words"),
    [
        (Right.LISTEN, "contoso", "the hub has answered 403: The key allows listen, and this needs send"),
        (Right.SEND, "fabrikam", "the hub has answered 404: There is no hub 'fabrikam'"),
    ],
)
async def test_what_the_operator_has_to_mend_is_said(
    hub: HubWorld, right: Right, name: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Afterwards the push is made, so until then it has failed."""
    async with pusher_of(hub, right, name) as pusher:
        for _ in range(2):
            assert await pusher.push(hub.world.uri, BODY, 30) is Pushed.FAILED
    (line,) = warnings(caplog)
    assert words in line
    assert hub.keys.keys[right] not in caplog.text


async def test_a_hub_that_cannot_be_reached_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """It is asked once for each push."""
    string = write_connection_string("http://127.0.0.1:1", KEY_NAMES[Right.SEND], "a2V5")
    async with open_hub_pusher("contoso", string, recurring=RepeatLog()) as pusher:
        promised: Pusher = pusher
        assert await promised.push("https://push.example/w/?token=secret", BODY, 30) is Pushed.FAILED
    (line,) = warnings(caplog)
    assert line == (
        "a device could not be rung by a push through a hub: no program listens at 127.0.0.1:1: the connection was refused"
    )
    assert "secret" not in caplog.text


async def test_what_cannot_be_right_is_refused_at_the_start() -> None:
    """Without showing the key."""
    with pytest.raises(tocsin.InvalidArgument, match="a hub's name"):
        async with open_hub_pusher("a/b", "", recurring=RepeatLog()):
            pass
    with pytest.raises(tocsin.InvalidArgument, match="connection string") as refused:
        async with open_hub_pusher("a", "Endpoint=sb://h/;SharedAccessKey=secret", recurring=RepeatLog()):
            pass
    assert "secret" not in str(refused.value)
