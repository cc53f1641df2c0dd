"""The retry scheduler: says whether a failed channel request goes on, and tells when it is time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define

from tocsin.actors.actor import Actor, Wait, receives
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock
from tocsin.mailbox import Mailbox
from tocsin.protocol.kernel.machine import step
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
from tocsin.protocol.platform import retry_schedule as retry
from tocsin.protocol.platform.retry_schedule import Effect, Event, Phase, RetryPolicy


@define
class _Schedule:
    """The wait of one request; a request that does not wait has none."""

    key: int
    phase: Phase = Phase.IDLE
    failures: int = 0
    wait: float = 0.0
    due: float = 0.0


class RetryScheduler(Actor):
    """Keeps the waits of all channel requests behind one alarm."""

    name = "retry_scheduler"

    def __init__(self, policy: RetryPolicy, clock: LoopClock, alarm: Alarm, requester: Mailbox) -> None:
        super().__init__()
        self._policy = policy
        self._clock = clock
        self._alarm = alarm
        self._requester = requester
        self._waiting: dict[int, _Schedule] = {}
        self._answers: list[Message] = []
        self._perform: dict[Effect, Callable[[_Schedule], None]] = {
            Effect.SET_ALARM: self._set_alarm,
            Effect.TELL_PLAN: self._tell_plan,
            Effect.TELL_DENIAL: self._tell_denial,
            Effect.TELL_DUE: self._tell_due,
            Effect.CLEAR_ALARM: self._clear_alarm,
        }

    @receives(PlanRetry)
    def plan(self, message: PlanRetry, _: bytes) -> None:
        """A request has failed: plan its next attempt, or deny it."""
        wait = self._policy.wait(message.failures, message.retry_after, self._clock.fraction())
        schedule = _Schedule(message.key, failures=message.failures)
        if wait is not None:
            schedule.wait = wait
            schedule.due = self._clock.monotonic() + wait
        self._step(schedule, retry.classify(message.hresult, wait))

    @receives(ResumeRetry)
    def resume(self, message: ResumeRetry, _: bytes) -> None:
        """A wait from before a restart goes on."""
        schedule = _Schedule(message.key, due=self._clock.monotonic() + message.delay)
        self._step(schedule, Event.RESUMED)

    @receives(ForgetRetry)
    def forget(self, message: ForgetRetry, _: bytes) -> None:
        """The requester waits for that attempt no more."""
        schedule = self._waiting.get(message.key)
        if schedule is not None:
            self._step(schedule, Event.FORGOTTEN)

    @receives(AlarmRang)
    def ring(self, _message: AlarmRang, _: bytes) -> None:
        """Tell the requester which waits are over."""
        now = self._clock.monotonic()
        for schedule in [waiting for waiting in self._waiting.values() if waiting.due <= now]:
            self._step(schedule, Event.DUE)

    def flush(self) -> Iterable[Wait]:
        """Answer, and set the alarm for the earliest wait."""
        for answer in self._answers:
            self._requester.send_urgent(answer)
        self._answers.clear()
        self._alarm.set(min((schedule.due for schedule in self._waiting.values()), default=None))
        return ()

    def _step(self, schedule: _Schedule, event: Event) -> None:
        schedule.phase, effects = step(retry.TABLE, schedule.phase, event)
        for effect in effects:
            self._perform[effect](schedule)

    def _set_alarm(self, schedule: _Schedule) -> None:
        self._waiting[schedule.key] = schedule

    def _clear_alarm(self, schedule: _Schedule) -> None:
        del self._waiting[schedule.key]

    def _tell_plan(self, schedule: _Schedule) -> None:
        self._answers.append(RetryPlanned(schedule.key, schedule.failures, schedule.wait))

    def _tell_denial(self, schedule: _Schedule) -> None:
        self._answers.append(RetryDenied(schedule.key))

    def _tell_due(self, schedule: _Schedule) -> None:
        del self._waiting[schedule.key]  # its alarm has rung
        self._answers.append(RetryDue(schedule.key))
