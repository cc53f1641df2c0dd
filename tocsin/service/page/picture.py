"""What there is at a moment, put together for the page: it is read from the parts of the service, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from tocsin.protocol.errors import StateUnavailable
from tocsin.service.devices.devices import Devices
from tocsin.service.operations.health import Health
from tocsin.service.page.samples import Curve, Samples
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import AppRow, ChannelRow

MOST: Final = 200
"""Channels that are shown, and connected devices."""


@frozen
class ShownChannel:
    """A channel, with whether its device is connected."""

    row: ChannelRow
    app: str
    """The name of the registration, which is not always what the device calls the app."""
    connected: bool


@frozen
class ShownDevice:
    """A device, with how many payloads are on their way to it; None where it is away."""

    key: str
    channels: int
    on_the_way: int | None


@frozen
class Picture:
    """What there is; times are the service's, in seconds since the epoch."""

    at: float
    causes: dict[str, str]
    curves: tuple[Curve, ...]
    apps: tuple[tuple[AppRow, int], ...]
    """With how many secrets of each are valid."""
    channels: tuple[ShownChannel, ...]
    channels_kept: int
    devices: tuple[ShownDevice, ...]
    devices_connected: int
    stored: int
    """Notifications that are kept for devices that are away."""


@frozen
class Observer:
    """Takes pictures of a service.

    :param now: the service's time, in seconds since the epoch.
    """

    _apps: Apps
    _channels: Channels
    _devices: Devices
    _health: Health
    _samples: Samples
    _now: Callable[[], float]

    async def take(self) -> Picture:
        """Take one; where the store cannot be read, it has no channels, and says why."""
        causes = dict(self._health.report().causes)
        try:
            rows = await self._channels.directory.live(MOST)
        except StateUnavailable as failure:
            causes.setdefault("store", str(failure))
            rows = []
        apps = self._apps.apps()
        return Picture(
            self._now(),
            causes,
            self._samples.curves(),
            tuple((app, self._apps.living_secrets(app.client_id)) for app in apps[:MOST]),
            self._shown_channels(rows),
            self._channels.count,
            self._shown_devices(rows),
            self._devices.count(),
            self._devices.offline.kept,
        )

    async def search(self, app: str, begins: str) -> tuple[ShownChannel, ...]:
        """Return the channels of some app, device or name.

        :raises StateUnavailable: the store cannot be read.
        """
        return self._shown_channels(await self._channels.directory.search(app, begins, MOST))

    def _shown_channels(self, rows: list[ChannelRow]) -> tuple[ShownChannel, ...]:
        names = {app.client_id: app.name for app in self._apps.apps()}
        return tuple(
            ShownChannel(row, names.get(row.client_id, row.app), self._devices.connected(row.device)) for row in rows
        )

    def _shown_devices(self, rows: list[ChannelRow]) -> tuple[ShownDevice, ...]:
        """Return those that are connected, and then those that channels are of."""
        connected = self._devices.some(MOST)
        channels = dict.fromkeys(connected, 0)
        for row in rows:
            channels[row.device] = channels.get(row.device, 0) + 1
        return tuple(
            ShownDevice(device, count, connected.get(device))
            for device, count in channels.items()
            if device in connected or not self._devices.connected(device)
        )[:MOST]
