"""Power reports: the service hears of the power state when it changes, and when a connection begins."""

from __future__ import annotations

from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.power_reports import PowerReports
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import ConnectionUp, PowerState
from tocsin.protocol.messages.codec import decode_own
from tocsin.protocol.platform.power import PLUGGED_IN, Power

SAVER = Power(battery_saver=True, exempt=("mail",))
SAID = PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=("mail",))


class Watched:
    """Power reports, and what the service hears of them."""

    def __init__(self, *, connected: bool) -> None:
        self.connection = Mailbox("connection")
        self.link = ConnectionRecord(LoopClock())
        self.reports = PowerReports(self.connection, self.link)
        if connected:
            self.link.note(ConnectionUp(1, 0.0))

    async def said(self) -> list[object]:
        """Return what the service has heard since the last time."""
        waiting = self.connection.statistics().depth
        return [decode_own(frame) for frame in await self.connection.batch()] if waiting else []


async def test_the_service_hears_of_a_change_once() -> None:
    """What is as it was need not be told again."""
    watched = Watched(connected=True)
    watched.reports.note(PLUGGED_IN)
    assert await watched.said() == []
    watched.reports.note(SAVER)
    assert await watched.said() == [SAID]
    watched.reports.note(SAVER)
    assert await watched.said() == []


async def test_a_change_without_a_connection_is_told_at_the_next_one() -> None:
    """A mailbox that is not read holds no old state."""
    watched = Watched(connected=False)
    watched.reports.note(SAVER)
    assert await watched.said() == []
    watched.reports.greet()
    assert await watched.said() == [SAID]


async def test_a_machine_that_is_plugged_in_says_nothing_at_the_begin() -> None:
    """A service assumes so, also of a machine that was on battery saver before."""
    watched = Watched(connected=False)
    watched.reports.greet()
    watched.reports.note(SAVER)
    watched.reports.note(PLUGGED_IN)
    watched.reports.greet()
    assert await watched.said() == []
