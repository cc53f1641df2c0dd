"""What is stored for a device that is away, and how it gets it when it is back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.away import (
    AT_EASE,
    BADGE,
    CACHE,
    IN_SAVER,
    OFFLINE_NO_CACHE,
    TILE,
    TOAST,
    back,
    drain,
    heard,
    post,
    store,
)
from tests.service.world import OTHER_KEY, Answer, World, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelsRevoked,
    Payload,
    RevokeChannels,
)
from tocsin.protocol.service.offline_queue import Phase
from tocsin.protocol.values import CHANNEL_LIFETIME
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore


async def test_a_device_that_was_away_for_an_hour_gets_what_wns_promises(world: World) -> None:
    """The newest of each slot, raw only with ``cache``, nothing that has expired; in order, and once."""
    await store(world, "badge 1", BADGE)
    await store(world, "raw 1", CACHE)
    assert (await post(world, "raw 2")).reason == OFFLINE_NO_CACHE
    await store(world, "toast 1", TOAST)
    await store(world, "tile 1", TILE)
    await store(world, "tile a", TILE, {"X-WNS-Tag": "a"})
    await store(world, "short", CACHE, {"X-WNS-TTL": "3599"})
    await store(world, "long", CACHE, {"X-WNS-TTL": "3601"})
    world.clock.time += 1800
    await store(world, "badge 2", BADGE)
    await store(world, "toast 2", TOAST)
    await store(world, "tile a again", TILE, {"X-WNS-Tag": "a"})
    await store(world, "toast b", TOAST, {"X-WNS-Tag": "b", "X-WNS-Group": "g"})
    await store(world, "raw 3", CACHE)
    world.clock.time += 1800
    async with back(world) as device:
        assert await drain(device) == [
            "raw 1",
            "tile 1",
            "long",
            "badge 2",
            "toast 2",
            "tile a again",
            "toast b",
            "raw 3",
        ]
    async with back(world) as device:
        assert await drain(device) == []


async def test_a_strict_service_keeps_one_of_each(tmp_path: Path) -> None:
    """As WNS documents it: the newest tile, badge, toast and raw notification of a channel."""
    async with open_world(tmp_path, ServiceSettings(strict_wns=True)) as world:
        for number in range(3):
            for name, headers in {"raw": CACHE, "toast": TOAST, "tile": TILE, "badge": BADGE}.items():
                await store(world, f"{name} {number}", headers, {"X-WNS-Tag": f"t{number}"})
        async with back(world) as device:
            assert await drain(device) == ["raw 2", "toast 2", "tile 2", "badge 2"]


async def test_what_is_stored_outlives_the_service(tmp_path: Path) -> None:
    """After a restart it is all there, in order; what expired meanwhile is not, and is counted."""
    async with open_world(tmp_path) as world:
        await store(world, "1", CACHE)
        await store(world, "2", TOAST, {"X-WNS-TTL": "60"})
        await store(world, "3", CACHE)
    async with open_world(tmp_path, later=60.0, key=OTHER_KEY) as world, back(world) as device:
        assert await drain(device) == ["1", "3"]
        assert world.counts[Phase.EXPIRED] == 1
        assert world.counts[Phase.DELIVERED] == 2


async def test_a_label_is_stored_too(tmp_path: Path) -> None:
    """Also over a restart: the device hears of tag, group and popup as if it had been there."""
    async with open_world(tmp_path) as world:
        await store(world, "labelled", TOAST, {"X-WNS-Tag": "t", "X-WNS-Group": "g", "X-WNS-SuppressPopup": "true"})
        await store(world, "tagged", TILE, {"X-WNS-Tag": "t", "X-WNS-SuppressPopup": "false"})
        await store(world, "plain", CACHE)
    async with open_world(tmp_path, key=OTHER_KEY) as world, back(world) as device:
        got = [await device.receive(Payload) for _ in range(3)]
        assert [(each.body, each.label) for each in got] == [(b"labelled", "t/g!"), (b"tagged", "t"), (b"plain", "")]


async def test_what_is_not_acknowledged_comes_again(world: World) -> None:
    """A connection that breaks in between loses nothing, and what was acknowledged does not come again."""
    for number in range(5):
        await store(world, str(number), CACHE)
    async with back(world) as device:
        got = [await device.receive(Payload) for _ in range(5)]
        await device.send(Acknowledge((got[0].id, got[2].id, got[2].id, "unknown")))
        await heard(device)
    async with back(world) as device:
        assert await drain(device) == ["1", "3", "4"]


async def test_a_newer_connection_gets_it_all(world: World) -> None:
    """What the older one had not acknowledged goes to the newer, once."""
    await store(world, "1", CACHE)
    async with back(world) as older:
        await older.receive(Payload)
        async with back(world) as newer:
            assert await drain(newer) == ["1"]


async def test_what_is_stored_goes_before_what_comes_now(tmp_path: Path) -> None:
    """While the window is full of what was stored, what comes waits its turn behind all of it."""
    answers: list[Answer] = []
    async with open_world(tmp_path, ServiceSettings(device_window=1)) as world:
        for number in range(3):
            await store(world, f"stored {number}", CACHE)

        async def live(number: int) -> None:
            answers.append(await post(world, f"live {number}"))

        async with back(world) as device, anyio.create_task_group() as group:
            first = await device.receive(Payload)
            for number in range(3):
                group.start_soon(live, number)
                await heard(device)
            await device.send(Acknowledge((first.id,)))
            bodies = [(await device.acknowledge()).body.decode() for _ in range(5)]
    assert bodies == ["stored 1", "stored 2", "live 0", "live 1", "live 2"]
    assert [answer.headers["X-WNS-Status"] for answer in answers] == ["received"] * 3


async def test_a_device_that_comes_while_a_push_is_being_stored_gets_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender was not answered yet: what comes later on the channel waits for it."""
    writing, go_on = anyio.Event(), anyio.Event()
    original = SqliteServiceStore.add_stored

    async def slow(self: SqliteServiceStore, *arguments: Any) -> None:
        writing.set()
        await go_on.wait()
        await original(self, *arguments)

    monkeypatch.setattr(SqliteServiceStore, "add_stored", slow)
    async with anyio.create_task_group() as group:
        group.start_soon(store, world, "stored", CACHE)
        await writing.wait()
        async with back(world) as device:
            group.start_soon(post, world, "live")
            await heard(device)
            assert not device.waiting()
            go_on.set()
            assert [(await device.acknowledge()).body for _ in range(2)] == [b"stored", b"live"]


