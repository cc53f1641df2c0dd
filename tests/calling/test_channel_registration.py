"""A channel stays registered with its agent, and with a hub: at once, when it is another one, and after failures."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import Factory, define

from tests.calling.standing_in import StandInAgent, standing_in
from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, World, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.calling import channel_registration
from tocsin.calling.channel_registration import ChannelRegistration, RegistrationFailedEventArgs
from tocsin.client.notification_hub import HubRegistration
from tocsin.protocol.errors import IllegalCall, InvalidArgument, PlatformUnavailable, PushError, ServiceUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RequestChannel
from tocsin.protocol.values import RENEW_BEFORE


@define
class PlayedHub:
    """A hub that notes what is registered."""

    failures: list[PushError] = Factory(list)
    made: list[tuple[str, ...]] = Factory(list)

    async def register_native(self, uri: str, tags: Iterable[str] = ()) -> HubRegistration:
        """Register."""
        await anyio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        self.made.append((uri, *tags))
        return HubRegistration(uri, "id", "1", None, tuple(tags))

    async def unregister_native(self) -> bool:
        """Forget it."""
        await anyio.lowlevel.checkpoint()
        self.made.append(("unregistered",))
        return True


def uri_of(channel: str) -> str:
    """Return where a channel of the played service is."""
    return f"http://push.test/w/?token={channel}"


@define
class Told:
    """What a test sees."""

    world: World
    agent: StandInAgent
    registration: ChannelRegistration
    seen: Gathered


@asynccontextmanager
async def keeping(folder: Path, **options: Any) -> AsyncIterator[Told]:
    """Keep a channel of an app registered; its service is played."""
    seen = Gathered()
    async with world(folder) as w, standing_in(folder) as client:
        agent = client.make_agent()
        agent.failures = options.pop("failures", [])
        registration = ChannelRegistration(w.manager, agent, remote_id=REMOTE_ID, **options)
        for event in (registration.registered, registration.failed):
            event.add(seen.add)
        async with registration:
            yield Told(w, agent, registration, seen)


async def test_a_channel_is_registered_at_once(tmp_path: Path) -> None:
    """With the agent and with the hub, under the tags that were given; the registrations stay when the block is left."""
    hub = PlayedHub()
    async with keeping(tmp_path, hub=hub, tags=["phone"]) as told:
        assert told.registration.channel is None
        await told.world.service.grant("c1")
        channel = await told.registration.wait_until_registered()
        assert channel is told.registration.channel
        await told.seen.wait_for(1)
        assert told.registration.last_error is None
    assert told.agent.uris == [uri_of("c1")]
    assert hub.made == [(uri_of("c1"), "phone")]


async def test_a_channel_that_is_there_is_not_requested(tmp_path: Path) -> None:
    """Its pushes reach the handler that was given, while the block runs."""
    seen = Gathered()

    def on_push(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.payload)

    async with world(tmp_path) as w, standing_in(tmp_path) as client:
        channel, agent = await w.channel(), client.make_agent()
        async with ChannelRegistration(w.manager, agent, channel=channel, push_received=on_push) as registration:
            assert await registration.wait_until_registered() is channel
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert agent.uris == [channel.uri]


async def test_a_renewed_channel_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """Until its end the one before delivers, too."""
    seen, hub = Gathered(), PlayedHub()
    async with keeping(tmp_path, hub=hub, push_received=lambda args: seen.add(args.id)) as told:
        await told.world.service.grant("old", expires=told.world.service.now() + RENEW_BEFORE + 0.2)
        await told.registration.wait_until_registered()
        await told.world.service.grant("new")
        await told.seen.wait_for(2)
        await told.world.service.send(payload("A", channel="old"), payload("B", channel="new"))
        await seen.wait_for(2)
    assert told.agent.uris == [uri_of("old"), uri_of("new")]
    assert hub.made == [(uri_of("old"),), (uri_of("new"),)]


async def test_a_revoked_channel_is_replaced(tmp_path: Path) -> None:
    """By the one that the manager has requested in its place."""
    async with keeping(tmp_path) as told:
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()
        await told.world.service.send(ChannelsRevoked(0, ("c1",)))
        await told.world.service.grant("c2")
        await told.seen.wait_for(2)
    assert told.agent.uris == [uri_of("c1"), uri_of("c2")]


async def test_a_failure_is_told_and_made_up_for_when_the_agent_is_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By an event, as the last error, and by the log once; what had not failed is not done again."""
    hub, failure = PlayedHub(), PlatformUnavailable("there was no connection within 30 s")
    async with keeping(tmp_path, hub=hub, failures=[failure, failure]) as told:
        await told.world.service.grant("c1")
        await told.seen.wait_for(1)
        (args,) = told.seen.items
        assert args == RegistrationFailedEventArgs(failure, 15.0)
        assert told.registration.last_error is failure
        told.agent.connect(connected=False)
        told.agent.connect()
        await told.seen.wait_for(2)
        told.agent.connect()
        assert (await told.registration.wait_until_registered()).uri == uri_of("c1")
        assert told.registration.last_error is None
    assert told.agent.uris == [uri_of("c1")]
    assert hub.made == [(uri_of("c1"),)]
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING] == [
        "calls may not reach this device, as its channel is not registered: there was no connection within 30 s"
    ]


