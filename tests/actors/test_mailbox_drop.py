"""A mailbox whose frames are dropped: what is owed to its reader stays."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from tocsin.mailbox import BATCH, Mailbox
from tocsin.protocol.messages import Done, Suspended
from tocsin.protocol.messages.codec import encode


@pytest.fixture
def anyio_backend() -> str:
    """Run on trio: a mailbox does not care which event loop it lives in."""
    return "trio"


async def test_replies_and_states_stay() -> None:
    """Frames that wait for their turn are thrown away, and counted as dead."""
    with Mailbox("test", capacity=3) as mailbox:
        mailbox.send_frame_nowait(b"1")
        mailbox.send_frame_urgent(b"r1")
        mailbox.send_state(Suspended(suspended=True))
        mailbox.send_frame_nowait(b"2")
        mailbox.send_frame_urgent(b"r2")
        mailbox.drop_frames()
        assert (mailbox.depth, mailbox.dead) == (3, 2)
        mailbox.send_frame_urgent(b"r3")
        mailbox.send_state(Done(1))
        mailbox.send_frame_nowait(b"3")
        states = [encode(Suspended(suspended=True)), encode(Done(1))]
        assert await mailbox.batch() == [b"r1", b"r2", b"r3", *states, b"3"]


async def test_writers_that_wait_for_room_are_let_in() -> None:
    """Their frames go the way of the others, however many they are, and none of them waits any longer."""
    many = 2 * BATCH
    with Mailbox("test", capacity=1) as mailbox:
        mailbox.send_frame_nowait(b"0")
        mailbox.send_frame_urgent(b"r")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(many):
                    tasks.start_soon(mailbox.send_frame, b"late")
                await wait_all_tasks_blocked()
                mailbox.drop_frames()
        assert (mailbox.depth, mailbox.dead) == (1, many + 1)
        assert await mailbox.batch() == [b"r"]


async def test_an_empty_mailbox_stays_as_it_is() -> None:
    """There is nothing to drop, and it takes what comes next."""
    with Mailbox("test", capacity=1) as mailbox:
        mailbox.drop_frames()
        mailbox.send_frame_nowait(b"1")
        assert (await mailbox.batch(), mailbox.dead) == ([b"1"], 0)
