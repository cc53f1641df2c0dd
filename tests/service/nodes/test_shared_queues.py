"""Queues of several nodes: what ends is erased, what cannot be read is read again, and little is kept in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import (
    Node,
    PlayedStanding,
    Road,
    channel_of,
    device_of,
    payload_of,
)
from tests.service.nodes.shared_world import DEVICE, KEY, World, join, settle
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.offline_queue import Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import known_devices
from tocsin.service.registry.node_store import SeenDevice


async def test_what_is_acknowledged_while_the_queue_is_not_known_is_erased_later(world: World) -> None:
    """It is not sent again, and no frame of the device waits for it."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await world.here.keep(KEY, "1")
    await settle()
    world.store.gone = True
    world.here.queues.stale([DEVICE])
    device.acknowledge("1")
    await settle()
    assert not device.is_paused
    world.store.gone = False
    await asyncio.sleep(0.3)
    assert (device.got, world.ids) == (["1"], [])
    assert world.here.queues.counts[Phase.DELIVERED] == 1


async def test_what_cannot_be_erased_now_is_later(world: World) -> None:
    """The queue may have moved on, or the store be gone: what the device has is not sent to it again."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    for number in range(3):
        await world.here.keep(KEY, str(number))
    await settle()
    await world.other.keep(KEY, "3")
    device.acknowledge("0")
    await settle()
    assert (device.got, world.ids) == (["0", "1", "2", "3"], ["1", "2", "3"])
    world.store.gone = True
    device.acknowledge("1", "2")
    await settle()
    world.store.gone = False
    await asyncio.sleep(0.3)
    assert (device.got, world.ids) == (["0", "1", "2", "3"], ["3"])


async def test_what_is_read_may_have_been_sent_before(world: World) -> None:
    """What another node has stored since this one sent it is not sent once more while the device may acknowledge it."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    connection = world.here.devices._connections[DEVICE]
    await settle()
    frame = connection.encode(payload_of(KEY, "1"), "app")
    assert frame is not None
    connection.outbox.push_nowait("1", frame, lambda _: None)
    await settle()
    connection.outbox.give_up()  # its sender waits no more
    await world.other.keep(KEY, "1")
    world.here.queues.stale([DEVICE])
    await settle()
    assert device.got == ["1"]
    device.acknowledge("1")
    await settle()
    assert world.ids == []


async def test_toasts_are_withdrawn_wherever_they_were_stored(world: World) -> None:
    """What this node knows of the queue may be old, and others may change it at the same time."""
    toast = NotificationType.TOAST
    row, queues = channel_of(KEY), world.here.queues
    await queues.look(DEVICE)
    await world.other.queues.keep(row, payload_of(KEY, "1", toast), lambda _: None)
    await world.other.keep(KEY, "2")
    await queues.withdraw(row, ToastMatch())
    assert world.ids == ["2"]
    asked = len(world.here.road.asked)
    await queues.withdraw(row, ToastMatch())
    assert [each[0] for each in world.here.road.asked[asked:]] == ["look"]


