"""What the connection reads in place of its mailbox."""

from __future__ import annotations

from contextlib import suppress

import pytest
from anyio import EndOfStream, create_task_group, wait_all_tasks_blocked

from tocsin.actors.connection_mailbox import ConnectionMailbox
from tocsin.actors.turn_line import AT_ONCE, TurnLine
from tocsin.mailbox import BATCH, Mailbox


class Way:
    """What a connection sends to, as long as it is open, and a task that reads the rest."""

    def __init__(self) -> None:
        self.mailbox, self.line = Mailbox("connection"), TurnLine()
        self.counted = list[bytes]()
        self.mailbox_in_line = ConnectionMailbox(self.mailbox, self.line, self.counted.extend)
        self.mailbox_in_line.send_now = self.send
        self.is_open = True
        self.sent, self.read = list[list[bytes]](), list[list[bytes]]()

    def send(self) -> None:
        """Send what waits."""
        if self.is_open:
            self.sent.append(self.mailbox_in_line.take())

    async def write(self) -> None:
        """Read the rest, to the end."""
        with suppress(EndOfStream):
            while True:
                self.read.append(await self.mailbox_in_line.batch())

    def put(self, *frames: bytes) -> None:
        """Put frames in one turn."""

        def put() -> None:
            for frame in frames:
                self.mailbox.send_frame_nowait(frame)

        self.line.lead(put)


async def test_what_one_turn_puts_is_sent_behind_it_in_one_go() -> None:
    """No task has a turn for it; what cannot be sent, and what is put from outside, is left to the task that writes."""
    way = Way()
    async with create_task_group() as tasks:
        tasks.start_soon(way.write)
        await wait_all_tasks_blocked()
        way.put(b"1", b"2")
        assert (way.sent, way.mailbox_in_line.depth) == ([[b"1", b"2"]], 0)
        way.is_open = False
        way.put(b"3")
        assert (len(way.sent), way.mailbox_in_line.depth) == (1, 1)
        await wait_all_tasks_blocked()
        way.is_open = True
        way.mailbox.send_frame_nowait(b"4")
        await wait_all_tasks_blocked()
        way.mailbox.close()
    assert (way.sent, way.read) == ([[b"1", b"2"]], [[b"3"], [b"4"]])
    assert way.counted == [b"1", b"2", b"3", b"4"]


async def test_where_too_many_have_their_turn_before_it_the_task_writes() -> None:
    """So the event loop has a turn of its own."""

    class Ahead:
        def take_turn(self) -> None:
            pass

        def fail(self, failure: Exception) -> None:
            raise failure

        wake = take_turn

    way = Way()

    def fill() -> None:
        for _ in range(AT_ONCE):
            way.line.join(Ahead())
        way.mailbox.send_frame_nowait(b"1")

    async with create_task_group() as tasks:
        tasks.start_soon(way.write)
        await wait_all_tasks_blocked()
        way.line.lead(fill)
        await wait_all_tasks_blocked()
        way.mailbox.close()
    assert (way.sent, way.read) == ([], [[b"1"]])


async def test_what_is_more_than_a_batch_is_left_to_the_task() -> None:
    """It is woken for it, though nothing more is put."""
    way = Way()
    async with create_task_group() as tasks:
        tasks.start_soon(way.write)
        await wait_all_tasks_blocked()
        way.put(*[b"1"] * (BATCH + 2))
        await wait_all_tasks_blocked()
        assert ([len(frames) for frames in way.sent], way.read) == ([BATCH], [[b"1", b"1"]])
        way.mailbox.close()


async def test_what_fails_in_counting_or_sending_is_raised_in_the_task_that_writes() -> None:
    """The turn that has put it hears of nothing, whether the task waits then or not; once told, it is over."""
    way = Way()

    def fail() -> None:
        raise OSError("planted")

    way.mailbox_in_line.send_now = fail
    way.put(b"1")
    with pytest.raises(OSError, match="planted"):
        await way.write()
    async with create_task_group() as tasks:
        tasks.start_soon(way.write)
        await wait_all_tasks_blocked()
        assert way.read == [[b"1"]]
        way.mailbox.close()


async def test_a_failure_dies_with_the_connection() -> None:
    """The next has nothing to do with it."""
    way = Way()
    way.mailbox_in_line.fail(OSError("planted"))
    way.mailbox_in_line.purge()
    way.mailbox.close()
    await way.write()
    assert way.read == []