async def test_what_the_connection_lost_is_stored(world: World) -> None:
    """A sender that allows it is told ``received``; the device may have it already, and knows the id again."""
    async with anyio.create_task_group() as group, back(world) as device:
        group.start_soon(store, world, "cached", CACHE)
        lost = await device.receive(Payload)
    async with back(world) as device:
        again = await device.acknowledge()
        assert (again.id, again.body) == (lost.id, b"cached")
        assert await drain(device) == []


async def test_what_a_device_does_not_acknowledge_in_time_is_stored(tmp_path: Path) -> None:
    """The sender is told ``received``; an acknowledgement that comes late is as good as one in time."""
    async with open_world(tmp_path, ServiceSettings(acknowledge_timeout=0.05)) as world:
        async with back(world) as device:
            await store(world, "late", CACHE)
            await store(world, "never", CACHE)
            late = await device.receive(Payload)
            await device.send(Acknowledge((late.id,)))
            await heard(device)
            assert (await device.receive(Payload)).body == b"never"
            assert not device.waiting()
        async with back(world) as device:
            assert await drain(device) == ["never"]


async def test_what_never_left_in_time_goes_out_on_the_same_connection(tmp_path: Path) -> None:
    """It waited for the window when its time was up: it is stored, and sent when there is room."""
    settings = ServiceSettings(acknowledge_timeout=0.05, device_window=1)
    async with open_world(tmp_path, settings) as world, back(world) as device:
        async with anyio.create_task_group() as group:
            group.start_soon(store, world, "sent", CACHE)
            first = await device.receive(Payload)
            group.start_soon(store, world, "waiting", CACHE)
        await device.send(Acknowledge((first.id,)))
        assert (await device.acknowledge()).body == b"waiting"


