"""The way out to one device."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from tocsin.protocol.service.device_connection import Phase
from tocsin.service.devices.outbox import MAX_BYTES, MAX_FRAMES, Outbox, PushResult

LONG = 60.0


def connected(window: int, backlog: int, timeout: float) -> Outbox:
    """Return the way out to a device that has been welcomed."""
    outbox = Outbox(window, backlog, timeout)
    outbox.phase = Phase.UP
    return outbox


class Pushes:
    """Senders that wait, and what they were told."""

    def __init__(self, outbox: Outbox, group: TaskGroup) -> None:
        self.results: dict[str, PushResult] = {}
        self._outbox = outbox
        self._group = group

    async def push(self, *ids: str, frame: bytes = b"") -> None:
        """Push payloads, in this order; without a frame their ids are what is sent."""
        for each in ids:
            self._group.start_soon(self._push, each, frame or each.encode())
        await anyio.wait_all_tasks_blocked()

    async def _push(self, each: str, frame: bytes) -> None:
        self.results[each] = await self._outbox.push(each, frame)


@asynccontextmanager
async def pushing(outbox: Outbox) -> AsyncIterator[Pushes]:
    """Let senders push until the end of the block, and fail who still waits then."""
    async with anyio.create_task_group() as group:
        yield Pushes(outbox, group)
        outbox.fail()


async def test_what_waits_goes_out_in_one_chunk_in_order() -> None:
    """Answers go first, then the payloads as they were pushed."""
    outbox = connected(window=8, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b")
        outbox.send_answer(b"1")
        outbox.send_answer(b"2")
        await pushes.push("c")
        assert outbox.take_chunk() == b"12abc"


async def test_an_acknowledged_payload_is_acknowledged_to_its_sender_only() -> None:
    """Acknowledgements may come in any order, more than one at a time, and of ids that no one waits for."""
    outbox = connected(window=8, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b", "c")
        outbox.take_chunk()
        outbox.acknowledge(("c", "a", "unknown", "c"))
        await anyio.wait_all_tasks_blocked()
        assert pushes.results == {"a": PushResult.ACKNOWLEDGED, "c": PushResult.ACKNOWLEDGED}
    assert pushes.results["b"] is PushResult.LOST


async def test_no_more_than_the_window_is_on_its_way() -> None:
    """Further payloads wait for acknowledgements; answers do not."""
    outbox = connected(window=2, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b", "c", "d")
        assert outbox.take_chunk() == b"ab"
        outbox.send_answer(b"1")
        assert outbox.take_chunk() == b"1"
        outbox.acknowledge(("b",))
        assert outbox.take_chunk() == b"c"
        outbox.acknowledge(("a", "c"))
        assert outbox.take_chunk() == b"d"


async def test_the_writer_is_called_for_what_comes() -> None:
    """An empty outbox has nothing to take; it calls for what was pushed, answered or stored, and for room in the window."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    chunks: list[bytes] = []
    outbox.on_filled = lambda: chunks.append(outbox.take_chunk())
    async with pushing(outbox) as pushes:
        assert outbox.take_chunk() == b""
        await pushes.push("a", "b")
        outbox.send_answer(b"1")
        assert chunks == [b"a", b"", b"1"]
        outbox.acknowledge(("a",))
        outbox.acknowledge(("b",))
        outbox.offer([("c", b"c")])
        assert chunks[3:] == [b"b", b"c"]


