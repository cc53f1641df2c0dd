"""Which sensors this system has."""

from __future__ import annotations

import sys

from tocsin.host.battery import BatterySensor
from tocsin.host.daemons import daemon_sensors
from tocsin.host.logind import LogindSensor
from tocsin.host.promises import Sensor
from tocsin.host.system_bus import SystemBus


def default_sensors() -> tuple[Sensor, ...]:
    """Return the sensors of this system; what they need is loaded when they begin to look.

    On Linux and the BSDs: the daemons of the system bus, and the battery by psutil where there is no such bus; elsewhere the battery.
    """
    if sys.platform in {"darwin", "win32"}:
        return (BatterySensor(None),)
    bus = SystemBus()
    return (*daemon_sensors(bus), LogindSensor(bus), BatterySensor(bus))
