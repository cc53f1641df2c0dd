"""The state of the machine, and what the user has decided."""

from __future__ import annotations

from typing import NamedTuple

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings, HostState


class FieldChange(NamedTuple):
    """A field of ``HostState`` or ``AppSettings`` and its new value."""

    name: str
    value: bool


@tagged(83)
@frozen
class ChangeHost(Message):
    """An app says how the machine stands in some respects; the others stay as they are."""

    request: int
    changes: tuple[FieldChange, ...]


@tagged(84)
@frozen
class ChangeAppSettings(Message):
    """An app says what the user has decided for it in some respects; the others stay as they are."""

    request: int
    changes: tuple[FieldChange, ...]


@tagged(80)
@frozen
class HostChanged(Message):
    """The state of the machine, whole, as its owner in the platform says it."""

    state: HostState


@tagged(81)
@frozen
class AppSettingsChanged(Message):
    """What the user has decided for an app, whole, as the owner of the machine's state says it."""

    app: str
    settings: AppSettings


@tagged(82)
@frozen
class CancelWork(Message):
    """The background work of the app is cancelled, as a system does that updates, removes or suspends it."""

    reason: CancellationReason


@tagged(85)
@frozen
class StopWork(Message):
    """The agent cancels background work: of an app, or of all where that is empty.

    Of one session only where that is named, which gets no more from then on. With ``every`` also what foreground handlers are at, and no other begins. ``number`` is for the answer.
    """

    app: str
    reason: CancellationReason
    number: int
    every: bool
    session: str = ""


@tagged(86)
@frozen
class ForgetApp(Message):
    """The app was removed: what is kept of it goes, and its payloads die."""

    app: str
