"""Sensors that look at a daemon's properties: UPower, the power profiles, NetworkManager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from tocsin.bus_connection import BusCallRefused
from tocsin.host.bus_sensor import BusObject, BusSensor, DaemonAbsent
from tocsin.host.readings import Properties, read_network, read_power, read_profile
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts


@frozen
class Service:
    """A daemon under one of its names; the first object is always there."""

    name: str
    objects: tuple[BusObject, ...]


UPOWER: Final = Service(
    "org.freedesktop.UPower",
    (
        BusObject("/org/freedesktop/UPower", "org.freedesktop.UPower", {"OnBattery": "b"}),
        BusObject(
            "/org/freedesktop/UPower/devices/DisplayDevice", "org.freedesktop.UPower.Device", {"WarningLevel": "u"}
        ),
    ),
)


def _profiles(name: str, path: str) -> Service:
    return Service(name, (BusObject(path, name, {"ActiveProfile": "s"}),))


PROFILES: Final = (
    _profiles("org.freedesktop.UPower.PowerProfiles", "/org/freedesktop/UPower/PowerProfiles"),
    _profiles("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles"),  # the only one up to 0.13, such as Debian 12's
)
NETWORK_MANAGER: Final = Service(
    "org.freedesktop.NetworkManager",
    (
        BusObject(
            "/org/freedesktop/NetworkManager",
            "org.freedesktop.NetworkManager",
            {"Connectivity": "u", "ConnectivityCheckEnabled": "b", "Metered": "u", "State": "u"},
        ),
    ),
)


class DaemonSensor(BusSensor):
    """Looks at the first of several services that is there.

    :param read: makes facts of the properties of all its objects.
    """

    def __init__(
        self, bus: SystemBus, name: str, services: tuple[Service, ...], read: Callable[[Properties], HostFacts]
    ) -> None:
        super().__init__(bus, name, tuple(service.name for service in services))
        self._choice, self._read = services, read

    async def _look(self) -> HostFacts:
        absences = []
        for service in self._choice:
            try:
                return await self._look_at(service)
            except DaemonAbsent as absent:
                absences.append(str(absent))
        raise DaemonAbsent("; ".join(absences))

    async def _look_at(self, service: Service) -> HostFacts:
        first, *others = service.objects
        found = dict((await self._properties(service.name, first))[0])
        for each in others:
            try:
                found |= (await self._properties(service.name, each))[0]
            except BusCallRefused as refused:
                self._complain(each.path, str(refused))
        self.standing = f"{service.name} on the system bus"
        return self._read(found)

    def _is_changed_by(self, message: Any) -> bool:
        return any(place.is_changed_by(message) for service in self._choice for place in service.objects)


def daemon_sensors(bus: SystemBus) -> tuple[DaemonSensor, ...]:
    """Return the sensors of power and network."""
    return (
        DaemonSensor(bus, "UPower", (UPOWER,), read_power),
        DaemonSensor(bus, "power profiles", PROFILES, read_profile),
        DaemonSensor(bus, "NetworkManager", (NETWORK_MANAGER,), read_network),
    )
