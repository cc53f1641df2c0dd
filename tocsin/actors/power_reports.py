"""What the service is told of the machine's power state, so that it holds back what the machine would not take."""

from __future__ import annotations

from tocsin.actors.connection_status import ConnectionRecord
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import PowerState
from tocsin.protocol.platform.power import PLUGGED_IN, Power


class PowerReports:
    """Tells the service of the power state when it changes, and at the begin of each connection."""

    def __init__(self, connection: Mailbox, link: ConnectionRecord) -> None:
        self._connection = connection
        self._link = link
        self._power = PLUGGED_IN

    def note(self, power: Power) -> None:
        """Note the power state; the service hears of it if it has changed, now or once it is connected."""
        if power != self._power:
            self._power = power
            if self._link.connected:
                self._report()

    def greet(self) -> None:
        """Tell the service of a new connection, unless the state is the one that a service assumes."""
        if self._power != PLUGGED_IN:
            self._report()

    def _report(self) -> None:
        power = self._power
        self._connection.send_state(PowerState(power.screen_on_or_plugged, power.battery_saver, power.exempt))
