"""Queues of several nodes: a connection is written down and its queue read before anything goes out; nothing stored is lost or passed by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast
from unittest.mock import Mock

import pytest
from attrs import Factory, define, evolve

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import (
    Node,
    PlayedStanding,
    Road,
    channel_of,
    device_of,
    payload_of,
)
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.network.causes import REPLACED
from tocsin.protocol.service.nodes.device_row import ABSENT, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.service.offline_queue import MAX_ENTRIES, Phase
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import known_devices, shared_queues
from tocsin.service.nodes.storing import NotKept
from tocsin.service.registry.node_store import Renewed, SeenDevice

KEY = "k" * 32
DEVICE = device_of(KEY)


async def settle() -> None:
    """Let all tasks do what they can."""
    for _ in range(100):
        await asyncio.sleep(0)


@define(eq=False)
class Time:
    """A clock that the test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


@define(eq=False)
class World:
    """Two nodes."""

    store: MemoryNodeStore
    here: Node
    other: Node
    time: Time

    async def lapse(self, node: Node) -> None:
        """Let a node's lease be over, as it notices."""
        standing = cast(PlayedStanding, node.standing)
        await self.store.release(standing.lease)
        standing.good = False
        node.queues.hold()

    async def rejoin(self, node: Node) -> None:
        """Give it another."""
        standing = cast(PlayedStanding, node.standing)
        standing.lease, standing.good = await join(self.store, "again", standing.lease), True
        node.queues.reclaim()

    @property
    def ids(self) -> list[str]:
        """What is stored for the device."""
        return [entry.id for entry in self.store.queues.get(DEVICE, {}).values()]


async def join(store: MemoryNodeStore, name: str, last: int = 0) -> int:
    """Take a lease."""
    given = await store.join(Joining(name, name, "", "1", last))
    assert isinstance(given, Renewed)
    return given.lease.number


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Open two nodes."""
    async with opened() as world:
        yield world


@asynccontextmanager
async def opened(limit: int = 1_000_000) -> AsyncIterator[World]:
    """Open two nodes with room for so many notifications."""
    time = Time()
    store = MemoryNodeStore(time, length=1e6)
    here, other = [Node(Road(store), PlayedStanding(await join(store, name)), time, limit) for name in ("a", "b")]
    async with AsyncExitStack() as stack:
        for node in (here, other):
            await stack.enter_async_context(node.queues.running())
        yield World(store, here, other, time)
        for node in (here, other):
            await node.devices.aclose()


async def test_a_device_gets_what_another_node_has_stored(world: World) -> None:
    """Its row says where it is, and what it has acknowledged is erased."""
    assert await world.other.keep(KEY, "1")
    assert await world.other.keep(KEY, "2")
    device = world.here.connect(KEY)
    await settle()
    assert device.got == ["1", "2"]
    assert world.store.rows[DEVICE].home == world.here.queues.home_of(DEVICE)
    assert world.ids == []
    assert await world.here.push(KEY, "3") is PushResult.ACKNOWLEDGED


async def test_what_comes_now_waits_until_the_queue_is_read(world: World) -> None:
    """A connection whose row cannot be written yet is sent nothing, and then what is stored goes first."""
    await world.other.keep(KEY, "1")
    world.store.gone = True
    device = world.here.connect(KEY)
    push = asyncio.create_task(world.here.push(KEY, "2"))
    await settle()
    assert (device.got, world.here.queues.home_of(DEVICE)) == ([], None)
    world.store.gone = False
    assert await push is PushResult.ACKNOWLEDGED
    assert device.got == ["1", "2"]


async def test_trouble_with_the_store_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """However many devices wait for it, each tries again by itself."""
    caplog.set_level(logging.WARNING)
    world.store.gone = True
    for number in range(20):
        world.here.connect(f"{number}" * 32)
    await asyncio.sleep(0.2)
    said = [each for each in caplog.messages if "devices wait" in each]
    assert said == ["devices wait until their rows can be written and their queues be read: the database is gone"]
    world.store.gone = False
    await asyncio.sleep(0.5)
    assert len(world.store.rows) == 20


async def test_a_connection_that_ends_clears_its_row(world: World) -> None:
    """Also where it ends while its row is being written."""
    device = world.here.connect(KEY)
    await settle()
    assert world.store.rows[DEVICE].home is not None
    device.leave()
    await settle()
    assert world.store.rows[DEVICE].home is None
    world.here.road.latency = 0.01
    device = world.here.connect(KEY)
    await asyncio.sleep(0)
    device.leave()
    await asyncio.sleep(0.3)
    assert [each[0] for each in world.here.road.asked[-2:]] == ["connect", "clear"]
    assert world.store.rows[DEVICE].home is None


async def test_a_device_that_reconnects_is_written_down_anew(world: World) -> None:
    """The row names the connection that there is, and the old one's end clears nothing of it."""
    old = world.here.connect(KEY)
    await settle()
    home = world.here.queues.home_of(DEVICE)
    new = world.here.connect(KEY)
    await settle()
    assert old.closed == (REPLACED, "replaced by a newer connection")
    assert new.closed is None
    assert world.here.queues.home_of(DEVICE) not in {home, None}
    assert world.store.rows[DEVICE].home == world.here.queues.home_of(DEVICE)


