"""Device connections: the conversation."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.service.world import KEY, OTHER_KEY, World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelRefused,
    ChannelsRevoked,
    Hello,
    Payload,
    RequestChannel,
    RevokeChannels,
    Welcome,
    WithdrawToasts,
    codec,
)
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels


async def test_a_device_is_welcomed_with_its_window(world: World) -> None:
    """The welcome says the version and the window of the settings."""
    async with dial(world.service) as device:
        assert await device.greet() == Welcome(PROTOCOL_VERSION, ServiceSettings().device_window, world.clock())


@pytest.mark.parametrize("away", [False, True])
async def test_a_device_of_the_version_before_gets_payloads_without_labels(world: World, away: bool) -> None:
    """It is welcomed in its own version, and what it gets is as that version has it, also what was stored."""
    toast = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml", "X-WNS-Tag": "t"}
    if away:
        await world.post(b"<toast/>", toast)
    async with dial(world.service) as device, anyio.create_task_group() as group:
        await device.send(Hello(2, KEY))
        assert (await device.receive(Welcome)).version == 2
        if not away:
            group.start_soon(world.post, b"<toast/>", toast)
        frame = await device.socket.recv()
        assert isinstance(frame, bytes)
        tag, id_, channel, *rest = codec.unpack(frame)
        assert (tag, rest) == (Payload.TAG, ["toast", b"<toast/>", None, 1, None])
        assert channel
        await device.send(Acknowledge((id_,)))


@pytest.mark.parametrize(
    ("match", "tag", "group"),
    [("all", None, None), ("tag=t", "t", None), ("group=g", None, "g"), ("group=g;tag=t", "t", "g")],
)
async def test_a_device_is_told_which_toasts_were_deleted(
    world: World, match: str, tag: str | None, group: str | None
) -> None:
    """By their channel, tag and group; what was stored for it does not come any more."""
    toast = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml", "X-WNS-Tag": "t", "X-WNS-Group": "g"}
    await world.post(b"<toast/>", toast)
    delete = {"X-WNS-Match": f"type:wns/toast;{match}"}
    assert (await world.post(headers=delete, method="DELETE")).status == 200
    async with dial(world.service) as device:
        await device.greet()
        granted = await device.channel(world.app.remote_id, known_uri=world.uri)
        assert (await world.post(headers=delete, method="DELETE")).status == 200
        assert await device.receive(WithdrawToasts) == WithdrawToasts(granted.channel, tag, group)


async def test_a_device_of_the_version_before_is_not_told_of_deleted_toasts(world: World) -> None:
    """It would take the word for a mistake."""
    async with dial(world.service) as device:
        await device.send(Hello(2, KEY))
        await device.receive(Welcome)
        answer = await world.post(headers={"X-WNS-Match": "type:wns/toast;all"}, method="DELETE")
        assert answer.status == 200
        await device.send(RevokeChannels(7, "app"))
        assert (await device.receive(ChannelsRevoked)).request == 7


async def test_frames_may_come_together(world: World) -> None:
    """Hello and a question in one message are answered both."""
    async with dial(world.service) as device:
        await device.send(Hello(PROTOCOL_VERSION, KEY), RevokeChannels(7, "app"))
        await device.receive(Welcome)
        assert (await device.receive(ChannelsRevoked)).request == 7


async def test_a_channel_is_granted_again_by_its_uri(world: World) -> None:
    """A device that comes back with its URI keeps it."""
    async with dial(world.service) as device:
        await device.greet()
        granted = await device.channel(world.app.remote_id)
    async with dial(world.service) as device:
        await device.greet()
        assert await device.channel(world.app.remote_id, known_uri=granted.uri) == granted


async def test_a_refused_channel_has_its_reason(world: World) -> None:
    """The refusal carries the HRESULT that Windows would report, and words."""
    async with dial(world.service) as device:
        await device.greet()
        await device.send(RequestChannel(3, "app", "08eef3c0-4ecf-4128-b34e-9d6aa061b324", ""))
        refused = await device.receive(ChannelRefused)
        assert (refused.request, refused.hresult, refused.retry_after) == (3, HResult.WPN_E_INVALID_APP, None)
        assert refused.text.startswith("no app is registered with the remote id")


async def test_revoked_channels_are_named(world: World) -> None:
    """All of the app's channels go, and a post to one is answered with 410."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        granted = [await device.channel(world.app.remote_id) for _ in range(2)]
        await device.send(RevokeChannels(4, "app"))
        revoked = await device.receive(ChannelsRevoked)
    assert revoked.request == 4
    assert set(revoked.channels) == {each.channel for each in granted}
    assert (await world.post(uri=granted[0].uri)).status == 410


async def test_a_broken_store_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose question the store cannot answer gets a refusal, and keeps its connection."""

    async def fail(*_: object) -> None:
        raise StateUnavailable("the disk is gone")

    async with dial(world.service) as device:
        await device.greet()
        monkeypatch.setattr(Channels, "grant", fail)
        await device.send(RequestChannel(3, "app", world.app.remote_id, ""))
        refused = await device.receive(ChannelRefused)
        assert refused.hresult == HResult.WPN_E_PLATFORM_UNAVAILABLE
        assert refused.text == "the service cannot use its store"
        monkeypatch.undo()
        await device.channel(world.app.remote_id)


async def test_payloads_go_out_in_order(world: World) -> None:
    """A device gets the payloads of a channel in the order in which they were posted."""
    got = []
    async with dial(world.service) as device, anyio.create_task_group() as group:
        await device.greet()
        for number in range(20):
            group.start_soon(world.post, str(number).encode())
            got.append(await device.receive(Payload))
        assert [payload.body for payload in got] == [str(number).encode() for number in range(20)]
        await device.send(Acknowledge(tuple(payload.id for payload in got)))


async def test_payloads_that_wait_share_a_message(tmp_path: Path) -> None:
    """What waited for the window goes out in one WebSocket message when there is room again."""
    settings = ServiceSettings(device_window=2)
    async with (
        open_world(tmp_path, settings) as world,
        dial(world.service) as device,
        anyio.create_task_group() as group,
    ):
        await device.greet()
        for number in range(4):
            group.start_soon(world.post, str(number).encode())
        first = [await device.receive(Payload) for _ in range(2)]
        await device.send(Acknowledge(tuple(payload.id for payload in first)))
        data = await device.socket.recv()
        assert isinstance(data, bytes)
        second = [codec.decode(frame) for frame in codec.split(data)]
        assert len(second) == 2
        await device.send(Acknowledge(tuple(payload.id for payload in second if isinstance(payload, Payload))))


async def test_devices_do_not_disturb_each_other(world: World) -> None:
    """Each key is a device of its own, with channels of its own."""
    async with dial(world.service) as one, dial(world.service) as two, anyio.create_task_group() as group:
        await one.greet()
        await two.greet(OTHER_KEY)
        other = await two.channel(world.app.remote_id)
        group.start_soon(world.post, b"to two", None)
        assert (await one.acknowledge()).body == b"to two"
        group.start_soon(lambda: world.post(uri=other.uri))
        assert (await two.acknowledge()).channel == other.channel
