"""Counts what the connection carries on account of each app, keeps it, and says which apps have used up their budget.

Its rules are in ``tocsin.protocol.platform.usage`` and ``tocsin.protocol.delivery.attribution``. Counted are frames, as they are
before TLS; neither greetings and pings nor what surrounds the frames.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, time, timedelta
from typing import Final

import anyio
from attrs import frozen

from tocsin.actors.clock import LoopClock
from tocsin.actors.host_owner import HostOwner
from tocsin.actors.payload_watch import PayloadWatch
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.persistence.store import Store
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.attribution import attribute
from tocsin.protocol.errors import InvalidArgument, PushError, StateUnavailable
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.policy import NO_POLICY, Policy
from tocsin.protocol.platform.usage import (
    KEPT_DAYS,
    MAX_REPORT,
    PLATFORM,
    DataBudget,
    NetworkKind,
    UsageOfDay,
    UsageRow,
    attributed,
    has_budgets,
    oldest_kept,
)

logger = logging.getLogger(__name__)

STORE_EVERY: Final = 60.0
"""Seconds that what was counted waits at most for being stored; a process that is killed loses as much."""

LOOK_AGAIN: Final = 3600.0
"""Seconds after which it is looked whether the day is over, while an app waits for that: the clock may be set, or the machine sleep."""

_ASKED_AT_ONCE: Final = 4096
"""Questions to the service of which it is remembered whose they are."""


@frozen
class UsageToday:
    """What was counted today, and which apps have used up what they may use."""

    day: int
    rows: list[UsageRow]
    over_budget: frozenset[str]
    budget: DataBudget
    """That of an app of which the policy says nothing by its name."""
    budgets: dict[str, DataBudget]
    """Those of the apps of which it does; what Tocsin itself sends and receives has none."""


class UsageMeter:
    """Stands at the edges of the platform; :meth:`run` stores what it counts.

    :param owner: is told of the apps whose background work has to wait for the next day.
    :param watch: says whose each channel is.
    """

    def __init__(
        self, store: Store, clock: LoopClock, owner: HostOwner, watch: PayloadWatch, sessions: Sessions
    ) -> None:
        self._store, self._clock, self._owner = store, clock, owner
        self._watch, self._sessions = watch, sessions
        self._policy, self._has_budgets = NO_POLICY, False
        self._record = owner.record
        self._network = NetworkKind.of(owner.record.metered)
        self._over = frozenset[str]()
        self._asked = OrderedDict[int, str]()
        self._past: list[UsageOfDay] = []
        """Days that are over, and have not been stored to the end."""
        self._begin_day(clock.wall())
        self._due: float | None = None
        """When what was counted is to be stored; None while all of it is."""
        self._stirred = anyio.Event()
        self._storing = anyio.Lock(fast_acquire=True)
        owner.on_policy = self.take_policy

    # What is counted

    def received(self, message: m.Message, frame: bytes) -> None:
        """Count what has come from the service; of payloads also the acknowledgements that they will have."""
        self._look()
        if isinstance(message, m.Arrivals):
            for app, sent, received in attribute(message, len(frame), self._watch.channels):
                self._count(app, sent, received)
        else:
            self._count(self._app_of_answer(message), 0, len(frame))

    def sent(self, frames: list[bytes]) -> None:
        """Count what goes to the service, but for acknowledgements, which count with their payloads."""
        for frame in frames:
            if frame[1] != m.Acknowledge.TAG:  # a look at the tag costs less than to unpack many ids
                self._look()
                self._count(self._app_of_question(decode_own(frame)), len(frame), 0)

    def take_policy(self, policy: Policy) -> None:
        """Judge by another policy from now on."""
        self._policy, self._has_budgets = policy, has_budgets(policy)
        self._judge_all()

    # What is asked

    async def answer(self, stamp: Stamp, message: m.ReportUsage | m.AskUsage) -> None:
        """Count what an app reports, or tell it what has gone on its account."""
        answer: m.Message = m.Done(message.request)
        try:
            if isinstance(message, m.ReportUsage):
                self._report(stamp.app, message)
            else:
                first, last = (min(max(day, 0), 2**31) for day in (message.first, message.last))
                found = attributed(stamp.app, await self.rows(first, last, stamp.app))
                answer = m.UsageFound(message.request, found.bytes_sent, found.bytes_received)
        except PushError as refused:
            answer = m.Failed(message.request, type(refused).__name__, str(refused), refused.hresult)
        self._sessions.send(stamp.session, answer)

    async def rows(self, first: int, last: int, app: str | None = None) -> list[UsageRow]:
        """Return what was counted from one day to another, both included, up to now; of one app where it is given.

        :raises StateUnavailable: the store cannot be read.
        """
        self._look()
        for day in self._days():
            await self._complete(day)
        stored = await self._store.usage(first, last, app)
        counted = {day.day: day for day in self._days()}
        rows = [row for row in stored if row.day not in counted]
        for day in counted.values():
            rows += [row for row in day.rows() if first <= day.day <= last and app in {None, row.app}]
        return rows

    async def today(self) -> UsageToday:
        """Return how it stands today.

        :raises StateUnavailable: the store cannot be read.
        """
        day = self._look()
        rows = await self.rows(day.day, day.day)
        budgets = {app: DataBudget.of(self._policy, app) for app in self._policy.apps} | {PLATFORM: DataBudget()}
        return UsageToday(day.day, rows, self._over, DataBudget.of(self._policy, PLATFORM), budgets)

    @property
    def over_budget(self) -> frozenset[str]:
        """The apps whose background work waits for the next day."""
        return self._over

    async def forget(self, app: str) -> None:
        """Forget an app.

        :raises StateUnavailable: the store cannot be written.
        """
        async with self._storing:
            for request in [number for number, asker in self._asked.items() if asker == app]:
                del self._asked[request]  # an answer that is still to come counts as the platform's
            for day in self._days():
                day.forget(app)
            self._judge_all()
            await self._store.drop_usage(app)

    # What is kept

    async def recall(self) -> None:
        """Read what an earlier run has counted today; before :meth:`run`.

        :raises StateUnavailable: the store cannot be read.
        """
        await self._complete(self._today)

    async def run(self) -> None:
        """Store what is counted, and see when the day is over, until cancelled."""
        while True:
            with anyio.move_on_after(self._until_next_look()):
                await self._stirred.wait()
            self._stirred = anyio.Event()
            self._look()
            if self._due is not None and self._clock.monotonic() >= self._due:
                with suppress(StateUnavailable):  # the platform says so, and it is tried again
                    await self.keep()

    async def keep(self) -> None:
        """Store what was counted since the last time.

        :raises StateUnavailable: it cannot be stored; it is tried again, while :meth:`run` runs.
        """
        async with self._storing:
            self._due = None
            days = self._days()
            for day in days:
                await self._complete(day)
                new = day.take_new()
                try:
                    if new:
                        await self._store.keep_usage(new, oldest_kept(self._today.day))
                except BaseException:
                    day.give_back(new)
                    self._plan()
                    raise
            self._past = [day for day in self._past if day not in days]

    async def _complete(self, day: UsageOfDay) -> None:
        """Add what an earlier run has counted of a day."""
        if not day.is_whole:
            day.complete(await self._store.usage(day.day, day.day))
            self._judge_all()

    def _days(self) -> list[UsageOfDay]:
        return [*self._past, self._today]

    def _count(self, app: str, sent: int, received: int) -> None:
        self._today.add(app, self._network, sent, received)
        if self._has_budgets and app not in self._over and self._today.is_over(app, DataBudget.of(self._policy, app)):
            self._judge_all()
        if self._due is None:
            self._plan()

    def _plan(self) -> None:
        self._due = self._clock.monotonic() + STORE_EVERY
        self._stirred.set()

    def _look(self) -> UsageOfDay:
        """See which day it is, and which network is in use."""
        wall = self._clock.wall()
        if not self._begins <= wall < self._ends:
            self._past = [*self._past, self._today][-KEPT_DAYS:]
            self._begin_day(wall)
            self._judge_all()
        if self._owner.record is not self._record:
            self._record = self._owner.record
            self._network = NetworkKind.of(self._record.metered)
        return self._today

    def _begin_day(self, wall: float) -> None:
        local = datetime.fromtimestamp(wall).astimezone().date()
        self._begins, self._ends = (
            datetime.combine(day, time()).astimezone().timestamp() for day in (local, local + timedelta(days=1))
        )
        again = [day for day in self._past if day.day == local.toordinal()]  # the clock was set back
        self._past = [day for day in self._past if day not in again]
        self._today = again[0] if again else UsageOfDay(local.toordinal())

    def _judge_all(self) -> None:
        """Have the background work wait of those that have used up their budget, and of no others."""
        over = self._today.over_budget(self._policy)
        for app in sorted(over - self._over):
            logger.warning(
                "%s has used up its data of today: its background work waits for the next day, or for another policy",
                app,
            )
        if over != self._over:
            if over - self._over:
                self._due = self._clock.monotonic()  # at once: a process that is killed must not give a budget back
            self._over = over
            self._owner.set_over_budget(over)
            self._stirred.set()

    def _until_next_look(self) -> float:
        """Return for how many seconds there is nothing to do, if nothing is counted."""
        moments = [] if self._due is None else [self._due - self._clock.monotonic()]
        if self._over:
            moments.append(min(self._ends - self._clock.wall(), LOOK_AGAIN))
        return max(0.0, min(moments, default=math.inf))

    def _report(self, app: str, report: m.ReportUsage) -> None:
        for number in (report.sent, report.received):
            if not 0 <= number <= MAX_REPORT:
                raise InvalidArgument(f"an app reports from 0 to {MAX_REPORT} bytes at a time, not {number}")
        self._look()
        self._count(app, report.sent, report.received)

    def _app_of_question(self, message: m.Message) -> str:
        """Return on whose account something is sent, and remember that for the answer."""
        if not isinstance(message, m.RequestChannel | m.RevokeChannels):
            return PLATFORM
        self._asked[message.request] = message.app
        if len(self._asked) > _ASKED_AT_ONCE:
            self._asked.popitem(last=False)
        return message.app

    def _app_of_answer(self, message: m.Message) -> str:
        if isinstance(message, m.ChannelGranted | m.ChannelRefused | m.ChannelsRevoked):
            return self._asked.pop(message.request, PLATFORM)
        if isinstance(message, m.WithdrawToasts):
            return self._watch.channels.get(message.channel, PLATFORM)
        return PLATFORM
