"""Connections at one of several nodes: each is written down and its queue read before anything goes out; nothing is passed by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from tests.service.nodes.queue_world import (
    Node,
    PlayedStanding,
    channel_of,
    payload_of,
)
from tests.service.nodes.shared_world import DEVICE, KEY, Gate, World, settle
from tocsin.protocol.network.causes import REPLACED
from tocsin.service.devices.outbox import PushResult


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


async def look(node: Node) -> None:
    """Look for the device as a post that goes by itself."""
    await node.queues.look(DEVICE)


async def look_in_turn(node: Node) -> None:
    """Look for it as gathered posts do."""
    turn = node.queues.take_turn(DEVICE)
    assert turn is not None
    turn.begin_look()
    await turn.looked()
    turn.end()


@pytest.mark.parametrize("look", [look, look_in_turn])
async def test_a_row_that_was_cleared_is_claimed_again(world: World, look: Callable[[Node], Awaitable[None]]) -> None:
    """The node finds that out when it looks, for whatever."""
    device = world.here.connect(KEY)
    await settle()
    home = world.here.queues.home_of(DEVICE)
    assert home is not None
    await world.store.clear(DEVICE, home, world.other.standing.lease)
    await look(world.here)
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
    monkeypatch.setattr(world.here.devices._here, "look", lambda _: reads.append(len(world.here.road.asked) > asked))
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
