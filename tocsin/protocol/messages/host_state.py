"""The state of the machine, and what the user has decided."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings, HostState


@tagged(80)
@frozen
class HostChanged(Message):
    """The state of the machine, whole."""

    state: HostState


@tagged(81)
@frozen
class AppSettingsChanged(Message):
    """What the user has decided for an app, whole."""

    app: str
    settings: AppSettings


@tagged(82)
@frozen
class CancelWork(Message):
    """The machine cancels the background work of an app, or with an empty name that of all."""

    app: str
    reason: CancellationReason
