"""What a device may say as often as it likes, and what the log says of what happens again and again."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NoReturn

import anyio
import pytest
from websockets.frames import CloseCode

from tests.service.world import KEY, OTHER_KEY, Device, World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Acknowledge, Message, PowerState, RevokeChannels, Suspended
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.operations import limits
from tocsin.service.registry.channels import Channels

BATTERY = PowerState(screen_on_or_plugged=False, battery_saver=True, exempt=())


@pytest.mark.parametrize(
    "message",
    [Acknowledge(()), Acknowledge(("unknown",)), Suspended(suspended=True), BATTERY, RevokeChannels(1, "nobody")],
    ids=lambda message: type(message).__name__,
)
async def test_messages_that_bring_nothing_new_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: Message
) -> None:
    """A device that sends such ones without end is closed with 1008, also when it comes again; others are not concerned."""
    monkeypatch.setattr(limits, "_TALK", (0.001, 5))
    async with open_world(tmp_path) as world:
        async with dial(world.service) as device:
            await device.greet(OTHER_KEY)
            await device.send(*[message] * 6)
            assert await device.closed() == (CloseCode.POLICY_VIOLATION, "too many messages that bring nothing new")
        async with dial(world.service) as device:
            await device.greet(OTHER_KEY)
            await device.send(message)
            assert (await device.closed())[0] == CloseCode.POLICY_VIOLATION
        async with dial(world.service) as device:
            await _take(world, device, 20)


async def _take(world: World, device: Device, count: int) -> None:
    """Take so many payloads, each acknowledged in a message of its own."""
    await device.greet(KEY)
    for _ in range(count):
        async with anyio.create_task_group() as group:
            group.start_soon(world.post)
            await device.acknowledge()


async def test_a_message_of_very_many_frames_holds_up_no_one(world: World) -> None:
    """By default a few thousand are taken, then the connection is closed."""
    async with dial(world.service) as device:
        await device.greet()
        await device.send(*[Acknowledge(())] * 50_000)
        assert (await device.closed())[0] == CloseCode.POLICY_VIOLATION


async def test_only_so_many_apps_can_be_exempt(world: World) -> None:
    """They are kept for as long as the connection lasts."""
    async with dial(world.service) as device:
        await device.greet()
        for count in (256, 257):
            exempt = tuple(map(str, range(count)))
            await device.send(PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=exempt))
        assert await device.closed() == (
            CloseCode.PROTOCOL_ERROR,
            "257 apps are exempt from battery saver, more than 256",
        )


async def test_a_device_that_is_thrown_out_again_and_again_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says it, and in the end how often it was."""
    caplog.set_level(logging.INFO)
    async with open_world(tmp_path) as world:
        for _ in range(5):
            async with dial(world.service) as older, dial(world.service) as newer:
                await older.greet()
                await newer.greet()
                await older.closed()
    lines = [record.getMessage() for record in caplog.records if "closed with 4001" in record.getMessage()]
    assert len(lines) == 2
    assert lines[1].startswith("4 more times in ")
    assert lines[1].endswith(lines[0])


async def test_a_stranger_with_many_names_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Devices of which nothing is known share a line; one that has a channel, or has acknowledged a push, has its own."""
    caplog.set_level(logging.INFO)
    async with open_world(tmp_path) as world:

        async def misbehave(key: str, *, asks: bool = False, pushed: bool = False) -> None:
            async with dial(world.service) as device, anyio.create_task_group() as group:
                await device.greet(key)
                if asks:
                    await device.channel(world.app.remote_id)
                if pushed:
                    group.start_soon(world.post)
                    await device.acknowledge()
                await device.socket.send("text")
                await device.closed()

        for number in range(4):
            await misbehave(f"{OTHER_KEY}{number}")
        await misbehave(OTHER_KEY, asks=True)
        await misbehave(KEY, pushed=True)
    lines = [record.getMessage() for record in caplog.records if "not text" in record.getMessage()]
    assert len(lines) == 4
    assert len({line for line in lines if line.startswith("device connection")}) == 3
    assert lines[3].startswith("3 more times in ")
    assert lines[3].endswith(lines[0])


async def test_a_fault_of_the_store_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is refused; the log has a line for each kind, the cause, and no traceback."""

    async def fail(*_: object, **__: object) -> NoReturn:
        raise StateUnavailable("the disk is full")

    async with open_world(tmp_path) as world:
        monkeypatch.setattr(OfflineStore, "keep", fail)
        monkeypatch.setattr(OfflineStore, "withdraw", fail)
        for _ in range(4):
            assert (await world.post(headers={"X-WNS-Cache-Policy": "cache"})).status == 503
            withdrawn = await world.post(headers={"X-WNS-Match": "type:wns/toast;all"}, method="DELETE")
            assert withdrawn.status == 503
        monkeypatch.setattr(Channels, "revoke", fail)
        async with dial(world.service) as device:
            await device.greet()
            await device.send(RevokeChannels(1, "app"), RevokeChannels(2, "app"))
            await device.socket.recv()
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines[:3] == [
        "a notification could not be stored: the disk is full",
        "toasts could not be deleted: the disk is full",
        "requests of devices fail: the disk is full",
    ]
    assert all("more times in" in line for line in lines[3:])
    assert not any(record.exc_info for record in caplog.records)
