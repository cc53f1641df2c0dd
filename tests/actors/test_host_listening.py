"""The owner of the machine's state hears sensors and the policy, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import cast

import anyio
import pytest
import trio.testing
from anyio import wait_all_tasks_blocked
from attrs import define, field

from tests.helpers import waiting_messages
from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.host_owner import ASK_AGAIN, FIRST_LOOK, HostOwner
from tocsin.actors.host_reports import HostReports
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.host.promises import HostParts
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Store
from tocsin.protocol.messages import (
    AppSettingsChanged,
    ChangeAppSettings,
    ChangeHost,
    ConnectionUp,
    Done,
    Failed,
    FieldChange,
    HostChanged,
    Message,
    PowerState,
)
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.policy import NO_POLICY, AppRules, Policy, QuietHours


@define
class Told:
    """A sensor, or a source of policies, that tells what a test says."""

    name: str
    first: HostFacts | Policy | None
    is_polled: bool = False
    failure: Exception | None = None
    asked: int = 0
    standing: str = ""
    faults: tuple[str, ...] = ()
    tell: Callable[[HostFacts | Policy], None] = field(init=False)

    async def run(self, tell: Callable[..., None]) -> None:
        """Tell what it begins with, and let the test tell more."""
        self.tell = tell
        if self.failure is not None:
            raise self.failure
        if self.first is not None:
            tell(self.first)
        await anyio.sleep_forever()

    def ask(self) -> None:
        """Count that it was asked."""
        self.asked += 1


class VirtualWall(LoopClock):
    """A clock whose wall goes with the event loop."""

    def wall(self) -> float:
        """Return a time of some day."""
        return 1.8e9 + anyio.current_time()


@define
class World:
    """An owner that listens, and what is heard of it."""

    owner: HostOwner
    router: Mailbox
    connection: Mailbox
    session: Mailbox

    async def said(self) -> list[Message]:
        """Return what the router has heard since the last time."""
        await wait_all_tasks_blocked()
        return waiting_messages(self.router)


@asynccontextmanager
async def listening(
    *sensors: Told, policy: Told | None = None, store: MemoryStore | None = None
) -> AsyncIterator[World]:
    """Run an owner with these parts, once it has had its first look."""
    router, connection, session = Mailbox("payload_router"), Mailbox("connection"), Mailbox("s")
    link, sessions = ConnectionRecord(LoopClock()), Sessions()
    link.note(ConnectionUp(1, 0.0))
    sessions.add("a", session)
    owner = HostOwner(
        lambda _: [router],
        sessions,
        HostReports(connection, link),
        cast(Store, store or MemoryStore()),
        VirtualWall(),
        HostParts(sensors, policy),
    )
    await owner.recall()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(owner.run)
        await owner.looked()
        yield World(owner, router, connection, session)
        tasks.cancel_scope.cancel()


@pytest.fixture
def anyio_backend() -> object:
    """Time is virtual."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_what_a_sensor_tells_is_told_on() -> None:
    """To the router and to all sessions, with the power state to the service; what it repeats is not."""
    upower = Told("UPower", HostFacts(on_battery=True))
    async with listening(upower, Told("logind", HostFacts(user_present=False))) as w:
        state = HostState(user_present=False, screen_on_or_plugged=False)
        assert await w.said() == [HostChanged(state)]
        assert waiting_messages(w.session) == [HostChanged(state)]
        power = PowerState(screen_on_or_plugged=False, battery_saver=False, exempt=())
        assert waiting_messages(w.connection) == [power]
        upower.tell(HostFacts(on_battery=True))
        assert await w.said() == []
        upower.tell(HostFacts(on_battery=False))
        assert await w.said() == [HostChanged(HostState(user_present=False))]


async def test_the_first_sensor_that_knows_counts() -> None:
    """And the next one where that knows nothing any more; where none knows, all is well."""
    one, other = Told("one", HostFacts(internet=False)), Told("other", HostFacts(internet=True, metered=True))
    async with listening(one, other) as w:
        assert await w.said() == [HostChanged(HostState(internet_available=False, free_network_available=False))]
        one.tell(HostFacts())
        assert await w.said() == [HostChanged(HostState(free_network_available=False))]
        other.tell(HostFacts())
        assert await w.said() == [HostChanged(HostState())]


async def test_what_is_told_while_the_platform_stops_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """No actor takes it any more; what sensors tell next changes nothing either, nor does a mailbox that was full then."""
    sensor = Told("one", HostFacts())
    async with listening(sensor) as w:
        w.router.close()
        for internet in (False, True, False):
            sensor.tell(HostFacts(internet=internet))
            await wait_all_tasks_blocked()
        assert waiting_messages(w.session) == []
        assert w.owner.record.host == HostState()
    assert caplog.records == []


async def test_no_app_overwrites_what_a_sensor_knows() -> None:
    """It is refused with a sentence; what no sensor knows an app may say, until one knows it."""
    logind = Told("logind", HostFacts(user_present=True))
    async with listening(logind) as w:
        await w.owner.change(Stamp("s", "a"), ChangeHost(1, (FieldChange("user_present", value=False),)))
        (refused,) = waiting_messages(w.session)
        assert isinstance(refused, Failed)
        assert refused.text.startswith("user_present: this machine tells that itself")
        await w.owner.change(Stamp("s", "a"), ChangeHost(2, (FieldChange("internet_available", value=False),)))
        state = HostState(internet_available=False)
        assert waiting_messages(w.session) == [HostChanged(state), Done(2)]
        assert await w.said() == [HostChanged(state)]
        logind.tell(HostFacts(user_present=True, internet=True))
        assert await w.said() == [HostChanged(HostState())]
        logind.tell(HostFacts())
        assert await w.said() == [HostChanged(state)]


