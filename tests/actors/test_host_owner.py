"""The owner of the machine's state: changes one after the other, each whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from tests.helpers import waiting_messages
from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.host_owner import Change, HostOwner
from tocsin.actors.host_reports import HostReports
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.host.promises import HostParts
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Store
from tocsin.protocol.errors import IllegalCall, InvalidArgument
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
    UnwantedChanged,
)
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.power import MAX_EXEMPT
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.testing import PlayedSensor


class Watched:
    """An owner, and what the router and the service hear of it."""

    def __init__(self, capacity: int = 1024) -> None:
        self.router, self.connection = Mailbox("payload_router", capacity), Mailbox("connection")
        link = ConnectionRecord(LoopClock())
        link.note(ConnectionUp(1, 0.0))
        self.sessions, self.session = Sessions(), Mailbox("s")
        self.sessions.add("a", self.session)
        self.reports = HostReports(self.connection, link)
        self.owner = self.owner_of(HostParts())

    def owner_of(self, parts: HostParts) -> HostOwner:
        """Return an owner that these parts tell."""
        store = cast(Store, MemoryStore())
        return HostOwner(lambda _: [self.router], self.sessions, self.reports, store, LoopClock(), parts)

    async def change(self, change: Change, app: str = "a") -> None:
        """Make a change as the session, which an app may have under any name."""
        await self.owner.change(Stamp("s", app), change)

    def answers(self) -> list[Message]:
        """Return what the session was told since the last time."""
        return waiting_messages(self.session)

    async def said(self) -> list[Message]:
        """Return what the router hears next."""
        return [decode_own(frame) for frame in await self.router.batch()]


def host(**changes: bool) -> ChangeHost:
    """Change the machine's state."""
    return ChangeHost(1, tuple(FieldChange(*each) for each in changes.items()))


def settings(**changes: bool) -> ChangeAppSettings:
    """Change an app's settings."""
    return ChangeAppSettings(1, tuple(FieldChange(*each) for each in changes.items()))


async def test_a_change_is_told_with_the_whole_new_state() -> None:
    """What earlier changes have set stays, and apps have settings of their own."""
    w = Watched()
    for change in (host(quiet_hours=True), host(energy_saver=True), settings(background=False)):
        await w.change(change)
    await w.change(settings(tiles=False), "b")
    assert await w.said() == [
        HostChanged(HostState(quiet_hours=True)),
        HostChanged(HostState(quiet_hours=True, energy_saver=True)),
        AppSettingsChanged("a", AppSettings(background=False)),
        AppSettingsChanged("b", AppSettings(tiles=False)),
    ]
    assert w.answers() == [
        *[
            message
            for state in (HostState(quiet_hours=True), HostState(quiet_hours=True, energy_saver=True))
            for message in (HostChanged(state), Done(1))
        ],
        AppSettingsChanged("a", AppSettings(background=False)),
        Done(1),
        Done(1),
    ]
    assert [decode_own(frame) for frame in await w.connection.batch()] == [
        PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=()),
        UnwantedChanged(Unwanted(tiles=("b",))),
    ]


async def test_a_router_that_begins_anew_hears_all_of_it() -> None:
    """It need not wait for room: it has to know before it judges."""
    w = Watched()
    await w.change(host(quiet_hours=True))
    await w.change(settings(background=False))
    await w.change(settings(notifications=False), "b")
    await w.said()
    w.owner.repeat()
    assert await w.said() == [
        HostChanged(HostState(quiet_hours=True)),
        AppSettingsChanged("a", AppSettings(background=False)),
        AppSettingsChanged("b", AppSettings(notifications=False)),
    ]


async def test_changes_that_wait_for_room_are_made_in_their_order() -> None:
    """The last state that the router hears is the last that there is."""
    w, said = Watched(capacity=1), list[Message]()
    async with anyio.create_task_group() as tasks:
        for change in (host(quiet_hours=True), host(quiet_hours=False), host(user_present=False)):
            tasks.start_soon(w.change, change)
            await wait_all_tasks_blocked()
        while len(said) < 3:
            said += await w.said()
    states = [HostState(quiet_hours=True), HostState(), HostState(user_present=False)]
    assert said == [HostChanged(state) for state in states]
    assert w.owner.record.host == states[-1]


async def test_a_change_that_is_cancelled_while_it_waits_was_not_made() -> None:
    """No actor is told of it, and the next change starts from the state before it."""
    w = Watched(capacity=1)
    await w.change(host(quiet_hours=True))
    with anyio.move_on_after(0.01) as waited:
        await w.change(host(energy_saver=True))
    assert waited.cancelled_caught
    assert w.owner.record == HostRecord(said={"quiet_hours": True})
    assert w.connection.statistics().depth == 0
    await w.said()
    await w.change(host(user_present=False))
    assert await w.said() == [HostChanged(HostState(quiet_hours=True, user_present=False))]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (host(moon_phase=True), InvalidArgument),
        (settings(colour=True), InvalidArgument),
        (settings(exempt_from_energy_saver=True), IllegalCall),
    ],
)
async def test_what_is_refused_changes_nothing(change: Change, error: type[Exception]) -> None:
    """Neither the router nor the service hears of it."""
    w = Watched()
    for number in range(MAX_EXEMPT):
        await w.change(settings(exempt_from_energy_saver=True), f"app {number}")
    await w.said()
    await w.connection.batch()
    before = w.owner.record
    w.answers()
    await w.change(change)
    (answer,) = w.answers()
    assert isinstance(answer, Failed)
    assert (answer.request, answer.error) == (1, error.__name__)
    assert w.owner.record == before
    assert (w.router.statistics().depth, w.connection.statistics().depth) == (0, 0)


async def test_what_tells_of_the_machine_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Each sensor with its words; one that fails is logged once, said to have failed, and knows nothing any more."""

    class Failing(PlayedSensor):
        name = "failing"

        async def run(self, tell: Callable[[HostFacts], None]) -> None:
            tell(HostFacts(metered=True, user_present=True))
            await anyio.lowlevel.checkpoint()
            raise RuntimeError("the bus")

    w, played = Watched(), PlayedSensor(HostFacts(user_present=False))
    w.owner = w.owner_of(HostParts([Failing(), played]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(w.owner.run)
        await wait_all_tasks_blocked()
        report = w.owner.report()
        assert report["sensors"] == [
            {"name": "failing", "standing": "has failed, which the log tells", "tells": {}},
            {"name": "played", "standing": "told by a test", "tells": {"user_present": False}},
        ]
        assert report["told"] == {"user_present": False}
        assert [record.getMessage() for record in caplog.records] == [
            "the sensor failing has failed: what it knew is unknown from now on"
        ]
        tasks.cancel_scope.cancel()
