"""Device connections: how they end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from websockets.frames import CloseCode

from tests.service.played_socket import PlayedSocket
from tests.service.registry.memory_service_store import MemoryServiceStore
from tests.service.world import KEY, OTHER_KEY, Answer, Device, World, dial, open_world
from tocsin.protocol.messages import (
    Acknowledge,
    Done,
    Hello,
    Payload,
    RevokeChannels,
    Welcome,
    codec,
)
from tocsin.protocol.network.causes import OTHER_VERSION, REPLACED
from tocsin.protocol.values import OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels

DROPPED_LOST = "The connection to the device was lost before it acknowledged the notification"


async def _text(device: Device) -> None:
    await device.socket.send("hello")


async def _empty(device: Device) -> None:
    await device.socket.send(b"")


async def _garbage(device: Device) -> None:
    await device.socket.send(b"\xc1")


async def _no_message(device: Device) -> None:
    await device.socket.send(b"\x91\x07")


async def _other_message(device: Device) -> None:
    await device.send(Acknowledge(("id",)))


async def _short_key(device: Device) -> None:
    await device.send(Hello(PROTOCOL_VERSION, "short"))


async def _hello_twice(device: Device) -> None:
    await device.send(Hello(PROTOCOL_VERSION, KEY), Hello(PROTOCOL_VERSION, KEY))


async def _late_garbage(device: Device) -> None:
    await device.greet()
    await device.socket.send(codec.encode(Done(1))[:-1])


async def _not_a_devices(device: Device) -> None:
    await device.greet()
    await device.send(Done(1))


async def test_a_device_of_another_version_is_told_so(world: World) -> None:
    """It has done nothing wrong, and hears by a code of its own that coming back is of no use."""
    for version in (OLDEST_PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1):
        async with dial(world.service) as device:
            await device.send(Hello(version, KEY))
            words = f"this service speaks the versions {OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}, not {version}"
            assert await device.closed() == (OTHER_VERSION, words)


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (_text, "messages are binary, not text"),
        (_empty, "a device begins with Hello, not with an empty message"),
        (_garbage, "not a sequence of msgpack arrays"),
        (_no_message, "ChannelsRevoked has 2 fields, got 0"),
        (_other_message, "a device begins with Hello, not with Acknowledge"),
        (_short_key, "a device key has at least 32 characters, not 5"),
        (_hello_twice, "a device does not send Hello here"),
        (_late_garbage, "not a sequence of msgpack arrays"),
        (_not_a_devices, "a device does not send Done here"),
    ],
)
async def test_a_device_that_breaks_the_protocol_is_told_so(
    world: World, misbehave: Callable[[Device], Awaitable[None]], reason: str
) -> None:
    """The connection is closed with 1002 and a reason in words."""
    async with dial(world.service) as device:
        await misbehave(device)
        code, words = await device.closed()
        assert code == CloseCode.PROTOCOL_ERROR
        assert words.startswith(reason)


async def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    """Who does not say hello in time is told so."""
    async with open_world(tmp_path, ServiceSettings(hello_timeout=0.5)) as world, dial(world.service) as device:
        assert await device.closed() == (CloseCode.PROTOCOL_ERROR, "no Hello within 0.5 s")


async def test_a_device_that_leaves_before_hello_is_forgotten(world: World) -> None:
    """A connection that says nothing and ends leaves nothing behind: the service still stops in order."""
    async with dial(world.service):
        pass
    async with dial(world.service) as device:
        await device.greet()


async def test_a_newer_connection_replaces_the_older(world: World) -> None:
    """The older is closed with 4001, its unacknowledged payload is lost, and the newer gets the next."""
    answers: list[Answer] = []

    async def post() -> None:
        answers.append(await world.post())

    async with dial(world.service) as older, dial(world.service) as newer, anyio.create_task_group() as group:
        await older.greet()
        group.start_soon(post)
        await older.receive(Payload)
        await newer.greet()
        assert await older.closed() == (REPLACED, "replaced by a newer connection")
        group.start_soon(post)
        await newer.acknowledge()
    lost, received = sorted(answers, key=lambda answer: answer.headers["X-WNS-Status"])
    assert (lost.status, lost.headers["X-WNS-Status"], lost.reason) == (200, "dropped", DROPPED_LOST)
    assert (received.status, received.headers["X-WNS-Status"]) == (200, "received")


async def test_a_connection_that_ends_loses_what_was_not_acknowledged(world: World) -> None:
    """The sender is told at once, and the next one finds the device offline."""
    answers: list[Answer] = []

    async def post() -> None:
        answers.append(await world.post())

    async with anyio.create_task_group() as group, dial(world.service) as device:
        await device.greet()
        group.start_soon(post)
        await device.receive(Payload)
    assert answers[0].reason == DROPPED_LOST
    assert (await world.post()).reason == "Device is offline and X-WNS-Cache-Policy is no-cache"


async def test_a_connection_that_is_cut_loses_what_was_not_acknowledged(world: World) -> None:
    """A device that vanishes without a word is treated as one that leaves."""
    answers: list[Answer] = []

    async def post() -> None:
        answers.append(await world.post())

    async with dial(world.service) as device:
        async with anyio.create_task_group() as group:
            await device.greet()
            group.start_soon(post)
            await device.receive(Payload)
            device.socket.transport.abort()
        assert answers[0].reason == DROPPED_LOST


def devices_of(channels: Channels, offline: OfflineStore) -> Devices:
    """Make the devices of a service without its other parts."""
    settings = ServiceSettings()
    unwanted = UnwantedPushes(MemoryServiceStore(), offline.recurring)
    return Devices(channels, offline, unwanted, settings, Limits(settings, lambda: 0.0), Counters())


def opened(devices: Devices) -> PlayedSocket:
    """Let a device connect."""
    socket = PlayedSocket()
    socket.receiver = devices.open(socket)
    return socket


async def test_a_device_that_does_not_read_is_not_sent_more(channels: Channels, offline: OfflineStore) -> None:
    """What is for it waits until it reads, or until the connection ends."""
    devices = devices_of(channels, offline)
    socket = opened(devices)
    socket.is_writable = False
    socket.say(codec.encode(Hello(PROTOCOL_VERSION, KEY)))
    await asyncio.sleep(0)
    assert socket.sent == []
    socket.read_on()
    await asyncio.sleep(0)
    assert [type(codec.decode(each)) for each in socket.sent] == [Welcome]


async def test_a_device_that_does_not_read_is_waited_for_until_it_has_its_close_frame(
    channels: Channels, offline: OfflineStore
) -> None:
    """A service that stops gives it the time that it has; its senders are told at once."""
    devices = devices_of(channels, offline)
    socket = opened(devices)
    socket.is_writable = False
    socket.say(codec.encode(Hello(PROTOCOL_VERSION, KEY)))
    closing = asyncio.create_task(devices.aclose())
    await asyncio.sleep(0)
    assert socket.closed == (CloseCode.GOING_AWAY, "the service is stopping")
    assert not devices.connected(hashlib.sha256(KEY.encode()).hexdigest())
    assert not closing.done()
    socket.read_on()
    await closing
    assert socket.sent == []


async def test_a_device_that_comes_too_late_is_sent_away(channels: Channels, offline: OfflineStore) -> None:
    """Once the service stops, a new connection is closed as going away."""
    devices = devices_of(channels, offline)
    await devices.aclose()
    socket = opened(devices)
    await asyncio.sleep(0)
    assert socket.closed == (CloseCode.GOING_AWAY, "the service is stopping")


async def test_what_cannot_be_sent_ends_that_connection_alone(
    channels: Channels, offline: OfflineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others that write in the same turn do."""
    devices = devices_of(channels, offline)
    sockets = [opened(devices) for _ in range(2)]

    def fail(_: bytes) -> NoReturn:
        raise ValueError("planted")

    monkeypatch.setattr(sockets[0], "send", fail)
    for socket, key in zip(sockets, (KEY, OTHER_KEY), strict=True):
        socket.say(codec.encode(Hello(PROTOCOL_VERSION, key)))
    await asyncio.sleep(0)
    assert [str(failure) for failure in sockets[0].failures] == ["planted"]
    assert len(sockets[1].sent) == 1
    assert devices.gauges()["devices"] == 1


