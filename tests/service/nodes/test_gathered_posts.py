"""Posts that are gathered: each comes to one end, in its order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.service.nodes.gathered_world import KEYS, NOW_OR_NEVER, GatheredWorld, gathered_world
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import RAW, channel_of, device_of, payload_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.device_row import RowChange
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import gathered_posts
from tocsin.service.registry.service_store import PATIENCE

STORED, NOT_STORED = [PushResult.STORED], [PushResult.NOT_STORED]
DEVICE = device_of(KEYS[0])
STEPS = range(60)


def play(test: Callable[[GatheredWorld], Coroutine[Any, Any, None]]) -> None:
    """Run a test on virtual time."""

    async def run() -> None:
        async with gathered_world() as world:
            await test(world)
            gc.collect()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def pass_by(steps: int) -> None:
    """Let so many turns of the loop pass."""
    for _ in range(steps):
        await asyncio.sleep(0)


def post_some(world: GatheredWorld, prefix: str = "") -> None:
    """Post to all devices, twice to each."""
    for number, key in enumerate(KEYS * 2):
        world.post(f"{prefix}{number}", RAW, key)


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


class TestTurn:
    """A device's turn by itself."""

    def test_there_is_one(self) -> None:
        """Another is had when it ends; and not while a task waits that came before."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            assert world.queues.take_turn(KEYS[1]) is not None
            looking = asyncio.create_task(world.queues.look(DEVICE))
            await pass_by(1)
            turn.end()
            assert world.queues.take_turn(DEVICE) is None
            await looking
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            assert turn.is_current
            turn.end()
            assert world.queues._known.get(DEVICE) is not None

        play(test)

    @pytest.mark.parametrize("is_told", [True, False])
    def test_one_that_ends_before_it_has_stored(self, is_told: bool) -> None:
        """What is written goes on or not; the device is read before more is decided from it."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            turn.begin_look()
            await turn.looked()
            assert await turn.begin_store([(channel_of(KEYS[0]), payload_of(KEYS[0], "1"))], frozenset(), None) is None
            assert turn.is_current
            if is_told:
                (kept,) = await turn.stored()
                assert isinstance(kept, RowChange)
                assert turn.row == kept.row
            turn.end()
            await asyncio.sleep(1)
            assert world.stored() == (["1"] if is_told else [])
            assert (world.queues.known(DEVICE) is not None) == is_told
            assert world.queues._changes.kept == int(is_told)

        play(test)

    def test_one_for_which_another_device_has_failed(self) -> None:
        """It is not tried, and what is known of it stays so."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            turn.begin_look()
            await turn.looked()
            failure = StateUnavailable("no numbers")
            posts = [(channel_of(KEYS[0]), payload_of(KEYS[0], each)) for each in "12"]
            assert await turn.begin_store(posts, frozenset(), failure) is failure
            assert [*map(str, await turn.stored())] == ["NotKept.FAILED"] * 2
            turn.end()
            assert world.queues.known(DEVICE) is not None
            assert world.asked() == {"look": 1}

        play(test)
