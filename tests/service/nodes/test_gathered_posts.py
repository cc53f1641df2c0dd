"""Posts that are gathered: what is done for many at once, and in their order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.nodes.gathered_world import KEYS, NOW_OR_NEVER, GatheredWorld, pass_by, play, post_some
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import RAW, channel_of, device_of
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import gathered_posts

DEVICE = device_of(KEYS[0])


class TestTogether:
    """What is done for many at once."""

    def test_posts_of_one_turn_are_read_and_stored_together(self) -> None:
        """The devices once each, in any number of posts; and then what is known is not read again."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                post_some(world)
                assert world.posts.around.looking == dict.fromkeys(map(device_of, KEYS), 2)
                await world.settled()
                assert [each[0] for each in world.road.asked] == ["look"] * 3 + ["draw_block"] + ["change_queue"] * 3
                post_some(world, "more ")
                await world.settled()
            assert world.asked() == {"look": 3, "draw_block": 1, "change_queue": 6}
            assert [world.stored(key)[:2] for key in KEYS] == [["0", "3"], ["1", "4"], ["2", "5"]]
            assert world.stored() == ["0", "3", "more 0", "more 3"]
            assert world.posts.around.counters.stored == 12
            world.check()

        play(test)

    def test_a_batch_is_of_so_many(self) -> None:
        """The others are stored behind them, in order."""

        async def test(world: GatheredWorld) -> None:
            ids = [str(number) for number in range(gathered_posts.MOST + 90)]
            async with world.posts.running():
                for each in ids:
                    world.post(each, NOW_OR_NEVER if int(each) % 5 else RAW)
                await world.settled()
            assert world.stored() == [each for each in ids if not int(each) % 5]
            assert {*map(tuple, world.said.values())} == {(PushResult.STORED,), (PushResult.OFFLINE,)}
            assert world.asked() == {"look": 2, "draw_block": 1, "change_queue": 2}
            world.check()

        play(test)

    def test_what_may_not_wait_is_read_for(self) -> None:
        """It is not dropped for what is known of another post, and nothing that came later goes before it meanwhile."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                world.post("1")
                await world.settled()
                world.post("0", NOW_OR_NEVER)
                world.post("1a")
                await world.settled()
                assert [each[0] for each in world.road.asked[-2:]] == ["look", "change_queue"]
                await world.store.connect(DEVICE, world.other)
                world.post("2", NOW_OR_NEVER)
                world.post("3")
                await pass_by(20)
                assert [each[0] for each in world.links.forwarded] == ["2", "3"]
                assert not world.posts.around.looking
                for _, settled in world.links.forwarded:
                    settled(PushResult.ACKNOWLEDGED)
            assert world.said["2"] == world.said["3"] == [PushResult.ACKNOWLEDGED]
            world.check()

        play(test)

    def test_what_comes_meanwhile_goes_by_itself(self) -> None:
        """A device that is here by then is pushed to, in order."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                for each in "123":
                    world.post(each)
                await pass_by(1)
                world.devices.here.add(DEVICE)
                await pass_by(20)
                assert not world.posts.around.looking, "they know where it is"
                assert not world.gathered._alone
                world.devices.answers.set()
                await world.settled()
            assert world.devices.pushed == ["1", "2", "3"]
            assert world.stored() == []
            world.check()

        play(test)


class TestOrder:
    """Posts of one device."""

    @pytest.mark.parametrize("steps", range(0, 30, 3))
    def test_what_comes_behind_a_batch_is_stored_behind_it(self, steps: int) -> None:
        """Also what has to be looked for once more, since another node has changed the row."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                for number in range(30):
                    world.post(f"{number:02}")
                    world.post(f"other {number:02}", key=KEYS[1])
                    await pass_by(1)
                    if number == steps:
                        world.move()
                await world.settled()
            assert world.stored() == [f"{number:02}" for number in range(30)]
            assert {*map(tuple, world.said.values())} == {(PushResult.STORED,)}
            world.check()

        play(test)

    @pytest.mark.parametrize("steps", range(12))
    def test_what_waits_by_itself_keeps_its_place(self, steps: int) -> None:
        """A withdrawal has the device's turn when the first comes; others come as it ends."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                withdrawing = asyncio.create_task(world.queues.withdraw(channel_of(KEYS[0]), ToastMatch()))
                await pass_by(1)
                for each in "123456789":
                    world.post(each)
                    await pass_by(steps)
                await withdrawing
                await world.settled()
            assert world.stored() == [*"123456789"]
            world.check()

        play(test)

    def test_what_begins_by_itself_is_not_passed_by(self) -> None:
        """The device's turn is free again before the task of the one has begun, and another is taken in between."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                free = asyncio.Event()
                holding = asyncio.create_task(hold(world, free))
                await pass_by(1)
                world.gathered._running = gathered_posts.AT_A_TIME  # all are at work
                world.post("1")
                world.gathered._ways_on = Late(world)  # type: ignore[assignment]
                assert world.gathered._take() == {}
                free.set()
                await holding
                world.post("2")
                assert world.gathered._take() == {}
                world.gathered._running = 0
                world.post("3")
                await world.settled()
            assert world.stored() == ["1", "2", "3"]
            world.check()

        play(test)

    def test_what_is_stored_under_the_lock_is_not_passed_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The row has moved on whenever the first was to be stored; one that came later has not been looked for as often."""

        async def test(world: GatheredWorld) -> None:
            change, moves = MemoryNodeStore._change_queue, 3

            async def moved(store: MemoryNodeStore, *asked: Any) -> Any:
                nonlocal moves
                if moves:
                    moves -= 1
                    world.move()
                    if not moves:
                        world.post("2")
                return await change(store, *asked)

            monkeypatch.setattr(MemoryNodeStore, "_change_queue", moved)
            async with world.posts.running():
                world.post("1")
                await world.settled()
            assert world.stored() == ["1", "2"]
            assert world.asked()["change_queue_locked"] == 1
            world.check()

        play(test)


async def hold(world: GatheredWorld, free: asyncio.Event) -> None:
    """Have the device's turn."""
    turn = world.queues.take_turn(DEVICE)
    assert turn is not None
    await free.wait()
    turn.end()


class Late:
    """Begins what goes by itself a turn of the loop later."""

    def __init__(self, world: GatheredWorld) -> None:
        self._world = world

    def finish(self, *work: Any) -> None:
        """Do it."""
        asyncio.get_running_loop().call_later(0.001, lambda: self._world.posts.finish(*work))
