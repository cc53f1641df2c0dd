"""The owner of the machine's state: changes one after the other, each whole or not at all."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.host_owner import Change, HostOwner
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.power_reports import PowerReports
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.messages import (
    AppSettingsChanged,
    ChangeAppSettings,
    ChangeHost,
    ConnectionUp,
    FieldChange,
    HostChanged,
    Message,
    PowerState,
)
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.power import MAX_EXEMPT


class Watched:
    """An owner, and what the router and the service hear of it."""

    def __init__(self, capacity: int = 1024) -> None:
        self.router, self.connection = Mailbox("payload_router", capacity), Mailbox("connection")
        link = ConnectionRecord(LoopClock())
        link.note(ConnectionUp(1, 0.0))
        self.owner = HostOwner(lambda _: [self.router], PowerReports(self.connection, link))

    async def said(self) -> list[Message]:
        """Return what the router hears next."""
        return [decode_own(frame) for frame in await self.router.batch()]


def host(**changes: bool) -> ChangeHost:
    """Change the machine's state."""
    return ChangeHost(tuple(FieldChange(*each) for each in changes.items()))


def settings(app: str, **changes: bool) -> ChangeAppSettings:
    """Change an app's settings."""
    return ChangeAppSettings(app, tuple(FieldChange(*each) for each in changes.items()))


async def test_a_change_is_told_with_the_whole_new_state() -> None:
    """What earlier changes have set stays, and apps have settings of their own."""
    w = Watched()
    for change in (host(quiet_hours=True), host(energy_saver=True), settings("a", background=False), settings("b")):
        await w.owner.change(change)
    assert await w.said() == [
        HostChanged(HostState(quiet_hours=True)),
        HostChanged(HostState(quiet_hours=True, energy_saver=True)),
        AppSettingsChanged("a", AppSettings(background=False)),
        AppSettingsChanged("b", AppSettings()),
    ]
    assert [decode_own(frame) for frame in await w.connection.batch()] == [
        PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=())
    ]


async def test_a_router_that_begins_anew_hears_all_of_it() -> None:
    """It need not wait for room: it has to know before it judges."""
    w = Watched()
    changes = (host(quiet_hours=True), settings("a", background=False), settings("b", notifications=False))
    for change in changes:
        await w.owner.change(change)
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
            tasks.start_soon(w.owner.change, change)
            await wait_all_tasks_blocked()
        while len(said) < 3:
            said += await w.said()
    states = [HostState(quiet_hours=True), HostState(), HostState(user_present=False)]
    assert said == [HostChanged(state) for state in states]
    assert w.owner.record.host == states[-1]


async def test_a_change_that_is_cancelled_while_it_waits_was_not_made() -> None:
    """Nobody sees it, and the next one goes on from what there is."""
    w = Watched(capacity=1)
    await w.owner.change(host(quiet_hours=True))
    with anyio.move_on_after(0.01) as waited:
        await w.owner.change(host(energy_saver=True))
    assert waited.cancelled_caught
    assert w.owner.record == HostRecord(HostState(quiet_hours=True))
    assert w.connection.statistics().depth == 0
    await w.said()
    await w.owner.change(host(user_present=False))
    assert await w.said() == [HostChanged(HostState(quiet_hours=True, user_present=False))]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (host(moon_phase=True), InvalidArgument),
        (settings("a", colour=True), InvalidArgument),
        (host(quiet_hours="yes"), InvalidArgument),  # type: ignore[arg-type]  # that is the point
        (settings("one too many", exempt_from_energy_saver=True), IllegalCall),
    ],
)
async def test_what_is_refused_changes_nothing(change: Change, error: type[Exception]) -> None:
    """Neither the router nor the service hears of it."""
    w = Watched()
    for number in range(MAX_EXEMPT):
        await w.owner.change(settings(f"app {number}", exempt_from_energy_saver=True))
    await w.said()
    await w.connection.batch()
    before = w.owner.record
    with pytest.raises(error):
        await w.owner.change(change)
    assert w.owner.record == before
    assert (w.router.statistics().depth, w.connection.statistics().depth) == (0, 0)