async def test_a_stale_queue_is_read_before_more_goes_out(world: World) -> None:
    """What another node has stored meanwhile goes before what comes now; what was sent is not sent again."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await world.here.keep(KEY, "1")
    await settle()
    assert device.got == ["1"]
    await world.other.keep(KEY, "2")
    await settle()
    assert device.got == ["1"]
    world.here.queues.stale([DEVICE, "unknown"])
    push = asyncio.create_task(world.here.push(KEY, "3"))
    await settle()
    assert device.got == ["1", "2", "3"]
    device.acknowledge("1", "2", "3")
    assert await push is PushResult.ACKNOWLEDGED
    await settle()
    assert world.ids == []


async def test_what_is_queued_and_not_sent_is_taken_back(world: World) -> None:
    """Past the lease nothing goes out, though the device has room; under the next lease it does, in order."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    for number in range(6):  # the window is 4
        await world.here.keep(KEY, str(number))
    await settle()
    assert device.got == ["0", "1", "2", "3"]
    await world.lapse(world.here)
    push = asyncio.create_task(world.here.push(KEY, "6"))
    await settle()
    device.acknowledge("0", "1")
    await settle()
    assert len(device.got) == 4
    assert world.here.queues.has(DEVICE)
    device.acknowledges = True
    await world.rejoin(world.here)
    device.acknowledge("2", "3")
    assert await push is PushResult.ACKNOWLEDGED
    await settle()
    assert device.got == ["0", "1", "2", "3", "4", "5", "6"]
    assert world.ids == []


async def test_a_node_that_stood_still_sends_nothing(world: World) -> None:
    """The bytes that came meanwhile are dealt with before its alarms ring; each turn asks whether the lease is good."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await settle()
    pushes = [asyncio.create_task(world.here.push(KEY, str(number))) for number in range(5)]
    await settle()
    assert device.got == ["0", "1", "2", "3"]
    cast(PlayedStanding, world.here.standing).good = False
    assert not world.here.queues.is_read(DEVICE)
    device.acknowledge("0", "1", "2", "3")
    await settle()
    assert device.got == ["0", "1", "2", "3"]
    await world.rejoin(world.here)
    await settle()
    assert device.got == ["0", "1", "2", "3"]
    results = [await push for push in pushes]
    assert results == [*[PushResult.ACKNOWLEDGED] * 4, PushResult.NOT_STORED]


async def test_what_waited_past_the_lease_does_not_come_behind_what_has_replaced_it(world: World) -> None:
    """Its sender was told that it was not taken, or another node has stored it in its place."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await settle()
    pushes = [asyncio.create_task(world.here.push(KEY, str(number))) for number in range(5)]
    await settle()
    await world.lapse(world.here)
    assert await pushes[4] is PushResult.NOT_STORED
    await world.other.keep(KEY, "newer")
    device.acknowledge("0", "1", "2", "3")
    device.acknowledges = True
    await world.rejoin(world.here)
    await settle()
    assert device.got == ["0", "1", "2", "3", "newer"]


async def test_a_connection_that_was_held_is_claimed_under_the_next_lease(world: World) -> None:
    """Also where the lease was over before its row was written."""
    held = world.here.connect(KEY)
    await settle()
    await world.lapse(world.here)
    late = world.here.connect("l" * 32)
    await settle()
    await world.rejoin(world.here)
    await settle()
    for device in (held, late):
        home = world.here.queues.home_of(device.device)
        assert home is not None
        assert home.lease == world.here.standing.lease
        assert world.store.rows[device.device].home == home


async def test_a_device_that_is_at_another_node_since_is_closed_here(world: World) -> None:
    """A connection that was held is not claimed over a later one."""
    held = world.here.connect(KEY)
    await settle()
    await world.lapse(world.here)
    later = world.other.connect(KEY)
    await settle()
    await world.rejoin(world.here)
    await settle()
    assert held.closed == (REPLACED, "replaced by a newer connection")
    assert later.closed is None
    assert world.store.rows[DEVICE].home == world.other.queues.home_of(DEVICE)


async def test_a_row_that_was_cleared_is_claimed_again(world: World) -> None:
    """The node finds that out when it looks, for whatever."""
    device = world.here.connect(KEY)
    await settle()
    home = world.here.queues.home_of(DEVICE)
    assert home is not None
    await world.store.clear(DEVICE, home, world.other.standing.lease)
    await world.here.queues.look(DEVICE)
    await settle()
    assert device.closed is None
    assert world.store.rows[DEVICE].home == world.here.queues.home_of(DEVICE) not in {home, None}


async def test_the_lease_may_be_over_for_the_database_first(world: World) -> None:
    """What is refused is tried again until the node knows, and then under the next lease."""
    await world.store.release(world.here.standing.lease)
    world.here.connect(KEY)
    await asyncio.sleep(0.2)
    asked = [each[0] for each in world.here.road.asked]
    assert set(asked) == {"connect"}
    assert 1 < len(asked) < 10
    await world.lapse(world.here)
    await world.rejoin(world.here)
    await asyncio.sleep(0.5)
    assert world.store.rows[DEVICE].home == world.here.queues.home_of(DEVICE) is not None


