"""The meter counts what the connection carries, keeps it, and ends what is over its budget, on virtual time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest
import trio.testing
from anyio import wait_all_tasks_blocked
from attrs import Factory, define

from tests.actors.test_host_listening import Told, VirtualWall, listening
from tests.helpers import waiting_messages
from tocsin.actors.connection_mailbox import ConnectionMailbox
from tocsin.actors.host_owner import HostOwner
from tocsin.actors.payload_watch import PayloadWatch
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.actors.turn_line import TurnLine
from tocsin.actors.usage_meter import STORE_EVERY, UsageMeter, UsageToday
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.protocol import messages as m
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages.codec import decode_chunk, encode
from tocsin.protocol.platform.conditions import AppSettings
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.policy import NO_POLICY, AppRules, Policy
from tocsin.protocol.platform.usage import KEPT_DAYS, MAX_REPORT, PLATFORM, DataBudget, NetworkKind, UsageRow
from tocsin.protocol.values import NotificationType

FREE, METERED, UNKNOWN = NetworkKind.FREE, NetworkKind.METERED, NetworkKind.UNKNOWN
DAY = timedelta(days=1)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@define(eq=False)
class CountingWrites(MemoryStore):
    """Notes when usage was stored; fails as often as it is told to."""

    at: list[float] = Factory(list)
    failures: int = 0

    async def keep_usage(self, rows: Sequence[UsageRow], oldest: int) -> None:
        """Keep it, or fail."""
        self.at.append(anyio.current_time())
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("planted", in_doubt=True)
        await super().keep_usage(rows, oldest)

    @property
    def rows(self) -> list[UsageRow]:
        """What is stored."""
        return list(self._usage.values())


@define
class World:
    """A meter beside an owner of the machine's state."""

    store: CountingWrites
    owner: HostOwner
    meter: UsageMeter
    policy: Told
    sensor: Told
    router: Mailbox
    connection: Mailbox
    session: Mailbox
    clock: VirtualWall

    def arrive(self, channel: str, *bodies: bytes) -> int:
        """Let payloads come; return their bytes."""
        frames = [
            encode(m.Payload(f"{n:016X}", channel, NotificationType.RAW, each, None, 3))
            for n, each in enumerate(bodies)
        ]
        ((batch, frame),) = decode_chunk(b"".join(frames))
        self.meter.received(batch, frame)
        return sum(map(len, frames))

    def answer(self, message: m.Message) -> int:
        """Let an answer come; return its bytes."""
        frame = encode(message)
        self.meter.received(message, frame)
        return len(frame)

    async def send(self, *messages: m.Message) -> list[int]:
        """Let these go to the service; return the bytes of each."""
        for message in messages:
            self.connection.send_nowait(message)
        outbox = ConnectionMailbox(self.connection, TurnLine(), self.meter.sent)
        return list(map(len, await outbox.batch()))

    async def report(self, sent: int, received: int = 0, app: str = "mail") -> m.Message:
        """Let an app report what it has sent and received; return the answer."""
        await self.meter.answer(Stamp("s", app), m.ReportUsage(1, sent, received))
        (answer,) = waiting_messages(self.session)
        return answer

    async def settings(self) -> list[m.Message]:
        """Return what the router has heard of apps since the last time."""
        await wait_all_tasks_blocked()
        return [each for each in waiting_messages(self.router) if isinstance(each, m.AppSettingsChanged)]

    def midnight(self) -> float:
        """Return how many seconds the day has left."""
        now = datetime.fromtimestamp(self.clock.wall()).astimezone()
        following = datetime.combine(now.date() + DAY, datetime.min.time()).astimezone()
        return following.timestamp() - now.timestamp()


@asynccontextmanager
async def metering(store: CountingWrites | None = None) -> AsyncIterator[World]:
    """Run a meter with an owner, a sensor and a policy."""
    kept = store or CountingWrites()
    policy, sensor = Told("policy", NO_POLICY), Told("NetworkManager", HostFacts())
    async with listening(sensor, policy=policy) as w:
        clock, watch, sessions, session = VirtualWall(), PayloadWatch(VirtualWall()), Sessions(), Mailbox("s")
        sessions.add("mail", session)
        watch.channels = {"c1": "mail", "c2": "chat"}
        meter = UsageMeter(kept, clock, w.owner, watch, sessions)
        await meter.recall()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.run)
            await wait_all_tasks_blocked()
            yield World(kept, w.owner, meter, policy, sensor, w.router, Mailbox("connection"), session, clock)
            tasks.cancel_scope.cancel()


def brief(rows: list[UsageRow]) -> dict[tuple[str, NetworkKind], tuple[int, int]]:
    """Return bytes by app and network."""
    return {(row.app, row.network): (row.sent, row.received) for row in rows}


