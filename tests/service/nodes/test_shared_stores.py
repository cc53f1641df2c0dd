"""What is stored at one of several nodes: once, in its place, and told as it is."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from unittest.mock import Mock

import anyio
import pytest

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import (
    PlayedStanding,
    channel_of,
    device_of,
    payload_of,
)
from tests.service.nodes.shared_world import DEVICE, KEY, World, opened, settle
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.device_row import ABSENT, RowChange, Unchanged
from tocsin.protocol.service.offline_queue import MAX_ENTRIES, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import known_devices, shared_queues
from tocsin.service.nodes.storing import NotKept
from tocsin.service.registry.node_store import SeenDevice


async def test_a_store_that_was_decided_from_another_row_is_not_written(world: World) -> None:
    """Its caller looks again; what it sees then is current."""
    queues, row = world.here.queues, channel_of(KEY)
    seen = await queues.look(DEVICE)
    assert seen == SeenDevice(ABSENT) == queues.known(DEVICE)
    await world.other.keep(KEY, "1")
    assert await queues.store(row, payload_of(KEY, "2"), seen, frozenset()) is Unchanged.MOVED
    assert queues.known(DEVICE) is None
    seen = await queues.look(DEVICE)
    stored = await queues.store(row, payload_of(KEY, "2"), seen, frozenset())
    assert isinstance(stored, RowChange)
    known = queues.known(DEVICE)
    assert known is not None
    assert (known.row, [entry.id for entry in known.entries]) == (stored.row, ["1", "2"])
    numbers = [entry.sequence for entry in known.entries]
    assert numbers == sorted(numbers)
    again = await queues.store(row, payload_of(KEY, "2"), seen, frozenset())
    assert again == RowChange(stored.row)
    assert world.ids == ["1", "2"]


async def test_a_store_goes_on_from_what_this_node_has_written(world: World) -> None:
    """Several posts look at once and store one after the other; where the device has come meanwhile, they look again."""
    queues, row = world.here.queues, channel_of(KEY)
    seen = await queues.look(DEVICE)
    stored = [queues.store(row, payload_of(KEY, str(number)), seen, frozenset()) for number in range(5)]
    assert all(isinstance(each, RowChange) for each in await asyncio.gather(*stored))
    assert world.ids == ["0", "1", "2", "3", "4"]
    assert world.here.queues.kept == 5
    world.other.connect(KEY)
    await settle()
    await queues.look(DEVICE)
    assert await queues.store(row, payload_of(KEY, "5"), seen, frozenset()) is Unchanged.MOVED


async def test_a_store_that_is_too_old_is_not_taken_over_what_is_known(world: World) -> None:
    """Also where what is known was not written."""
    queues, row = world.here.queues, channel_of(KEY)
    old = await queues.look(DEVICE)
    device = world.here.connect(KEY)
    device.acknowledges = False
    await world.here.keep(KEY, "1")
    await world.other.keep(KEY, "2")
    known = queues._known.get(DEVICE)
    assert known is not None
    known.is_current = False
    assert await queues.store(row, payload_of(KEY, "3"), old, frozenset()) is Unchanged.MOVED


async def test_a_store_under_the_rows_lock(world: World) -> None:
    """It is decided by what is there then, and clears what its own node denies."""
    queues, row = world.here.queues, channel_of(KEY)
    await queues.look(DEVICE)
    world.other.connect(KEY)
    await settle()
    home = world.store.rows[DEVICE].home
    assert home is not None
    stored = await queues.store(row, payload_of(KEY, "1"), None, frozenset())
    assert isinstance(stored, RowChange)
    assert (stored.row.home, stored.wake, stored.behind) == (home, home.lease, True)
    stored = await queues.store(row, payload_of(KEY, "2"), None, frozenset({home}))
    assert isinstance(stored, RowChange)
    assert stored.row.home is None
    again = await queues.store(row, payload_of(KEY, "2"), None, frozenset())
    assert isinstance(again, RowChange)
    assert world.ids == ["1", "2"]
    await world.lapse(world.here)
    assert await queues.store(row, payload_of(KEY, "3"), None, frozenset()) is Unchanged.FENCED


async def test_a_store_past_the_lease_is_not_asked_for(world: World) -> None:
    """Neither by the node's clock nor by the database's."""
    queues, row = world.here.queues, channel_of(KEY)
    await world.other.queues.keep(row, payload_of(KEY, "0", NotificationType.TOAST), lambda _: None)
    seen = await queues.look(DEVICE)
    await world.store.release(world.here.standing.lease)
    assert await queues.store(row, payload_of(KEY, "1"), seen, frozenset()) is Unchanged.FENCED
    asked = len(world.here.road.asked)
    cast(PlayedStanding, world.here.standing).good = False
    assert await queues.store(row, payload_of(KEY, "1"), seen, frozenset()) is Unchanged.FENCED
    assert len(world.here.road.asked) == asked
    with pytest.raises(StateUnavailable):
        await queues.withdraw(row, ToastMatch())


async def test_what_waits_for_a_device_is_refused_once_the_lease_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question to a database that is away has taken all of its patience; those behind it do not begin anew."""
    queues, row = world.here.queues, channel_of(KEY)
    may_fail = asyncio.Event()

    async def fail(_: object) -> None:
        await may_fail.wait()
        raise StateUnavailable("no answer")

    asked = Mock(side_effect=fail)
    monkeypatch.setattr(MemoryNodeStore, "look", asked)
    posts: list[asyncio.Task[Any]] = [asyncio.create_task(queues.look(DEVICE)) for _ in range(3)]
    posts.append(asyncio.create_task(queues.withdraw(row, ToastMatch())))
    await settle()
    cast(PlayedStanding, world.here.standing).good = False
    may_fail.set()
    for post in posts:
        with pytest.raises(StateUnavailable):
            await post
    asked.assert_called_once()


