"""What a mailbox promises its writers and its reader."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest
from anyio import EndOfStream, wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from tocsin.mailbox import BATCH, Mailbox
from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages import Done, Suspended
from tocsin.protocol.messages.codec import encode


@pytest.fixture
def anyio_backend() -> str:
    """Run on trio: a mailbox does not care which event loop it lives in."""
    return "trio"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Return a mailbox with room for three frames."""
    with Mailbox("test", capacity=3) as mailbox:
        yield mailbox


async def test_frames_come_out_in_order_and_in_one_batch(mailbox: Mailbox) -> None:
    """What waits is taken at once, in the order in which it was put."""
    for frame in (b"1", b"2", b"3"):
        mailbox.send_frame_nowait(frame)
    assert await mailbox.batch() == [b"1", b"2", b"3"]


async def test_a_full_mailbox_is_busy(mailbox: Mailbox) -> None:
    """A frame that finds no room is refused, and the sentence names the mailbox."""
    for frame in (b"1", b"2", b"3"):
        mailbox.send_frame_nowait(frame)
    with pytest.raises(Busy, match="mailbox test is full"):
        mailbox.send_frame_nowait(b"4")
    assert await mailbox.batch() == [b"1", b"2", b"3"]


async def test_put_waits_for_room(mailbox: Mailbox) -> None:
    """A writer that may wait goes on as soon as the reader has made room."""
    taken: list[bytes] = []
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(mailbox.send_frame, bytes([48 + number]))
        await wait_all_tasks_blocked()
        assert mailbox.statistics().depth == 3
        while len(taken) < 5:
            taken += await mailbox.batch()
    assert sorted(taken) == [b"0", b"1", b"2", b"3", b"4"]


async def test_replies_find_room_in_a_full_mailbox_and_come_first(mailbox: Mailbox) -> None:
    """A reply never waits, and is taken before what was put earlier."""
    for frame in (b"1", b"2", b"3"):
        mailbox.send_frame_nowait(frame)
    mailbox.send_frame_urgent(b"r1")
    mailbox.send_frame_urgent(b"r2")
    assert await mailbox.batch() == [b"r1", b"r2", b"1", b"2", b"3"]


async def test_a_state_takes_the_place_of_the_one_before(mailbox: Mailbox) -> None:
    """However often it changes, one message a class waits: how it stands, behind the replies and before what was put."""
    mailbox.send_frame_nowait(b"1")
    for number in range(1_000):
        mailbox.send_state(Suspended(suspended=bool(number % 2)))
        mailbox.send_state(Done(number))
    mailbox.send_frame_urgent(b"r1")
    assert mailbox.statistics().depth == 4
    assert await mailbox.batch() == [b"r1", encode(Suspended(suspended=True)), encode(Done(999)), b"1"]


async def test_a_state_wakes_a_reader_and_dies_where_there_is_none(mailbox: Mailbox) -> None:
    """As a reply does."""
    taken: list[bytes] = []

    async def read() -> None:
        taken.extend(await mailbox.batch())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await wait_all_tasks_blocked()
        mailbox.send_state(Done(1))
    assert taken == [encode(Done(1))]
    mailbox.send_state(Done(2))
    assert mailbox.purge() == 1
    mailbox.close()
    mailbox.send_state(Done(3))
    assert (mailbox.dead, mailbox.statistics().depth) == (2, 0)


async def test_a_reply_wakes_a_reader(mailbox: Mailbox) -> None:
    """A reader that waits gets a reply at once."""
    taken: list[bytes] = []

    async def read() -> None:
        taken.extend(await mailbox.batch())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await wait_all_tasks_blocked()
        mailbox.send_urgent(Done(1))
    assert taken == [encode(Done(1))]


async def test_a_batch_is_bounded() -> None:
    """One batch takes no more than its share, so that others get their turn."""
    with Mailbox("big", capacity=2 * BATCH) as mailbox:
        for _ in range(BATCH + 1):
            mailbox.send_frame_nowait(b"x")
        assert len(await mailbox.batch()) == BATCH
        assert await mailbox.batch() == [b"x"]


async def test_a_closed_mailbox_is_read_to_its_end(mailbox: Mailbox) -> None:
    """Closing keeps what is there for the reader, and tells the writers."""
    mailbox.send_frame_nowait(b"1")
    mailbox.send_frame_urgent(b"r")
    mailbox.close()
    with pytest.raises(PlatformUnavailable, match="mailbox test is closed"):
        mailbox.send_frame_nowait(b"2")
    with pytest.raises(PlatformUnavailable, match="mailbox test is closed"):
        await mailbox.send_frame(b"2")
    assert await mailbox.batch() == [b"r", b"1"]
    with pytest.raises(EndOfStream):
        await mailbox.batch()


async def test_a_reply_after_the_end_is_counted(mailbox: Mailbox) -> None:
    """Nothing vanishes silently: a reply to a closed mailbox is a dead frame."""
    mailbox.close()
    mailbox.send_frame_urgent(b"late")
    assert mailbox.statistics().dead == 1


async def test_purge_counts_what_it_throws_away(mailbox: Mailbox) -> None:
    """What a purge throws away is counted as dead, replies included."""
    mailbox.send_frame_nowait(b"1")
    mailbox.send_frame_urgent(b"r")
    assert mailbox.purge() == 2
    assert mailbox.statistics().dead == 2
    mailbox.send_frame_nowait(b"2")
    assert await mailbox.batch() == [b"2"]


async def test_an_abandoned_mailbox_counts_what_nobody_will_read(mailbox: Mailbox) -> None:
    """Abandoning closes it for writers, and what waited is counted as dead."""
    mailbox.send_frame_nowait(b"1")
    mailbox.abandon()
    with pytest.raises(PlatformUnavailable):
        mailbox.send_frame_nowait(b"2")
    assert mailbox.statistics().dead == 1


async def test_statistics_tell_depth_high_water_and_handled(mailbox: Mailbox) -> None:
    """The counters say what waits, how deep it ever was, and how much was taken."""
    mailbox.send_frame_nowait(b"1")
    mailbox.send_frame_nowait(b"2")
    assert mailbox.statistics().depth == 2
    await mailbox.batch()
    mailbox.send_frame_nowait(b"3")
    await mailbox.batch()
    statistics = mailbox.statistics()
    assert (statistics.depth, statistics.high_water, statistics.handled, statistics.dead) == (0, 2, 3, 0)
    assert (statistics.name, statistics.capacity) == ("test", 3)


async def test_a_reader_yields_once_a_batch(mailbox: Mailbox) -> None:
    """A reader that always finds something still lets other tasks run."""
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            turns += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(neighbour)
        for _ in range(50):
            mailbox.send_frame_nowait(b"x")
            await mailbox.batch()
        tasks.cancel_scope.cancel()
    assert turns >= 40