async def test_what_goes_over_the_connection_is_on_the_account_of_an_app() -> None:
    """Requests and their answers, payloads and acknowledgements; what is no app's is the platform's."""
    async with metering() as w:
        asked, revoked, power, _ = await w.send(
            m.RequestChannel(1, "mail", "id", ""),
            m.RevokeChannels(2, "chat"),
            m.PowerState(screen_on_or_plugged=True, battery_saver=False, exempt=()),
            m.Acknowledge(("A",)),
        )
        granted = w.answer(m.ChannelGranted(1, "c1", "http://x", 9.0, 1.0))
        refused = w.answer(m.ChannelRefused(2, 0, "no", None))
        unasked = w.answer(m.ChannelsRevoked(0, ("c9",)))
        withdrawn = w.answer(m.WithdrawToasts("c2", "tag", None))
        came = w.arrive("c1", b"one", b"three")
        assert brief((await w.meter.today()).rows) == {
            ("mail", UNKNOWN): (asked + 2 * 18, granted + came),
            ("chat", UNKNOWN): (revoked, refused + withdrawn),
            (PLATFORM, UNKNOWN): (power, unasked),
        }


async def test_the_kind_of_the_network_is_that_of_the_moment() -> None:
    """As a sensor tells it, or an app where none does."""
    async with metering() as w:
        await w.report(1)
        for metered in (True, False):
            w.sensor.tell(HostFacts(metered=metered))
            await wait_all_tasks_blocked()
            await w.report(10)
        w.sensor.tell(HostFacts())
        await wait_all_tasks_blocked()
        await w.owner.change(
            Stamp("s", "mail"), m.ChangeHost(1, (m.FieldChange("free_network_available", value=False),))
        )
        await w.report(100)
        rows = brief((await w.meter.today()).rows)
        assert rows == {("mail", UNKNOWN): (1, 0), ("mail", METERED): (110, 0), ("mail", FREE): (10, 0)}


async def test_it_is_stored_within_a_minute_and_once_a_minute() -> None:
    """However much is counted; where nothing is, nothing wakes up."""
    async with metering() as w:
        await anyio.sleep(10 * STORE_EVERY)
        assert (w.store.at, w.meter._until_next_look()) == ([], float("inf"))
        begin = anyio.current_time()
        for _ in range(100):
            await w.report(1)
            await anyio.sleep(1)
        await anyio.sleep(10 * STORE_EVERY)
        first, second = w.store.at
        assert first - begin == STORE_EVERY
        assert second - first >= STORE_EVERY
        assert brief(w.store.rows) == {("mail", UNKNOWN): (100, 0)}
        assert w.meter._until_next_look() == float("inf")


async def test_what_cannot_be_stored_is_tried_again() -> None:
    """A write that is in doubt may be made twice: a row is replaced as a whole."""
    async with metering(CountingWrites(failures=2)) as w:
        await w.report(7)
        await anyio.sleep(2 * STORE_EVERY + 1)
        assert w.store.rows == []
        await anyio.sleep(STORE_EVERY)
        assert len(w.store.at) == 3
        assert brief(w.store.rows) == {("mail", UNKNOWN): (7, 0)}


async def test_an_app_is_told_what_is_on_its_account_and_on_no_other() -> None:
    """Of the days that it asks for, up to now; what it reports and cannot be is refused."""
    async with metering() as w:
        today = (await w.meter.today()).day
        for app in ("mail", "chat"):
            assert await w.report(3, 4, app) == m.Done(1)
        await w.store.keep_usage([UsageRow(today - 1, "mail", FREE, 10, 20)], 0)
        for first, last, found in [(today, today, (3, 4)), (today - 1, today, (13, 24)), (-(2**70), 2**70, (13, 24))]:
            await w.meter.answer(Stamp("s", "mail"), m.AskUsage(5, first, last))
            assert waiting_messages(w.session) == [m.UsageFound(5, *found)]
        for numbers in ((-1, 0), (0, MAX_REPORT + 1)):
            answer = await w.report(*numbers)
            assert isinstance(answer, m.Failed)
            assert answer.error == "InvalidArgument"
        assert brief((await w.meter.today()).rows)["mail", UNKNOWN] == (3, 4)