async def test_a_withdrawal_that_others_overtake_takes_the_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends, however fast the queue moves on."""
    toast = NotificationType.TOAST
    row, queues = channel_of(KEY), world.here.queues
    await world.other.queues.keep(row, payload_of(KEY, "1", toast), lambda _: None)
    look = world.store.look
    numbers = iter(range(100))

    async def overtaken(device: str) -> SeenDevice:
        seen = await look(device)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryNodeStore, "look", lambda _, device: look(device))
            await world.other.keep(KEY, f"more {next(numbers)}")
        return seen

    monkeypatch.setattr(MemoryNodeStore, "look", lambda _, device: overtaken(device))
    await queues.withdraw(row, ToastMatch())
    assert world.ids == ["more 0", "more 1", "more 2"]
    assert world.here.road.asked[-1][0] == "change_queue_locked"


async def test_what_belongs_to_revoked_channels_is_erased(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """At whichever node the device says so; where that fails it is said."""
    await world.other.keep(KEY, "1")
    await world.here.queues.end_channels(DEVICE, [])
    await world.here.queues.end_channels(DEVICE, [channel_of(KEY).name])
    assert world.ids == []
    await world.other.keep(KEY, "2")
    world.store.gone = True
    await world.here.queues.end_channels(DEVICE, [channel_of(KEY).name])
    assert caplog.messages == ["what ended could not be erased yet: the database is gone"]
    assert world.ids == ["2"]


async def test_what_has_expired_is_erased(world: World) -> None:
    """When its device comes, or by the node that prunes."""
    row = channel_of(KEY)
    for key in (KEY, "m" * 32):
        for id, expires in (("1", world.time.now + 5), ("2", None)):  # noqa: A001 - the field's name
            payload = payload_of(key, id, expires=expires)
            assert await world.other.queues.keep(evolve(row, device=device_of(key)), payload, lambda _: None)
    world.time.now += 10
    device = world.here.connect(KEY)
    device.acknowledges = False
    await settle()
    assert (device.got, world.ids) == (["2"], ["2"])
    await world.here.queues.prune()
    assert [len(queue) for queue in world.store.queues.values()] == [1, 1]
    assert world.here.queues.counts == {Phase.EXPIRED: 2}


async def test_what_is_not_on_disk_any_more_is_passed_over(world: World) -> None:
    """The app of its channel was removed."""
    await world.other.keep(KEY, "1")
    await world.other.keep(KEY, "2")
    world.store.bodies.pop(next(iter(world.store.bodies)))
    device = world.here.connect(KEY)
    await settle()
    assert (device.got, world.ids) == (["2"], [])
    assert world.here.queues.counts == {Phase.CHANNEL_ENDED: 1, Phase.DELIVERED: 1}


async def test_bodies_that_cannot_be_read_are_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then nothing goes out past them."""
    await world.other.keep(KEY, "1")
    read = MemoryNodeStore.stored_bodies

    async def fail(*_: Any) -> dict[int, bytes]:
        monkeypatch.setattr(MemoryNodeStore, "stored_bodies", read)
        raise StateUnavailable("it takes too long")

    monkeypatch.setattr(MemoryNodeStore, "stored_bodies", fail)
    device = world.here.connect(KEY)
    await settle()
    assert await world.here.push(KEY, "2") is PushResult.ACKNOWLEDGED
    assert device.got == ["1", "2"]


async def test_what_others_have_stored_and_ends_here_leaves_no_count_below_none(world: World) -> None:
    """Each node adds what it does itself to what was counted."""
    for number in range(5):
        await world.other.keep(KEY, str(number))
    device = world.here.connect(KEY)
    await settle()
    assert len(device.got) == 5
    assert world.ids == []
    assert world.here.queues.kept == 0


async def test_little_is_kept_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What devices that are here were sent stays; of others, what was not needed for the longest goes."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await world.here.keep(KEY, "1")
    await settle()
    monkeypatch.setattr(known_devices, "MOST_DEVICES", 3)
    for number in range(10):
        await world.here.keep(f"{number}" * 32, "1")
    known = set(world.here.queues._known)
    assert known == {DEVICE, *(device_of(f"{number}" * 32) for number in (8, 9))}
    monkeypatch.setattr(known_devices, "MOST_ENTRIES", 2)
    await world.here.keep("9" * 32, "2")
    assert len(set(world.here.queues._known)) == 2
    await world.other.keep(KEY, "2")
    world.here.queues.stale([DEVICE])
    await settle()
    assert device.got == ["1", "2"]


async def test_the_store_counts_for_all_nodes(world: World) -> None:
    """What is there when a node starts is counted, and what it does then."""
    assert world.here.queues.kept == 0
    await world.here.keep(KEY, "1")
    node = Node(Road(world.store), PlayedStanding(await join(world.store, "c")), world.time)
    async with node.queues.running():
        await settle()
        await node.keep(KEY, "2")
        assert node.queues.kept == 2


async def test_the_row_of_a_device_of_which_nothing_is_left_is_erased(world: World) -> None:
    """By the node that prunes; another that knows the row still stores and delivers as ever."""
    device = world.here.connect(KEY)
    await settle()
    assert await world.other.keep(KEY, "1")
    world.here.queues.stale([DEVICE])
    await settle()
    await world.here.queues.prune()
    assert DEVICE in world.store.rows
    device.leave()
    await settle()
    await world.here.queues.prune()
    assert world.store.rows == {}
    assert await world.other.keep(KEY, "2")
    await world.here.queues.prune()
    assert DEVICE in world.store.rows
    again = world.other.connect(KEY)
    await settle()
    assert (device.got, again.got, world.ids) == (["1"], ["2"], [])
