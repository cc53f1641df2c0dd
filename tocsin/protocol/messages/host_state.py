"""The state of the machine, and what the user has decided."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.activation import CancellationReason


@tagged(80)
@frozen
class HostChanged(Message):
    """The state of the machine, whole; fields as in ``tocsin.protocol.platform.conditions.HostState``."""

    user_present: bool
    internet_available: bool
    session_connected: bool
    free_network_available: bool
    background_work_cost_high: bool
    energy_saver: bool
    quiet_hours: bool
    cloud_notifications: bool


@tagged(81)
@frozen
class AppSettingsChanged(Message):
    """What the user has decided for an app, whole; fields as in ``tocsin.protocol.platform.conditions.AppSettings``."""

    app: str
    notifications: bool
    background: bool
    exempt_from_energy_saver: bool


@tagged(82)
@frozen
class CancelWork(Message):
    """The machine cancels the background work of an app, or with an empty name that of all."""

    app: str
    reason: CancellationReason