async def test_background_work_waits_for_the_next_day_when_the_budget_is_used_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged once, and at midnight all is as before, with the counters of another day."""
    async with metering() as w:
        w.policy.tell(Policy(daily_data=100, apps={"chat": AppRules(daily_data=1_000)}))
        await w.report(99)
        await w.report(500, app="chat")
        assert await w.settings() == []
        with caplog.at_level(logging.WARNING):
            await w.report(0, 1)
            assert await w.settings() == [m.AppSettingsChanged("mail", AppSettings(within_budget=False))]
            await w.report(50)
        assert len(caplog.records) == 1
        assert "mail has used up its data of today" in caplog.text
        today = await w.meter.today()
        assert today == UsageToday(
            today.day,
            today.rows,
            frozenset({"mail"}),
            DataBudget(100),
            {"chat": DataBudget(1_000), PLATFORM: DataBudget()},
        )
        assert w.meter.over_budget == {"mail"}
        await anyio.sleep(w.midnight() - 1)
        assert await w.settings() == []
        await anyio.sleep(2)
        assert await w.settings() == [m.AppSettingsChanged("mail", AppSettings())]
        assert (await w.meter.today()).rows == []
        assert await w.meter.rows(today.day, today.day, "mail") == [UsageRow(today.day, "mail", UNKNOWN, 149, 1)]
        assert w.meter._until_next_look() == float("inf")


async def test_that_a_budget_is_used_up_is_stored_at_once() -> None:
    """A process that is killed a moment later gives none of it back; what else is counted waits for its minute."""
    async with metering() as w:
        day = (await w.meter.today()).day
        w.policy.tell(Policy(daily_data=100))
        await w.report(99)
        await wait_all_tasks_blocked()
        assert await w.store.usage(day, day) == []
        await w.report(5)
        await wait_all_tasks_blocked()
        assert await w.store.usage(day, day) == [UsageRow(day, "mail", UNKNOWN, 104, 0)]


async def test_another_policy_counts_at_once() -> None:
    """Whether it allows more or less; metered networks have a budget of their own."""
    async with metering() as w:
        w.sensor.tell(HostFacts(metered=True))
        await wait_all_tasks_blocked()
        await w.report(100)
        over, within = (m.AppSettingsChanged("mail", AppSettings(within_budget=each)) for each in (False, True))
        for policy, heard in [
            (Policy(daily_metered_data=100), over),
            (Policy(daily_metered_data=101), within),
            (Policy(daily_data=100), over),
            (NO_POLICY, within),
        ]:
            w.policy.tell(policy)
            assert await w.settings() == [heard]


async def test_what_an_earlier_run_has_counted_today_counts() -> None:
    """Else a restart would be a new budget; what is stored is the sum."""
    store = CountingWrites()
    async with metering(store) as w:
        await w.report(60)
        await w.meter.keep()
    async with metering(store) as w:
        w.policy.tell(Policy(daily_data=100))
        await w.report(39)
        assert await w.settings() == []
        await w.report(1)
        assert await w.settings() == [m.AppSettingsChanged("mail", AppSettings(within_budget=False))]
        await w.meter.keep()
        await w.meter.keep()
    assert brief(store.rows) == {("mail", UNKNOWN): (100, 0)}
    assert len(store.at) == 2


async def test_a_clock_that_is_set_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day that comes again goes on where it was, whether that is stored or not."""
    async with metering() as w:
        await w.report(1)
        today, wall = (await w.meter.today()).day, VirtualWall.wall
        for shift, stored in ((86_400.0, False), (0.0, True), (-86_400.0, False), (0.0, False)):
            monkeypatch.setattr(VirtualWall, "wall", lambda self, shift=shift: wall(self) + shift)
            await w.report(10)
            if stored:
                await w.meter.keep()
        await w.meter.keep()
        days = {row.day - today: row.sent for row in w.store.rows}
        assert days == {1: 10, 0: 21, -1: 10}


async def test_days_are_forgotten_in_time() -> None:
    """Those of two months are kept."""
    async with metering() as w:
        for _ in range(KEPT_DAYS + 3):
            await w.report(1)
            await anyio.sleep(86_400)
        await w.report(1)
        await w.meter.keep()
        assert len({row.day for row in w.store.rows}) == KEPT_DAYS


async def test_an_app_that_is_removed_has_no_account() -> None:
    """Neither in the store nor before it is stored; it has its budget back."""
    async with metering() as w:
        w.policy.tell(Policy(daily_data=1))
        await w.report(1)
        await w.meter.keep()
        await w.report(1)
        assert len(await w.settings()) == 1
        await w.send(m.RevokeChannels(1, "mail"))
        await w.meter.forget("mail")
        assert await w.settings() == [m.AppSettingsChanged("mail", AppSettings())]
        await w.meter.keep()
        assert (await w.meter.today()).rows == w.store.rows == []
        late = w.answer(m.ChannelsRevoked(1, ("c1",)))
        assert brief((await w.meter.today()).rows) == {(PLATFORM, UNKNOWN): (0, late)}