async def test_a_chunk_is_bounded() -> None:
    """A chunk has at most so many frames, and ends with the frame that fills it."""
    outbox = connected(window=1_000, backlog=1_000, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push(*(str(number) for number in range(MAX_FRAMES + 1)), frame=b"x")
        assert outbox.take_chunk() == b"x" * MAX_FRAMES
        assert outbox.take_chunk() == b"x"
        await pushes.push("a", "b", "c", frame=b"y" * (MAX_BYTES - 1))
        assert len(outbox.take_chunk()) == 2 * (MAX_BYTES - 1)
        assert len(outbox.take_chunk()) == MAX_BYTES - 1


async def test_too_many_waiting_are_refused() -> None:
    """Beyond the backlog a sender is told at once that the device is busy."""
    outbox = connected(window=1, backlog=2, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a")
        outbox.take_chunk()
        await pushes.push("b", "c", "d")
        assert pushes.results == {"d": PushResult.BUSY}


async def test_what_is_not_acknowledged_times_out() -> None:
    """Sent or still waiting: the sender is told, and what was not sent never will be."""
    outbox = connected(window=1, backlog=8, timeout=0.02)
    assert await _push_two(outbox) == [PushResult.TIMED_OUT, PushResult.TIMED_OUT]
    outbox.acknowledge(("a",))
    outbox.send_answer(b"1")
    assert outbox.take_chunk() == b"1"


async def _push_two(outbox: Outbox) -> list[PushResult]:
    """Push two payloads, the first of which goes out, and wait for what becomes of them."""
    results = []

    async def push(each: str) -> None:
        results.append(await outbox.push(each, each.encode()))

    async with anyio.create_task_group() as group:
        group.start_soon(push, "a")
        group.start_soon(push, "b")
        await anyio.lowlevel.checkpoint()
        assert outbox.take_chunk() == b"a"
    return results


async def test_a_late_payload_keeps_its_place_in_the_window() -> None:
    """What the device has not acknowledged is still in its hands, even if its sender no longer waits."""
    outbox = connected(window=1, backlog=8, timeout=0.02)
    await _push_two(outbox)
    outbox._timeout = LONG
    async with pushing(outbox) as pushes:
        await pushes.push("c")
        outbox.send_answer(b"1")
        assert outbox.take_chunk() == b"1"
        outbox.acknowledge(("a",))
        assert outbox.take_chunk() == b"c"


async def test_the_alarm_serves_the_next_deadline_too() -> None:
    """A payload pushed later times out later, by an alarm of its own."""
    outbox = connected(window=1, backlog=8, timeout=0.02)
    assert await _push_two(outbox) == [PushResult.TIMED_OUT] * 2
    assert outbox._alarm is None
    assert await outbox.push("c", b"c") is PushResult.TIMED_OUT


async def test_a_lost_connection_is_told_to_all() -> None:
    """Sent or still waiting: the connection was lost."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b")
        outbox.take_chunk()
    assert pushes.results == {"a": PushResult.LOST, "b": PushResult.LOST}


async def test_a_sender_that_gives_up_disturbs_no_one() -> None:
    """An acknowledgement for a sender that was cancelled is passed over."""
    outbox = connected(window=8, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        with anyio.move_on_after(0) as scope:
            await outbox.push("a", b"a")
        assert scope.cancelled_caught
        await pushes.push("b")
        assert outbox.take_chunk() == b"ab"
        outbox.acknowledge(("a", "b"))
        await anyio.wait_all_tasks_blocked()
        assert pushes.results == {"b": PushResult.ACKNOWLEDGED}


@pytest.mark.parametrize("count", [0, 63])
async def test_there_is_room_for_answers(count: int) -> None:
    """Below the limit no one waits."""
    outbox = connected(window=8, backlog=8, timeout=LONG)
    for _ in range(count):
        outbox.send_answer(b"1")
    with anyio.fail_after(LONG):
        await outbox.room()


async def test_a_device_that_does_not_listen_is_not_listened_to() -> None:
    """With too many answers waiting, the reader waits until the writer has taken some."""
    outbox = connected(window=8, backlog=8, timeout=LONG)
    for _ in range(64):
        outbox.send_answer(b"1")
    waited = anyio.Event()

    async def wait() -> None:
        await outbox.room()
        waited.set()

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert not waited.is_set()
        assert outbox.take_chunk() == b"1" * 64
        await waited.wait()


async def test_a_suspended_device_keeps_no_sender_waiting() -> None:
    """Those who wait, those whose payload is on its way, and those who come are told at once, until it can go on."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b")
        assert outbox.take_chunk() == b"a"
        outbox.phase = Phase.SUSPENDED
        outbox.give_up()
        await pushes.push("c")
        assert pushes.results == dict.fromkeys("abc", PushResult.SUSPENDED)
        outbox.phase = Phase.UP
        outbox.acknowledge(("a",))  # it was stored after all
        await pushes.push("d")
        assert outbox.take_chunk() == b"d"
        outbox.acknowledge(("d",))
        await anyio.wait_all_tasks_blocked()
        assert pushes.results["d"] is PushResult.ACKNOWLEDGED


async def test_what_was_not_sent_can_be_dropped() -> None:
    """Its senders are told that it was not acknowledged; what was sent may be acknowledged yet, and what comes later is sent."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a", "b")
        assert outbox.take_chunk() == b"a"
        outbox.drop_waiting()
        await pushes.push("c")
        assert pushes.results == {"b": PushResult.TIMED_OUT}
        outbox.acknowledge(("a",))
        assert outbox.take_chunk() == b"c"
        outbox.acknowledge(("c",))
        await anyio.wait_all_tasks_blocked()
        assert pushes.results["a"] is PushResult.ACKNOWLEDGED


async def test_a_suspended_device_keeps_its_window() -> None:
    """What it had got before is still in its hands: no more is sent than it has room for."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("a")
        outbox.take_chunk()
        outbox.phase = Phase.SUSPENDED
        outbox.give_up()
        outbox.phase = Phase.UP
        await pushes.push("b")
        assert outbox.take_chunk() == b""
        outbox.acknowledge(("a",))
        assert outbox.take_chunk() == b"b"


async def test_what_is_stored_goes_before_what_comes_now() -> None:
    """Answers, then what is stored, and while it says so nothing else; each keeps its place in the window."""
    outbox = connected(window=2, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        outbox.phase = Phase.REPLAYING
        await pushes.push("live")
        outbox.offer([("a", b"A"), ("b", b"B"), ("c", b"C")])
        outbox.send_answer(b"1")
        assert outbox.take_chunk() == b"1AB"
        assert outbox.may_acknowledge("a")
        assert outbox.acknowledge(("a", "x")) == ["a", "x"]
        assert not outbox.may_acknowledge("a")
        assert outbox.take_chunk() == b"C"
        assert outbox.acknowledge(("b", "c")) == ["b", "c"]
        outbox.phase = Phase.UP
        outbox.release()
        assert outbox.take_chunk() == b"live"
        assert outbox.acknowledge(("live",)) == []


async def test_a_word_on_payloads_goes_behind_those_that_are_stored() -> None:
    """It takes no place in the window, needs no acknowledgement, and is not lost where they are taken back."""
    outbox = connected(window=2, backlog=8, timeout=LONG)
    async with pushing(outbox) as pushes:
        await pushes.push("live")
        outbox.offer([("a", b"A")])
        outbox.send_behind_stored(b"w")
        outbox.offer([("b", b"B")])
        outbox.send_answer(b"1")
        assert outbox.take_chunk() == b"1AwB"
        assert outbox.acknowledge(("a", "b")) == ["a", "b"]
        outbox.send_behind_stored(b"x")
        assert outbox.take_chunk() == b"xlive"
        outbox.offer([("c", b"C")])
        outbox.send_behind_stored(b"y")
        assert outbox.take_back() == ["c"]
        assert outbox.take_chunk() == b"y"


@pytest.mark.parametrize("stored", [False, True])
async def test_a_device_that_does_not_listen_misses_words_on_payloads(stored: bool) -> None:
    """However many senders say, so many wait."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    if stored:
        outbox.offer([("a", b"A")])
    for _ in range(1_000):
        outbox.send_behind_stored(b"w")
    assert outbox.take_chunk().count(b"w") == 64 * (not stored)
    if stored:
        outbox.acknowledge(("a",))
        assert outbox.take_chunk() == b"w" * 64


async def test_what_is_stored_is_waited_for_until_it_is_sent_or_taken_back() -> None:
    """The next page comes when this one has gone."""
    outbox = connected(window=1, backlog=8, timeout=LONG)
    done = []

    async def offer(*ids: str) -> None:
        outbox.offer([(each, each.encode()) for each in ids])
        await outbox.room_for_stored()
        done.append(ids)

    async with anyio.create_task_group() as group:
        group.start_soon(offer, "a", "b")
        await anyio.wait_all_tasks_blocked()
        assert outbox.take_chunk() == b"a"
        await anyio.wait_all_tasks_blocked()
        assert done == []
        assert outbox.take_back() == ["b"]
    assert done == [("a", "b")]
    outbox.acknowledge(("a",))
    async with anyio.create_task_group() as group:
        group.start_soon(offer, "c")
        await anyio.wait_all_tasks_blocked()
        assert outbox.take_chunk() == b"c"
    assert done == [("a", "b"), ("c",)]
