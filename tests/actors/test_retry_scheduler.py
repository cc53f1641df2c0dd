"""The retry scheduler, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing

from tests.helpers import next_messages
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.clock import LoopClock
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.mailbox import Mailbox
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ForgetRetry, Message, PlanRetry, RetryDenied, RetryDue, RetryPlanned
from tocsin.protocol.platform.retry_schedule import RetryPolicy


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


VIRTUAL = 10_000.0
"""Seconds of virtual patience: longer than any wait of the schedule."""


class Harness:
    """A scheduler, and the mailbox of the requester that it answers."""

    def __init__(self) -> None:
        self.scheduler = Mailbox("retry_scheduler")
        self.requester = Mailbox("channel_requester")
        kernel = Kernel(LoopClock(seed=1))
        policy = RetryPolicy(jitter=0)
        self.runner = ActorRunner(
            self.scheduler,
            lambda alarm: RetryScheduler(policy, kernel.clock, alarm, self.requester),
            kernel,
            lambda _: None,
        )

    async def ask(self, message: Message) -> list[Message]:
        """Tell the scheduler something, and wait for what it answers next."""
        self.scheduler.send_nowait(message)
        return await next_messages(self.requester, VIRTUAL)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the scheduler while the block runs."""
        with self.scheduler, self.requester:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.runner.run)
                yield
                tasks.cancel_scope.cancel()


async def test_a_retryable_failure_is_planned_and_comes_due() -> None:
    """The first failure waits 60 seconds, and the requester hears of the plan before it waits."""
    harness = Harness()
    async with harness.running():
        start = anyio.current_time()
        assert await harness.ask(PlanRetry(7, 1, HResult.ERROR_TIMEOUT, None)) == [RetryPlanned(7, 1, 60.0)]
        assert await next_messages(harness.requester, VIRTUAL) == [RetryDue(7)]
        assert anyio.current_time() == pytest.approx(start + 60)


async def test_a_critical_failure_is_denied() -> None:
    """A failure that time does not mend gets no other attempt."""
    harness = Harness()
    async with harness.running():
        assert await harness.ask(PlanRetry(7, 1, HResult.WPN_E_INVALID_APP, None)) == [RetryDenied(7)]


async def test_the_sixth_failure_is_denied() -> None:
    """Five retries are all that there are."""
    harness = Harness()
    async with harness.running():
        assert await harness.ask(PlanRetry(7, 5, HResult.ERROR_TIMEOUT, None)) == [RetryPlanned(7, 5, 300.0)]
        assert await harness.ask(PlanRetry(8, 6, HResult.ERROR_TIMEOUT, None)) == [RetryDenied(8)]


async def test_many_waits_share_one_alarm_and_come_due_in_their_order() -> None:
    """The shortest wait is over first, whichever was asked for first."""
    harness = Harness()
    async with harness.running():
        start = anyio.current_time()
        await harness.ask(PlanRetry(1, 3, HResult.ERROR_TIMEOUT, None))
        await harness.ask(PlanRetry(2, 1, HResult.ERROR_TIMEOUT, None))
        assert await next_messages(harness.requester, VIRTUAL) == [RetryDue(2)]
        assert anyio.current_time() == pytest.approx(start + 60)
        assert await next_messages(harness.requester, VIRTUAL) == [RetryDue(1)]
        assert anyio.current_time() == pytest.approx(start + 180)


async def test_a_forgotten_wait_does_not_come_due() -> None:
    """The requester is not told of a forgotten wait, and forgetting an unknown one is no error."""
    harness = Harness()
    async with harness.running():
        await harness.ask(PlanRetry(1, 1, HResult.ERROR_TIMEOUT, None))
        harness.scheduler.send_nowait(ForgetRetry(1))
        harness.scheduler.send_nowait(ForgetRetry(99))
        with anyio.move_on_after(1000):
            await next_messages(harness.requester, VIRTUAL)
        assert harness.requester.statistics().depth == 0
        assert harness.runner.restarts == 0
