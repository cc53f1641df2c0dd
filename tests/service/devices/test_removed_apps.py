"""An app that is removed: its devices hear that its channels have ended, whenever they are there."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import tocsin
from tests.service.away import back, heard
from tests.service.world import OTHER_KEY, World, dial, open_world
from tests.world import Gathered
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RequestChannel
from tocsin.service.control import ask_or_perform
from tocsin.service.devices import channel_answers
from tocsin.service.registry.channels import MAX_LIVE, Channels
from tocsin.service.server import open_service

UNKNOWN = (404, "The channel URI is not known to this service")


async def test_the_app_sees_its_channel_end(world: World, tmp_path: Path) -> None:
    """Of a program that is running: its loop over the payloads ends, its handler is called, and no one can post any more."""
    told = Gathered()
    async with tocsin.embedded("contoso.mail", tmp_path / "app", world.service.url) as manager:
        manager.add_channel_revoked(told.add)
        channel = (await manager.create_channel(world.app.remote_id)).channel
        assert channel is not None
        await world.service.registrations.remove("contoso")
        with anyio.fail_after(10), pytest.raises(tocsin.ChannelClosed):
            _ = [args async for args in channel.payloads()]
        await told.wait_for(1)
        other = await world.service.registrations.add("contoso")
        token = (await world.ask_token(other))["access_token"]
        answer = await world.post(uri=channel.uri, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.reason) == UNKNOWN
        own, unknown = [await world.post(uri=uri) for uri in (channel.uri, world.service.url + "/w/?token=never")]
        assert (own.status, own.reason) == (unknown.status, unknown.reason)
        assert own.status == 401
        result = await manager.create_channel(other.remote_id)
        assert result.channel is not None
        assert result.channel.uri != channel.uri


@pytest.mark.parametrize("running", [True, False])
async def test_a_device_that_was_away_is_told_when_it_comes(tmp_path: Path, *, running: bool) -> None:
    """Whether the service was running when the app was removed or not; each time, for no answer says that it has heard."""
    async with open_world(tmp_path) as world:
        async with dial(world.service) as device:
            await device.greet()
            names = [(await device.channel(world.app.remote_id, app)).channel for app in ("a", "b")]
            kept = await device.channel((await world.service.register("fabrikam")).remote_id, "c")
        if running:
            await world.service.registrations.remove("contoso")
    if not running:
        await ask_or_perform(tmp_path, {"verb": "remove", "name": "contoso"})
    async with open_service(tmp_path, now=world.clock) as world.service:
        for _ in range(2):
            async with back(world) as device:
                revoked = await device.receive(ChannelsRevoked)
                assert revoked.request == 0
                assert set(names) < set(revoked.channels)
                assert kept.channel not in revoked.channels
        async with dial(world.service) as device:
            await device.greet(OTHER_KEY)
            await heard(device)
            assert device.waiting() == 0


async def test_a_device_is_told_once_its_channels_would_have_ended_no_more(world: World) -> None:
    """By then it has forgotten them itself."""
    await world.service.registrations.remove("contoso")
    world.clock.time += 31 * 24 * 3600
    async with back(world) as device:
        await heard(device)
        assert device.waiting() == 0


async def test_many_channels_are_told_in_several_messages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each fits a frame."""
    monkeypatch.setattr(channel_answers, "_NAMES", 3)
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        names = {(await device.channel(world.app.remote_id, f"app {number}")).channel for number in range(7)}
        await world.service.registrations.remove("contoso")
        told = [(await device.receive(ChannelsRevoked)).channels for _ in range(3)]
        assert [len(each) for each in told] == [3, 3, 1]
        assert {name for each in told for name in each} == names


async def test_channels_of_a_removed_app_take_no_places(world: World) -> None:
    """An app that is registered anew may have as many as any."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        for _ in range(MAX_LIVE):
            await device.channel(world.app.remote_id)
        await world.service.registrations.remove("contoso")
        await device.receive(ChannelsRevoked)
        await device.channel((await world.service.register("contoso")).remote_id)


async def test_a_channel_that_is_granted_while_its_app_goes_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its device could not be told any more."""
    add = Channels._new

    async def slowly(self: Channels, *arguments: str) -> object:
        granted = await add(self, *arguments)  # type: ignore[arg-type]  # as they came
        await world.service.registrations.remove("contoso")
        return granted

    monkeypatch.setattr(Channels, "_new", slowly)
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        await device.send(RequestChannel(1, "app", world.app.remote_id, ""))
        frames = [await device.receive(ChannelRefused)]
        assert frames[0].hresult == HResult.WPN_E_INVALID_APP


async def test_without_its_store_the_service_tells_later(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection goes on, the log says so, and the next connection hears it."""

    async def fail(*_: object) -> list[str]:
        raise StateUnavailable("the disk is gone")

    await world.service.registrations.remove("contoso")
    with monkeypatch.context() as patch:
        patch.setattr(Channels, "orphans", fail)
        async with back(world) as device:
            await heard(device)
            assert device.waiting() == 0
    assert "devices are not told yet which of their channels have ended: the disk is gone" in caplog.messages
    async with back(world) as device:
        await device.receive(ChannelsRevoked)