async def test_a_task_that_fails_ends_its_connection(
    channels: Channels, offline: OfflineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes behind is not handled, and nothing of the connection is left."""
    devices = devices_of(channels, offline)

    async def fail(*_: object) -> NoReturn:
        raise ValueError("planted")

    monkeypatch.setattr(ChannelAnswers, "answer", fail)
    socket = opened(devices)
    revoke = codec.encode(RevokeChannels(1, "app"))
    socket.say(codec.encode(Hello(PROTOCOL_VERSION, KEY)) + revoke + b"nonsense")
    assert socket.is_paused
    await asyncio.wait(socket.tasks)
    assert [str(failure) for failure in socket.failures] == ["planted"]
    assert socket.closed is None
    assert not devices._running


async def test_stopping_closes_devices_as_going_away(tmp_path: Path) -> None:
    """A device, greeted or not, is told with 1001 that the service goes."""
    async with open_world(tmp_path) as world:
        service = world.service
        one, two = dial(service), dial(service)
        greeted, silent = await one.__aenter__(), await two.__aenter__()
        await greeted.greet()
    assert await greeted.closed() == (CloseCode.GOING_AWAY, "the service is stopping")
    assert (await silent.closed())[0] == CloseCode.GOING_AWAY
    await one.__aexit__(None, None, None)
    await two.__aexit__(None, None, None)


async def test_a_device_without_a_name_is_logged_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that was closed before it said hello is unnamed; of a name the beginning is shown."""
    caplog.set_level(logging.INFO)
    async with open_world(tmp_path) as world:
        async with dial(world.service) as device:
            await device.send(Acknowledge(()))
            await device.closed()
        async with dial(world.service) as device:
            await device.greet()
            await device.send(Hello(PROTOCOL_VERSION, KEY))
            await device.closed()
    lines = [record.getMessage() for record in caplog.records if "device connection" in record.getMessage()]
    name = hashlib.sha256(KEY.encode()).hexdigest()[:8]
    assert lines == [
        "device connection (unnamed) closed with 1002: a device begins with Hello, not with Acknowledge",
        f"device connection {name} closed with 1002: a device does not send Hello here",
    ]