async def test_a_sensor_that_fails_knows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The log has why, once; the others go on."""
    async with listening(Told("bad", None, failure=RuntimeError("no")), Told("good", HostFacts(metered=True))) as w:
        assert await w.said() == [HostChanged(HostState(free_network_available=False))]
    assert [each.getMessage() for each in caplog.records] == [
        "the sensor bad has failed: what it knew is unknown from now on"
    ]


async def test_a_start_waits_for_the_first_look_of_all_but_not_for_ever() -> None:
    """A sensor that does not answer holds nothing up for longer than a second."""
    begin = anyio.current_time()
    async with listening(Told("quick", HostFacts(power_saver=True)), policy=Told("policy", NO_POLICY)) as w:
        assert anyio.current_time() == begin
        assert w.owner.record.host.energy_saver
    async with listening(Told("slow", None), Told("quick", HostFacts(power_saver=True))) as w:
        assert anyio.current_time() == begin + FIRST_LOOK
        assert w.owner.record.host.energy_saver


async def test_policy_stands_above_users_and_sensors() -> None:
    """It counts at once, and when it goes what users decided counts again."""
    source = Told("policy", NO_POLICY)
    async with listening(policy=source) as w:
        await w.owner.decide("a", {"background": True, "toasts": False})
        await w.said()
        source.tell(Policy(cloud_notifications=False, apps={"a": AppRules(background=False, toasts=True)}))
        assert await w.said() == [
            HostChanged(HostState(cloud_notifications=False)),
            AppSettingsChanged("a", AppSettings(background=False)),
        ]
        source.tell(NO_POLICY)
        assert await w.said() == [HostChanged(HostState()), AppSettingsChanged("a", AppSettings(toasts=False))]


async def test_quiet_hours_begin_and_end_by_the_clock() -> None:
    """Those of the policy, at their minute, local time; nothing is looked at before."""
    clock = VirtualWall()
    now = datetime.fromtimestamp(clock.wall()).astimezone()
    begin, end = (now + timedelta(hours=each) for each in (1, 2))
    quiet = QuietHours(*(each.hour * 60 + each.minute for each in (begin, end)))
    async with listening(policy=Told("policy", Policy(quiet_hours=quiet))) as w:
        assert await w.said() == []
        await anyio.sleep(3599 - now.second)
        assert await w.said() == []
        await anyio.sleep(2)
        assert await w.said() == [HostChanged(HostState(quiet_hours=True))]
        await anyio.sleep(3600)
        assert await w.said() == [HostChanged(HostState())]


async def test_a_caller_that_waits_has_the_time_looked_at() -> None:
    """A machine that has slept may be late for its quiet hours; the owner comes to rest, also while something is held back."""
    policy = Told("policy", Policy(quiet_hours=QuietHours(0, 1)))
    async with listening(Told("profiles", HostFacts(power_saver=True)), policy=policy) as w:
        await w.said()
        w.owner.ask()
        assert await w.said() == []


async def test_one_that_is_polled_is_asked_while_it_holds_something_back() -> None:
    """Once a minute, and else when a caller waits."""
    polled = Told("psutil", HostFacts(on_battery=False), is_polled=True)
    async with listening(polled, Told("logind", HostFacts(user_present=False))) as w:
        await anyio.sleep(10 * ASK_AGAIN)
        assert polled.asked == 0
        w.owner.ask()
        assert polled.asked == 1
        polled.tell(HostFacts(on_battery=True))
        await wait_all_tasks_blocked()
        asked = polled.asked
        await anyio.sleep(10 * ASK_AGAIN + 1)
        assert polled.asked == asked + 10


async def test_one_that_begins_to_be_polled_is_asked_from_then_on() -> None:
    """As where a bus has gone that told of changes; and no more when there is a bus again."""
    upower = Told("UPower", HostFacts(on_battery=False))
    async with listening(upower) as w:
        for asked in (0, 1, 1):
            w.owner.ask()
            assert upower.asked == asked
            upower.is_polled = not upower.is_polled
            upower.tell(HostFacts())
            await wait_all_tasks_blocked()


async def test_what_users_decide_outlives_the_process() -> None:
    """What policy says, what apps say of the machine, and budgets do not."""
    store = MemoryStore()
    async with listening(policy=Told("policy", Policy(apps={"b": AppRules(tiles=False)})), store=store) as w:
        await w.owner.change(Stamp("s", "a"), ChangeAppSettings(1, (FieldChange("background", value=False),)))
        await w.owner.change(Stamp("s", "a"), ChangeHost(2, (FieldChange("quiet_hours", value=True),)))
        w.owner.set_over_budget(frozenset({"a"}))
        await wait_all_tasks_blocked()
        assert w.owner.record.settings_of("a") == AppSettings(background=False, within_budget=False)
    async with listening(store=store) as w:
        assert w.owner.record.settings_of("a") == AppSettings(background=False)
        assert w.owner.record.settings_of("b") == AppSettings()
        assert w.owner.record.host == HostState()
        await w.owner.forget("a")
    async with listening(store=store) as w:
        assert w.owner.record.apps == frozenset()
