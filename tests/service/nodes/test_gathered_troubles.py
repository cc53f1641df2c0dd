"""Posts that are gathered: each comes to one end, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service.nodes.gathered_world import KEYS, NOW_OR_NEVER, GatheredWorld, pass_by, play, post_some
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import RAW, channel_of, device_of, payload_of
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import gathered_posts
from tocsin.service.registry.service_store import PATIENCE

STORED, NOT_STORED = [PushResult.STORED], [PushResult.NOT_STORED]
STEPS = range(0, 60, 3)


class TestTrouble:
    """At any turn of the loop something happens; each sender hears once what has become of its post, and it is so."""

    @pytest.mark.parametrize("steps", STEPS)
    def test_the_node_stops(self, steps: int) -> None:
        """What is not at its end is to be sent again; nothing is left behind, and nothing waits."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                for number in range(steps // 3 + 1):
                    for key in KEYS:
                        world.post(f"{number} {key}", RAW if number % 3 else NOW_OR_NEVER, key)
                    await pass_by(3)
                await pass_by(steps % 3)
            world.post("late")
            assert world.said["late"] == NOT_STORED
            await asyncio.sleep(1)
            assert_kept(world)

        play(test)

    @pytest.mark.parametrize("steps", range(20))
    def test_the_node_is_cancelled(self, steps: int) -> None:
        """It waits for nothing then."""

        async def test(world: GatheredWorld) -> None:
            async def run() -> None:
                async with world.posts.running():
                    post_some(world)
                    await asyncio.sleep(3600)

            running = asyncio.create_task(run())
            await pass_by(steps + 1)
            running.cancel()
            await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.sleep(1)
            assert_kept(world)

        play(test)

    def test_the_node_stops_while_one_is_to_be_looked_for_once_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It waits for the others of its batch."""

        async def test(world: GatheredWorld) -> None:
            change = MemoryNodeStore._change_queue

            async def hang(store: MemoryNodeStore, device: str, *asked: Any) -> Any:
                if device == device_of(KEYS[1]):
                    await asyncio.sleep(3_600)
                world.move(KEYS[0])
                return await change(store, device, *asked)

            monkeypatch.setattr(MemoryNodeStore, "_change_queue", hang)
            async with world.posts.running():
                post_some(world)
                await asyncio.sleep(1)
                world.post("behind")
                await asyncio.sleep(1)
            assert {*map(tuple, world.said.values())} == {(PushResult.NOT_STORED,)}
            world.check()

        play(test)

    @pytest.mark.parametrize("steps", STEPS)
    @pytest.mark.parametrize("trouble", ["gone", "lapsed", "another lease", "moved"])
    def test_a_fault_from_outside(self, trouble: str, steps: int) -> None:
        """The database goes, the lease is over, it is another, or others change all rows."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                for step in range(60):
                    if not step % 4:
                        for key in KEYS:
                            world.post(f"{step:02} {key}", RAW if step % 3 else NOW_OR_NEVER, key)
                    if step == steps:
                        befall(world, trouble)
                    await pass_by(1)
                await world.settled()
                world.store.gone, world.standing.good = False, True
                for key in KEYS:
                    world.post(f"last {key}", RAW, key)
                await world.settled()
            assert_kept(world)
            assert {*map(tuple, (world.said[f"last {key}"] for key in KEYS))} == {(PushResult.STORED,)}

        play(test)

    def test_without_a_lease_nothing_is_read(self) -> None:
        """All that came while there was one hear at once that there is none any more."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                post_some(world)
                world.standing.good = False
                await world.settled()
            assert {*map(tuple, world.said.values())} == {(PushResult.LAPSED,)}
            assert not world.asked()
            world.check()

        play(test)

    def test_what_came_under_another_lease_is_not_stored(self) -> None:
        """What was found out under that is worth nothing."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                post_some(world)
                await pass_by(2)
                world.standing.lease = world.other
                await world.settled()
            assert {*map(tuple, world.said.values())} == {(PushResult.LAPSED,)}
            assert world.asked() == {"look": 3}
            world.check()

        play(test)

    def test_a_fault_of_ours(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged; the posts that were taken with it are to be sent again, and those behind them are stored."""

        async def test(world: GatheredWorld) -> None:
            begin = world.queues._changes.begin

            def fail_once(*_: object) -> None:
                monkeypatch.setattr(world.queues._changes, "begin", begin)
                fail()

            monkeypatch.setattr(world.queues._changes, "begin", fail_once)
            async with world.posts.running():
                post_some(world)
                await pass_by(2)
                world.post("behind")
                await world.settled()
            world.check()
            assert world.said.pop("behind") == STORED
            assert set(map(tuple, world.said.values())) == {(PushResult.NOT_STORED,)}
            assert "the way of a post has failed" in caplog.text

        play(test)

    def test_a_sender_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """It is logged, and the others hear of theirs."""

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                world.posts.bring_now(channel_of(KEYS[0]), payload_of(KEYS[0], "bad"), RAW, fail)
                world.posts.bring_now(channel_of(KEYS[1]), payload_of(KEYS[1], "drop"), NOW_OR_NEVER, fail)
                post_some(world)
                await world.settled()
            assert {*map(tuple, world.said.values())} == {(PushResult.STORED,)}
            assert "the way of a post has failed" in caplog.text
            world.check()

        play(test)


def fail(*_: object) -> None:
    """Fail."""
    raise RuntimeError("a fault of ours")


def befall(world: GatheredWorld, trouble: str) -> None:
    """Let something happen."""
    match trouble:
        case "gone":
            world.store.gone = True
        case "lapsed":
            world.standing.good = False
        case "another lease":
            world.standing.lease = world.other
        case "moved":
            for key in KEYS:
                world.move(key)


def assert_kept(world: GatheredWorld) -> None:
    """See that what was said is so, and what is stored is in order."""
    world.check()
    for key in KEYS:
        ids = [each for each in world.said if world.keys.get(each) == key]
        stored = world.stored(key)
        assert stored == [each for each in ids if each in stored]
        assert {each for each in ids if world.said[each] == STORED} <= {*stored}
        assert all(world.said[each] != [PushResult.OFFLINE] for each in stored)


class TestPatience:
    """A database that is slow, and more than can be waited for."""

    def test_more_than_so_many_do_not_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are to be sent again, at once; when some have ended, others may wait."""
        monkeypatch.setattr(gathered_posts, "MOST_WAITING", 5)

        async def test(world: GatheredWorld) -> None:
            async with world.posts.running():
                for each in "1234567":
                    world.post(each)
                assert world.said.pop("6") == world.said.pop("7") == NOT_STORED
                await world.settled()
                world.post("8")
                await world.settled()
            assert world.stored() == ["1", "2", "3", "4", "5", "8"]
            world.check()

        play(test)

    @pytest.mark.parametrize("slow", ["look", "draw_block", "change_queue"])
    def test_no_sender_waits_for_ever(self, monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
        """A database that does not answer one kind of question: each hears that within three times the patience."""

        async def test(world: GatheredWorld) -> None:
            loop = asyncio.get_running_loop()
            answered: list[float] = []

            async def give_up(*_: object) -> None:
                await asyncio.sleep(PATIENCE)
                raise StateUnavailable("it does not answer", in_doubt=True)

            monkeypatch.setattr(MemoryNodeStore, slow, give_up)
            async with world.posts.running():
                for number in range(200):
                    key, began = f"{number % 40:032}", loop.time()

                    def settled(result: PushResult, began: float = began) -> None:
                        assert result is PushResult.NOT_STORED
                        answered.append(loop.time() - began)

                    world.posts.bring_now(channel_of(key), payload_of(key, f"{number}"), RAW, settled)
                    await asyncio.sleep(0.1)
                await world.settled()
            assert len(answered) == 200
            assert max(answered) <= 2 * PATIENCE + 0.1

        play(test)

    def test_one_that_has_waited_too_long_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not begun with; those behind it are."""

        async def test(world: GatheredWorld) -> None:
            look = MemoryNodeStore._look

            async def late(*asked: Any) -> Any:
                await asyncio.sleep(PATIENCE + 1)
                return await look(*asked)

            async with world.posts.running():
                with monkeypatch.context() as patch:
                    patch.setattr(MemoryNodeStore, "_look", late)
                    world.post("1")
                    await pass_by(1)
                    world.post("2")
                    await asyncio.sleep(2)
                    world.post("3")
                    await world.settled()
            assert (world.said["1"], world.said["2"], world.said["3"]) == (STORED, NOT_STORED, STORED)
            assert world.stored() == ["1", "3"]
            world.check()

        play(test)
