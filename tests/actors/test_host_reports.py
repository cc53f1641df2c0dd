"""Host reports: the service hears of power and of what is unwanted when they change, and when a connection begins."""

from __future__ import annotations

from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.host_reports import HostReports
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import ConnectionUp, PowerState, UnwantedChanged
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.conditions import AppSettings
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy import AppRules, Policy
from tocsin.protocol.platform.unwanted import NOTHING, Unwanted

AT_EASE = HostRecord()
SAVER = HostRecord(said={"energy_saver": True}, decided={"mail": AppSettings(exempt_from_energy_saver=True)})
SAID = PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=("mail",))
WANTS_ALL = UnwantedChanged(NOTHING)
NO_CLOUD = HostRecord(policy=Policy(cloud_notifications=False))
NO_MAIL = HostRecord(policy=Policy(apps={"mail": AppRules(notifications=False), "chat": AppRules(toasts=False)}))
SAID_NO_MAIL = UnwantedChanged(Unwanted(apps=("mail",), toasts=("chat",)))


class Watched:
    """Reports, and what the service hears of them."""

    def __init__(self, *, connected: bool) -> None:
        self.connection = Mailbox("connection")
        self.link = ConnectionRecord(LoopClock())
        self.reports = HostReports(self.connection, self.link)
        if connected:
            self.connect()

    def connect(self) -> None:
        """Have a connection."""
        self.link.note(ConnectionUp(1, 0.0))

    async def said(self) -> list[object]:
        """Return what the service has heard since the last time."""
        waiting = self.connection.statistics().depth
        return [decode_own(frame) for frame in await self.connection.batch()] if waiting else []


async def test_the_service_hears_of_a_change_once() -> None:
    """What is as it was need not be told again."""
    watched = Watched(connected=True)
    watched.reports.note(AT_EASE)
    assert await watched.said() == []
    watched.reports.note(SAVER)
    assert await watched.said() == [SAID]
    watched.reports.note(SAVER)
    assert await watched.said() == []


async def test_a_change_without_a_connection_is_told_at_the_next_one() -> None:
    """A mailbox that is not read holds no old state."""
    watched = Watched(connected=False)
    watched.reports.note(SAVER)
    watched.reports.note(NO_MAIL)
    watched.reports.note(SAVER)
    assert await watched.said() == []
    watched.connect()
    watched.reports.greet()
    assert await watched.said() == [SAID, WANTS_ALL]


async def test_a_machine_that_is_plugged_in_says_nothing_of_power_at_the_begin() -> None:
    """A service assumes so, also of a machine that was on battery saver before; what is unwanted it would remember."""
    watched = Watched(connected=True)
    watched.reports.greet()
    assert await watched.said() == [WANTS_ALL]
    watched.reports.note(SAVER)
    watched.reports.note(AT_EASE)
    await watched.said()
    watched.reports.greet()
    assert await watched.said() == [WANTS_ALL]


async def test_the_service_hears_what_is_unwanted() -> None:
    """By policy, and each time that it changes."""
    watched = Watched(connected=True)
    watched.reports.note(NO_MAIL)
    assert await watched.said() == [SAID_NO_MAIL]
    watched.reports.note(AT_EASE)
    assert await watched.said() == [WANTS_ALL]
    watched.reports.note(NO_MAIL)
    watched.reports.greet()
    assert await watched.said() == [SAID_NO_MAIL]


async def test_the_connection_is_forbidden_behind_what_the_service_is_told() -> None:
    """So that the service hears why; an app's notifications forbid no connection."""
    watched, heard = Watched(connected=True), list[tuple[bool, int]]()
    watched.reports.on_cloud = lambda allowed: heard.append((allowed, watched.connection.depth))
    for record in (NO_MAIL, NO_CLOUD, NO_CLOUD, AT_EASE):
        watched.reports.note(record)
    assert heard == [(False, 1), (True, 1)]
    assert await watched.said() == [WANTS_ALL]