@define(eq=False)
class Gate:
    """Holds back the answers of one method of the database."""

    answered: asyncio.Event = Factory(asyncio.Event)
    open: asyncio.Event = Factory(asyncio.Event)

    @classmethod
    def before_answers_of(cls, name: str, monkeypatch: pytest.MonkeyPatch) -> Gate:
        """Put one there."""
        gate, method = cls(), getattr(MemoryNodeStore, name)

        async def answer(store: MemoryNodeStore, *asked: Any) -> Any:
            answer = await method(store, *asked)
            gate.answered.set()
            await gate.open.wait()
            return answer

        monkeypatch.setattr(MemoryNodeStore, name, answer)
        return gate


async def test_a_claim_that_is_answered_under_the_next_lease_is_made_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the row says then is a lease that is over."""
    gate = Gate.before_answers_of("connect", monkeypatch)
    device = world.here.connect(KEY)
    await gate.answered.wait()
    await world.lapse(world.here)
    await world.rejoin(world.here)
    gate.open.set()
    await asyncio.sleep(0.2)
    home = world.here.queues.home_of(DEVICE)
    assert home is not None
    assert (home.lease, world.store.rows[DEVICE].home) == (world.here.standing.lease, home)
    assert device.closed is None


async def test_a_queue_that_becomes_stale_while_it_is_read_is_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was acknowledged meanwhile is erased then."""
    device = world.here.connect(KEY)
    device.acknowledges = False
    await world.here.keep(KEY, "1")
    await settle()
    gate = Gate.before_answers_of("look", monkeypatch)
    world.here.queues.stale([DEVICE])
    await gate.answered.wait()
    device.acknowledge("1")
    await world.other.queues.store(channel_of(KEY), payload_of(KEY, "2"), None, frozenset())
    world.here.queues.stale([DEVICE])
    asked = len(world.here.road.asked)
    reads: list[bool] = []
    monkeypatch.setattr(world.here.devices, "look", lambda _: reads.append(len(world.here.road.asked) > asked))
    gate.open.set()
    await settle()
    assert reads == [True], "it is told to look once it has been read again"
    assert world.ids == ["2"]


async def test_what_was_on_its_way_from_the_disk_stays_there_past_the_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bodies were being read."""
    await world.other.keep(KEY, "1")
    gate = Gate.before_answers_of("stored_bodies", monkeypatch)
    device = world.here.connect(KEY)
    await gate.answered.wait()
    await world.lapse(world.here)
    gate.open.set()
    await settle()
    assert device.got == []
    await world.rejoin(world.here)
    await settle()
    assert (device.got, world.ids) == (["1"], [])


async def test_who_waits_for_a_row_hears_of_it(world: World) -> None:
    """Of a connection that is written down, of one that has gone, and of a lease that is over."""
    queues = world.here.queues
    assert await queues.claimed(DEVICE) is None
    world.store.gone = True
    device = world.here.connect(KEY)
    waiting = asyncio.create_task(queues.claimed(DEVICE))
    await settle()
    device.leave()
    assert await waiting is None
    device = world.here.connect(KEY)
    waiting = asyncio.create_task(queues.claimed(DEVICE))
    await settle()
    world.store.gone = False
    assert await waiting == queues.home_of(DEVICE) is not None
    await world.lapse(world.here)
    assert await queues.claimed(DEVICE) is None


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
    connection.outbox.push_nowait("1", connection.outbox.encode(payload_of(KEY, "1")), lambda _: None)
    await settle()
    connection.outbox.give_up()  # its sender waits no more
    await world.other.keep(KEY, "1")
    world.here.queues.stale([DEVICE])
    await settle()
    assert device.got == ["1"]
    device.acknowledge("1")
    await settle()
    assert world.ids == []


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


async def test_a_post_waits_for_those_before_it_so_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow stores what is for one device one after the other: a sender is told to come back."""
    monkeypatch.setattr(known_devices, "TURN", 0.05)
    queues, row = world.here.queues, channel_of(KEY)
    seen = await queues.look(DEVICE)
    may_go_on = asyncio.Event()
    write = MemoryNodeStore.change_queue

    async def change(*arguments: Any) -> Any:
        await may_go_on.wait()
        return await write(*arguments)

    monkeypatch.setattr(MemoryNodeStore, "change_queue", change)
    first = asyncio.create_task(queues.store(row, payload_of(KEY, "1"), seen, frozenset()))
    await settle()
    assert await queues.store(row, payload_of(KEY, "2"), seen, frozenset()) is NotKept.FAILED
    may_go_on.set()
    assert isinstance(await first, RowChange)
    assert isinstance(await queues.store(row, payload_of(KEY, "3"), queues.known(DEVICE), frozenset()), RowChange)
    assert world.ids == ["1", "3"]


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
