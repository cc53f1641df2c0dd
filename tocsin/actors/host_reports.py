"""What the service is told of the machine: its power state, so that it holds back, and what is unwanted, so that it drops."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.actors.connection_status import ConnectionRecord
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import PowerState, UnwantedChanged
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.power import PLUGGED_IN
from tocsin.protocol.platform.unwanted import NOTHING


class HostReports:
    """Tells the service of both when they change, and at the begin of each connection."""

    def __init__(self, connection: Mailbox, link: ConnectionRecord) -> None:
        self.on_cloud: Callable[[bool], None] = _ignore
        """Called with whether there may be a connection, when that changes, behind what the service is told of it."""
        self._connection = connection
        self._link = link
        self._power = PLUGGED_IN
        self._unwanted = NOTHING

    def note(self, record: HostRecord) -> None:
        """Note how the machine stands; the service hears of what has changed, now or once it is connected."""
        power, unwanted, before = record.power, record.unwanted, self._unwanted
        if power != self._power:
            self._power = power
            self._tell_power()
        if unwanted != before:
            self._unwanted = unwanted
            self._tell_unwanted()
            if unwanted.everything != before.everything:
                self.on_cloud(not unwanted.everything)

    def greet(self) -> None:
        """Tell the service of a new connection what it cannot know.

        It assumes that each is plugged in; what is unwanted it remembers from an earlier one.
        """
        if self._power != PLUGGED_IN:
            self._tell_power()
        self._tell_unwanted()

    def _tell_power(self) -> None:
        power = self._power
        if self._link.connected:
            self._connection.send_state(PowerState(power.screen_on_or_plugged, power.battery_saver, power.exempt))

    def _tell_unwanted(self) -> None:
        if self._link.connected:
            self._connection.send_state(UnwantedChanged(self._unwanted))


def _ignore(_: bool) -> None:  # noqa: FBT001  # the only argument
    """Do nothing, where there is no connection to be allowed."""
