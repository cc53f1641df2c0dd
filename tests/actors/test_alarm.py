"""One alarm, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import trio.testing

from tests.helpers import next_messages
from tocsin.actors.alarm import Alarm
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import AlarmRang


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Return the mailbox that the alarm rings in."""
    with Mailbox("test") as mailbox:
        yield mailbox


async def test_it_rings_at_its_moment(mailbox: Mailbox) -> None:
    """The message comes when the moment has come, and only once."""
    alarm = Alarm(mailbox)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarm.run)
        alarm.set(start + 5)
        assert await next_messages(mailbox) == [AlarmRang()]
        assert anyio.current_time() == pytest.approx(start + 5)
        with anyio.move_on_after(100):
            await mailbox.batch()
        assert mailbox.statistics().handled == 1
        tasks.cancel_scope.cancel()


async def test_an_earlier_moment_wins(mailbox: Mailbox) -> None:
    """Setting it earlier makes it ring earlier."""
    alarm = Alarm(mailbox)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarm.run)
        alarm.set(start + 9)
        await anyio.lowlevel.checkpoint()
        alarm.set(start + 2)
        await next_messages(mailbox)
        assert anyio.current_time() == pytest.approx(start + 2)
        tasks.cancel_scope.cancel()


async def test_a_later_moment_replaces_an_earlier_one(mailbox: Mailbox) -> None:
    """Setting it later makes it ring later only."""
    alarm = Alarm(mailbox)
    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarm.run)
        alarm.set(start + 2)
        await anyio.lowlevel.checkpoint()
        alarm.set(start + 9)
        await next_messages(mailbox)
        assert anyio.current_time() == pytest.approx(start + 9)
        tasks.cancel_scope.cancel()


async def test_none_switches_it_off(mailbox: Mailbox) -> None:
    """An alarm that was cleared does not ring."""
    alarm = Alarm(mailbox)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alarm.run)
        alarm.set(anyio.current_time() + 2)
        await anyio.lowlevel.checkpoint()
        alarm.set(None)
        with anyio.move_on_after(100):
            await mailbox.batch()
        assert mailbox.statistics().handled == 0
        tasks.cancel_scope.cancel()