async def test_who_draws_numbers_is_refused_once_the_lease_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them would else have all of the patience, one after the other, for all devices."""
    queues, may_fail = world.here.queues, asyncio.Event()
    seen = [(key, await queues.look(device_of(key))) for key in ("1" * 32, "2" * 32, "3" * 32)]

    async def fail() -> None:
        await may_fail.wait()
        raise StateUnavailable("no answer")

    asked = Mock(side_effect=fail)
    monkeypatch.setattr(MemoryNodeStore, "draw_block", asked)
    posts = [
        asyncio.create_task(queues.store(channel_of(key), payload_of(key, "1"), each, frozenset()))
        for key, each in seen
    ]
    await settle()
    cast(PlayedStanding, world.here.standing).good = False
    may_fail.set()
    assert [await post for post in posts] == [NotKept.FAILED] * 3
    asked.assert_called_once()


def held_writes(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let changes of queues wait for the event that is returned."""
    may_go_on = asyncio.Event()
    write = MemoryNodeStore.change_queue

    async def change(*arguments: Any) -> Any:
        await may_go_on.wait()
        return await write(*arguments)

    monkeypatch.setattr(MemoryNodeStore, "change_queue", change)
    return may_go_on


async def test_a_post_waits_for_those_before_it_so_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow stores what is for one device one after the other: a sender is told to come back."""
    monkeypatch.setattr(known_devices, "TURN", 0.05)
    queues, row = world.here.queues, channel_of(KEY)
    seen = await queues.look(DEVICE)
    may_go_on = held_writes(monkeypatch)
    first = asyncio.create_task(queues.store(row, payload_of(KEY, "1"), seen, frozenset()))
    await settle()
    assert await queues.store(row, payload_of(KEY, "2"), seen, frozenset()) is NotKept.FAILED
    may_go_on.set()
    assert isinstance(await first, RowChange)
    assert isinstance(await queues.store(row, payload_of(KEY, "3"), queues.known(DEVICE), frozenset()), RowChange)
    assert world.ids == ["1", "3"]


async def test_a_post_that_has_waited_takes_its_turn_only_if_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another node has changed is looked at anew, and stored anew: its sender waits so long for all of that together."""
    queues, row, over = world.here.queues, channel_of(KEY), anyio.current_time()
    seen = await queues.look(DEVICE, over)
    may_go_on = held_writes(monkeypatch)
    first = asyncio.create_task(queues.store(row, payload_of(KEY, "1"), seen, frozenset(), over))
    await settle()
    with anyio.fail_after(1), pytest.raises(StateUnavailable, match="what came before for the same device"):
        await queues.look(DEVICE, over)
    with anyio.fail_after(1):
        assert await queues.store(row, payload_of(KEY, "2"), seen, frozenset(), over) is NotKept.FAILED
    may_go_on.set()
    assert isinstance(await first, RowChange)


