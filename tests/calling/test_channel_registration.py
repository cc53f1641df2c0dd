"""A channel stays registered with its agent, and with a hub: at once, when it is another one, and after failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import Factory, define

from tests.calling.answering import AnsweringService, agent_of, client_of
from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, World, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.calling import ChannelRegistration, RegistrationFailedEventArgs
from tocsin.client.notification_hub import HubRegistration
from tocsin.protocol.errors import IllegalCall, InvalidArgument, PushError, ServiceUnavailable, StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RequestChannel
from tocsin.protocol.messages.calling import CallRefused, RegisterForCallPush, UnregisterFromCallPush
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
    service: AnsweringService
    registration: ChannelRegistration
    seen: Gathered
    """What the app was told by the events of the registration."""


@asynccontextmanager
async def keeping(folder: Path, *refusals: CallRefused, **options: Any) -> AsyncIterator[Told]:
    """Keep a channel of an app registered; its services are played, and the first registrations are refused so."""
    service, seen = AnsweringService(), Gathered()
    service.refusals[RegisterForCallPush] = list(refusals)
    async with world(folder) as w, client_of(service, folder) as client:
        registration = ChannelRegistration(w.manager, await agent_of(client), remote_id=REMOTE_ID, **options)
        for event in (registration.registered, registration.failed):
            event.add(seen.add)
        async with registration:
            yield Told(w, service, registration, seen)


@pytest.fixture
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what has failed be tried again soon."""
    monkeypatch.setattr("tocsin.calling.channel_registration.FIRST_WAIT", 0.01)


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
    assert told.service.uris == [uri_of("c1")]
    assert hub.made == [(uri_of("c1"), "phone")]


async def test_a_channel_that_is_there_is_not_requested(tmp_path: Path) -> None:
    """Its pushes reach the handler that was given, while the block runs."""
    seen = Gathered()

    def on_push(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.payload)

    service = AnsweringService()
    async with world(tmp_path) as w, client_of(service, tmp_path) as client:
        channel, agent = await w.channel(), await agent_of(client)
        async with ChannelRegistration(w.manager, agent, channel=channel, push_received=on_push) as registration:
            assert await registration.wait_until_registered() is channel
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert service.uris == [channel.uri]


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
    assert told.service.uris == [uri_of("old"), uri_of("new")]
    assert hub.made == [(uri_of("old"),), (uri_of("new"),)]


async def test_a_revoked_channel_is_replaced(tmp_path: Path) -> None:
    """By the one that the manager has requested in its place."""
    async with keeping(tmp_path) as told:
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()
        await told.world.service.send(ChannelsRevoked(0, ("c1",)))
        await told.world.service.grant("c2")
        await told.seen.wait_for(2)
    assert told.service.uris == [uri_of("c1"), uri_of("c2")]


async def test_a_failure_is_told_and_made_up_for_when_the_agent_is_connected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By an event, as the last error, and by the log once; what had not failed is not done again."""
    hub, refusal = PlayedHub(), CallRefused(0, "StateUnavailable", "the disk is full", 0)
    async with keeping(tmp_path, refusal, refusal, hub=hub) as told:
        await told.world.service.grant("c1")
        await told.seen.wait_for(1)
        (args,) = told.seen.items
        assert isinstance(args, RegistrationFailedEventArgs)
        assert isinstance(args.error, StateUnavailable)
        assert args.retry_in == 15.0
        assert told.registration.last_error is args.error
        await told.service.cut()
        await told.seen.wait_for(2)
        await told.service.cut()
        assert (await told.registration.wait_until_registered()).uri == uri_of("c1")
        assert told.registration.last_error is None
    assert told.service.uris == [uri_of("c1")] * 3
    assert hub.made == [(uri_of("c1"),)]
    assert [each.getMessage() for each in caplog.records if "channel_registration" in each.name] == [
        "calls may not reach this device, as its channel is not registered: the disk is full"
    ]


@pytest.mark.usefixtures("_quickly")
async def test_a_hub_that_fails_does_not_keep_the_agent_from_ringing(tmp_path: Path) -> None:
    """It is tried again after a while."""
    hub = PlayedHub([ServiceUnavailable("the hub is away")])
    async with keeping(tmp_path, hub=hub) as told:
        await told.world.service.grant("c1")
        await told.registration.wait_until_registered()
        await told.seen.wait_for(2)
        assert [type(each).__name__ for each in told.seen.items] == [
            "RegistrationFailedEventArgs",
            "ChannelRegisteredEventArgs",
        ]
    assert told.service.uris == [uri_of("c1")]
    assert hub.made == [(uri_of("c1"),)]


@pytest.mark.usefixtures("_quickly")
async def test_a_channel_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """With the code and the words of the request, which is made again."""
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
    async with world(tmp_path) as w, client_of(AnsweringService(), tmp_path) as client:
        agent = await agent_of(client)
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
        told.service.refusals[UnregisterFromCallPush] = [CallRefused(0, "StateUnavailable", "the disk is full", 0)]
        with pytest.raises(StateUnavailable, match="the disk is full"):
            await told.registration.unregister()
        await told.registration.unregister()
        await told.world.service.send(ChannelsRevoked(0, ("c1",)))
        await told.world.service.grant("c2")
        await anyio.wait_all_tasks_blocked()
    assert told.service.uris == [uri_of("c1")]
    assert [each.every_device for each in told.service.asked if isinstance(each, UnregisterFromCallPush)] == [False] * 2
    assert hub.made == [(uri_of("c1"),), ("unregistered",)]