async def test_many_go_out_page_by_page(world: World) -> None:
    """A hundred raw notifications are kept, the oldest giving way, and arrive in order."""
    async with anyio.create_task_group() as group:
        for number in range(104):
            group.start_soon(store, world, str(number), CACHE)
            await anyio.lowlevel.checkpoint()
    async with back(world) as device:
        bodies = await drain(device)
    assert len(bodies) == 100
    assert world.counts[Phase.OVERFLOWED] == 4


async def test_a_closed_channel_leaves_nothing(world: World) -> None:
    """What was stored for a channel that the app has revoked is let go, and counted."""
    await store(world, "1", CACHE)
    async with back(world) as device:
        await device.receive(Payload)
        await device.send(RevokeChannels(1, "app"))
        await device.receive(ChannelsRevoked)
    async with back(world) as device:
        assert await drain(device) == []
    assert world.counts[Phase.CHANNEL_ENDED] == 1


async def test_nothing_outlives_its_channel(world: World) -> None:
    """A channel's end is the end of what is stored for it."""
    await store(world, "1", CACHE)
    world.clock.time += CHANNEL_LIFETIME
    async with back(world) as device:
        assert await drain(device) == []
    assert world.counts[Phase.CHANNEL_ENDED] == 1


async def test_an_app_that_was_removed_leaves_nothing(world: World) -> None:
    """Its stored notifications go with it, also from a queue that is in use."""
    async with back(world) as device:
        await device.send(IN_SAVER)
        await heard(device)
        await store(world, "1", CACHE)
        await world.service.registrations.remove("contoso")
        await device.send(AT_EASE)
        assert await drain(device) == []
    assert world.counts[Phase.CHANNEL_ENDED] == 1


async def test_a_store_that_cannot_be_written_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is received that is not on disk, and what was there before is there still."""
    await store(world, "old", BADGE)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteServiceStore, "add_stored", _fail)
        patch.setattr(SqliteServiceStore, "erase_stored", _fail)
        answer = await post(world, "new", BADGE)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.reason.startswith("The notification is for the service's store")
        deleted = await post(world, "", {"X-WNS-Match": "type:wns/toast;all"}, method="DELETE")
        assert deleted.status == 200  # there is none
    async with back(world) as device:
        assert await drain(device) == ["old"]
    assert world.counts[Phase.NOT_STORED] == 1


async def test_what_comes_now_waits_behind_what_cannot_be_read_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that restarts changes no order, and what it has goes out when it can be read, if nothing else comes."""
    await store(world, "old", CACHE)
    read, tries = SqliteServiceStore.stored_bodies, anyio.Semaphore(0)

    async def fail(*_: object) -> None:
        tries.release()
        raise StateUnavailable("the database restarts")

    monkeypatch.setattr(SqliteServiceStore, "stored_bodies", fail)
    async with back(world) as device, anyio.create_task_group() as group:
        await tries.acquire()
        group.start_soon(store, world, "new", CACHE)
        await tries.acquire()
        await heard(device)
        assert not device.waiting()
        monkeypatch.setattr(SqliteServiceStore, "stored_bodies", read)
        assert [(await device.acknowledge()).body for _ in range(2)] == [b"old", b"new"]


async def _fail(*_: object) -> None:
    raise StateUnavailable("the disk is full")


async def test_a_live_push_does_not_touch_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read or written for a device that is there and has nothing stored."""

    async def forbidden(*_: object) -> None:
        raise AssertionError

    await post(world, "the channel is in memory now")
    async with back(world) as device, anyio.create_task_group() as group:
        monkeypatch.setattr("tocsin.persistence.database.Database.read", forbidden)
        monkeypatch.setattr("tocsin.persistence.database.Database.write", forbidden)
        group.start_soon(store, world, "live", CACHE)
        assert (await device.acknowledge()).body == b"live"