async def test_there_is_room_for_so_many(caplog: pytest.LogCaptureFixture) -> None:
    """What takes the place of another is stored all the same; all nodes have one limit, about."""
    async with opened(limit=2) as world:
        await settle()
        tile = NotificationType.TILE
        queues, row = world.here.queues, channel_of(KEY)
        assert await world.here.keep(KEY, "1")
        assert await queues.keep(row, payload_of(KEY, "2", tile), lambda _: None)
        assert not await world.here.keep(KEY, "3")
        assert await queues.store(row, payload_of(KEY, "3"), None, frozenset()) is NotKept.NO_ROOM
        assert await queues.keep(row, payload_of(KEY, "4", tile), lambda _: None)
        assert world.ids == ["1", "4"]
        assert (queues.kept, queues.counts) == (2, {Phase.REPLACED: 1})
    assert caplog.messages == []


async def test_the_oldest_goes_in_one_transaction_with_what_comes(world: World) -> None:
    """A full queue is written once for each notification."""
    for number in range(102):
        assert await world.here.keep(KEY, str(number))
    assert world.ids == [str(number) for number in range(2, 102)]
    assert sum(each[0] == "change_queue" for each in world.here.road.asked) == 102
    assert world.here.queues.counts == {Phase.OVERFLOWED: 2}
    assert world.here.queues.kept == 100
    assert MAX_ENTRIES > 100


async def test_a_store_that_fails_is_not_there_or_is_found(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Its sender is told; what was written all the same goes to the device once that is found out."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await settle()
    queues, row = world.here.queues, channel_of(KEY)
    world.here.road.chance.seed(1)
    seen = queues.known(DEVICE)
    assert seen is not None
    world.store.gone = True
    assert await queues.store(row, payload_of(KEY, "1"), seen, frozenset()) is NotKept.FAILED
    assert queues.counts[Phase.NOT_STORED] == 1
    assert "a notification could not be stored: the database is gone" in caplog.messages
    world.store.gone = False
    await asyncio.sleep(0.2)
    assert device.got == []
    assert await world.here.keep(KEY, "2")
    await settle()
    assert device.got == ["2"]


async def test_what_is_there_though_its_sender_was_told_it_failed_goes_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was written before the queue is read again, or comes later: then it is looked once more."""
    monkeypatch.setattr(shared_queues, "FOUND_OUT", 0.05)
    device = world.here.connect(KEY)
    await settle()
    queues, row, change = world.here.queues, channel_of(KEY), world.store.change_queue
    late: list[tuple[Any, ...]] = []

    async def answer_lost(_: MemoryNodeStore, *asked: Any) -> None:
        await change(*asked)
        raise StateUnavailable("the answer was lost", in_doubt=True)

    async def come_late(_: MemoryNodeStore, *asked: Any) -> None:
        late.append(asked)
        raise StateUnavailable("no answer", in_doubt=True)

    for id, goes_wrong in (("1", answer_lost), ("2", come_late)):  # noqa: A001 - the field's name
        seen = await queues.look(DEVICE)
        with monkeypatch.context() as patch:
            patch.setattr(MemoryNodeStore, "change_queue", goes_wrong)
            assert await queues.store(row, payload_of(KEY, id), seen, frozenset()) is NotKept.FAILED
        await settle()
        assert device.got == ["1"]
    await change(*late[0])
    await asyncio.sleep(0.2)
    assert (device.got, world.ids) == (["1", "2"], [])


async def test_the_place_of_what_is_stored_is_before_what_comes_later(world: World) -> None:
    """A device that is here is sent nothing of what comes now while something is being stored for it."""
    device = world.here.connect(KEY)
    await settle()
    world.here.road.latency = 0.02
    keeping = asyncio.create_task(world.here.keep(KEY, "1"))
    while not (known := world.here.queues._known.get(DEVICE)) or not known.queue.entries:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert await world.here.push(KEY, "2") is PushResult.ACKNOWLEDGED
    assert await keeping
    assert device.got == ["1", "2"]
