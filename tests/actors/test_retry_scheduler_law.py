"""The retry scheduler obeys its table: messages in, and the answers and the alarm that come of them."""

from __future__ import annotations

import math

import pytest

from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.actors.actor import perform
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.mailbox import Mailbox
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.messages import (
    AlarmRang,
    ForgetRetry,
    Message,
    PlanRetry,
    ResumeRetry,
    RetryDenied,
    RetryDue,
    RetryPlanned,
)
from tocsin.protocol.platform.retry_schedule import TABLE, Effect, RetryPolicy

Seen = list[tuple[list[Message], float | None]]


class StandingClock(LoopClock):
    """A clock that stands until the test moves it."""

    now = 0.0

    def monotonic(self) -> float:
        """Return the test's time."""
        return self.now


async def story() -> Seen:
    """Let waits be planned, denied, resumed, forgotten and come due; return each answer and the alarm after it."""
    clock = StandingClock(seed=1)
    seen: Seen = []
    with Mailbox("retry_scheduler") as mailbox, Mailbox("channel_requester") as requester:
        alarm = Alarm(mailbox)
        scheduler = RetryScheduler(RetryPolicy(jitter=0), clock, alarm, requester)

        async def happens(now: float, message: Message) -> None:
            clock.now = now
            try:
                scheduler.receive(message, b"")
            except IllegalEvent:
                seen.append(([], None))  # an actor would begin anew, and know nothing
                return
            await perform(scheduler.flush())
            seen.append((waiting_messages(requester), None if alarm._at == math.inf else alarm._at))

        await happens(0, PlanRetry(1, 1, HResult.ERROR_TIMEOUT, None))
        await happens(0, PlanRetry(2, 6, HResult.ERROR_TIMEOUT, None))
        await happens(0, ResumeRetry(3, 10))
        await happens(0, ForgetRetry(1))
        await happens(10, AlarmRang())
        await happens(60, AlarmRang())
    return seen


async def test_each_wait_is_as_it_should_be() -> None:
    """A plan and a denial are told, a wait that goes on rings, and one that was forgotten does not."""
    assert await story() == [
        ([RetryPlanned(1, 1, 60)], 60),
        ([RetryDenied(2)], 60),
        ([], 10),
        ([], 10),
        ([RetryDue(3)], None),
        ([], None),
    ]


@pytest.mark.parametrize("effect", Effect)
async def test_the_scheduler_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another scheduler, and the requester or the alarm shows it."""
    right = await story()
    erase(monkeypatch, TABLE, effect)
    assert await story() != right
