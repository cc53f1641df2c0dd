"""What does not go out at once although the device is there, and what its sender takes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from tests.service.away import AT_EASE, BADGE, CACHE, IN_SAVER, ON_BATTERY, TILE, TOAST, back, drain, heard, post, store
from tests.service.world import World, open_world
from tocsin.protocol.messages import Acknowledge, Payload, PowerState, Suspended
from tocsin.protocol.platform import power
from tocsin.service.operations.settings import ServiceSettings


@pytest.mark.parametrize(
    ("match", "left"),
    [
        ("all", ["raw", "tile"]),
        ("group=g", ["plain", "b", "raw", "tile"]),
        ("tag=b", ["plain", "a", "raw", "tile"]),
        ("group=g;tag=a", ["plain", "b", "gb", "raw", "tile"]),
    ],
)
async def test_a_sender_deletes_stored_toasts(world: World, match: str, left: Sequence[str]) -> None:
    """All of a channel's, or those of a group, of a tag, or both; nothing else."""
    await store(world, "plain", TOAST)
    await store(world, "a", TOAST, {"X-WNS-Tag": "a", "X-WNS-Group": "g"})
    await store(world, "b", TOAST, {"X-WNS-Tag": "b"})
    await store(world, "gb", TOAST, {"X-WNS-Tag": "b", "X-WNS-Group": "g"})
    await store(world, "raw", CACHE)
    await store(world, "tile", TILE, {"X-WNS-Tag": "a"})
    await store(world, "", {"X-WNS-Match": f"type:wns/toast;{match}"}, method="DELETE")
    async with back(world) as device:
        expected = [name for name in left if not (match == "tag=b" and name == "gb")]
        assert await drain(device) == expected


async def test_a_device_that_can_store_nothing_gets_it_later(world: World) -> None:
    """What may wait is stored, and sent when the device can go on; what may not is refused with 503."""
    async with back(world) as device:
        await device.send(Suspended(suspended=True))
        await heard(device)
        await store(world, "1", CACHE)
        assert (await post(world, "2")).status == 503
        await store(world, "3", TOAST)
        await heard(device)
        assert not device.waiting()
        await device.send(Suspended(suspended=False))
        assert await drain(device) == ["1", "3"]


async def test_a_suspension_takes_back_what_has_not_gone(tmp_path: Path) -> None:
    """What waits for the window is not sent during it, and may still be replaced by something newer."""
    async with open_world(tmp_path, ServiceSettings(device_window=1)) as world:
        await store(world, "1", CACHE)
        await store(world, "badge 1", BADGE)
        async with back(world) as device:
            first = await device.receive(Payload)
            await device.send(Suspended(suspended=True))
            await heard(device)
            await store(world, "badge 2", BADGE)
            await device.send(Acknowledge((first.id,)))
            await heard(device)
            assert not device.waiting()
            await device.send(Suspended(suspended=False))
            assert await drain(device) == ["badge 2"]


class TestPower:
    """A device that is connected, and saves power."""

    async def test_battery_saver_holds_back_until_it_is_over(self, world: World) -> None:
        """Everything is received and waits, whatever its cache policy; then it comes in order."""
        async with back(world) as device:
            await device.send(IN_SAVER)
            await heard(device)
            await store(world, "raw")
            await store(world, "toast", TOAST, {"X-WNS-RequestForStatus": "true"})
            await heard(device)
            assert not device.waiting()
            await device.send(AT_EASE)
            assert await drain(device) == ["raw", "toast"]

    async def test_what_is_now_or_never_does_not_wait(self, world: World) -> None:
        """With a TTL of 0 it is dropped, and its sender learns why."""
        async with back(world) as device:
            await device.send(IN_SAVER)
            await heard(device)
            answer = await post(world, "raw", {"X-WNS-TTL": "0"})
            assert answer.headers["X-WNS-Status"] == "dropped"
            assert answer.reason == "The device saves power, and X-WNS-TTL does not let the notification wait"

    async def test_an_exempt_app_is_delivered_to(self, world: World) -> None:
        """The user lets it receive in battery saver, except what is of very low priority."""
        async with back(world) as device, anyio.create_task_group() as group:
            await device.send(PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=("app",)))
            await heard(device)
            await store(world, "very low", {"X-WNS-PRIORITY": "4"})
            group.start_soon(store, world, "low")
            assert (await device.acknowledge()).body == b"low"

    async def test_what_is_urgent_passes_what_waits(self, world: World) -> None:
        """On battery with the screen off, high goes at once; medium and low wait."""
        async with back(world) as device, anyio.create_task_group() as group:
            await device.send(ON_BATTERY)
            await heard(device)
            await store(world, "low")
            await store(world, "medium", BADGE)
            group.start_soon(store, world, "high", TOAST)
            assert (await device.acknowledge()).body == b"high"
            await heard(device)
            assert not device.waiting()
            await device.send(AT_EASE)
            assert await drain(device) == ["low", "medium"]

    async def test_a_batch_goes_when_its_time_is_up(self, world: World) -> None:
        """The oldest takes with it all that wait like it; what is cached goes on waiting."""
        async with back(world) as device:
            await device.send(ON_BATTERY)
            await heard(device)
            await store(world, "low")
            await store(world, "badge", BADGE)
            world.clock.time += power.BATCH_TIME - 1
            await store(world, "tile", TILE)
            await heard(device)
            assert not device.waiting()
            world.clock.time += 1
            await device.send(ON_BATTERY)  # the service looks again
            assert await drain(device) == ["badge", "tile"]