async def test_a_hub_that_fails_does_not_keep_the_agent_from_ringing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again after a while."""
    monkeypatch.setattr(channel_registration, "FIRST_WAIT", 0.01)
    hub = PlayedHub([ServiceUnavailable("the hub is away")])
    async with keeping(tmp_path, hub=hub) as told:
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()
        await told.seen.wait_for(2)
        assert [type(each).__name__ for each in told.seen.items] == [
            "RegistrationFailedEventArgs",
            "ChannelRegisteredEventArgs",
        ]
    assert told.agent.uris == [uri_of("c1")]
    assert hub.made == [(uri_of("c1"),)]


async def test_a_channel_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code and the words of the request, which is made again."""
    monkeypatch.setattr(channel_registration, "FIRST_WAIT", 0.01)
    async with keeping(tmp_path) as told:
        request = await told.world.service.expect(RequestChannel)
        await told.world.service.send(ChannelRefused(request.request, HResult.WPN_E_INVALID_APP, "no such app", None))
        await told.seen.wait_for(1)
        (args,) = told.seen.items
        assert isinstance(args, RegistrationFailedEventArgs)
        assert args.error.hresult == HResult.WPN_E_INVALID_APP
        assert "no such app" in str(args.error)
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()


async def test_what_cannot_be_right_is_an_error_at_once(tmp_path: Path) -> None:
    """And not a failure that is tried again."""
    async with world(tmp_path) as w, standing_in(tmp_path) as client:
        agent = client.make_agent()
        for options in ({"channel": 7}, {"push_received": 7}):
            with pytest.raises(InvalidArgument):
                ChannelRegistration(w.manager, agent, **options)  # type: ignore[arg-type]  # as it says
        for remote_id in ("phone", None):
            with pytest.raises(InvalidArgument, match=r"GUID|remote id"):
                await ChannelRegistration(w.manager, agent, remote_id=remote_id).__aenter__()
        channel = await w.channel()
        async with ChannelRegistration(w.manager, agent, channel=channel) as registration:
            with pytest.raises(IllegalCall, match="entered before"):
                await registration.__aenter__()


async def test_it_is_unregistered_on_request(tmp_path: Path) -> None:
    """With the agent and the hub; nothing registers it again, and what fails is raised."""
    hub = PlayedHub()
    async with keeping(tmp_path, hub=hub) as told:
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()
        told.agent.failures = [PlatformUnavailable("there was no connection within 30 s")]
        with pytest.raises(PlatformUnavailable):
            await told.registration.unregister()
        await told.registration.unregister()
        await told.world.service.send(ChannelsRevoked(0, ("c1",)))
        await told.world.service.grant("c2")
        await anyio.wait_all_tasks_blocked()
    assert told.agent.uris == [uri_of("c1"), "unregistered False"]
    assert hub.made == [(uri_of("c1"),), ("unregistered",)]
