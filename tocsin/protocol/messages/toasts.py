"""Between apps, the supervisor and the shell: toasts, tiles and badges, and the clicks that come back.

``content`` is XML as a sender or an app wrote it; the shell reads it by ``tocsin.protocol.toasts``.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import NamedTuple

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.values import DropReason, Outcome


@unique
class ToastActivationType(IntEnum):
    """How a click is to reach its app (``activationType`` of a toast or a button)."""

    FOREGROUND = 0
    BACKGROUND = 1
    PROTOCOL = 2


@unique
class ToastDismissalReason(IntEnum):
    """Why a toast has gone without a click (enumeration of the same name of Windows; ``REPLACED`` is Tocsin's own)."""

    USER_CANCELED = 0
    APPLICATION_HIDDEN = 1
    TIMED_OUT = 2
    REPLACED = 3


class TextPair(NamedTuple):
    """A name and its value: an input of the user, or a value that is bound to a toast."""

    name: str
    value: str


class ToastRow(NamedTuple):
    """A toast that is kept; ``shown`` and ``expires`` in seconds since the epoch, the latter None where it does not expire."""

    id: int
    tag: str
    group: str
    content: bytes
    shown: float
    expires: float | None


class TileRow(NamedTuple):
    """What a tile shows; ``tile`` is empty for the app's own, ``expires`` as in :class:`ToastRow`."""

    tile: str
    tag: str
    content: bytes
    expires: float | None


class ShellOutcomeRow(NamedTuple):
    """What the shell has done with a payload: SHOWN, SUPPRESSED or DROPPED, the latter two with a reason; or GIVEN_BACK."""

    sequence: int
    attempt: int
    outcome: Outcome
    reason: DropReason | None
    detail: str


@tagged(120)
@frozen
class ShellOutcomes(Message):
    """The shell is through with payloads that the supervisor has given to it, as ``Deliveries``."""

    rows: tuple[ShellOutcomeRow, ...]


@tagged(137)
@frozen
class ShellOpened(Message):
    """From now on the shell takes what is to be shown of channels that no session takes: those that were there have had time to come."""


@tagged(138)
@frozen
class DesktopStirred(Message):
    """The desktop has answered, or has said something: the shell takes it from where it lies."""


@tagged(121)
@frozen
class ShowToast(Message):
    """An app shows a toast; it is answered by ``ToastShown`` when the desktop has it.

    ``expires`` is in seconds from now, None for never; ``sequence_number`` orders the updates of ``data``.
    """

    request: int
    content: bytes
    tag: str
    group: str
    expires: float | None
    suppress_display: bool
    expires_on_reboot: bool
    sequence_number: int
    data: tuple[TextPair, ...]


@tagged(122)
@frozen
class ToastShown(Message):
    """A toast of an app is with the desktop (SHOWN), is not shown (SUPPRESSED), or could not be (DROPPED), with the reason in words."""

    request: int
    id: int
    outcome: Outcome
    detail: str


@tagged(123)
@frozen
class UpdateToast(Message):
    """An app changes values that are bound to a toast; a sequence number below the last one changes nothing."""

    request: int
    tag: str
    group: str
    sequence_number: int
    data: tuple[TextPair, ...]


@tagged(124)
@frozen
class ToastUpdated(Message):
    """Whether there was such a toast."""

    request: int
    found: bool


@tagged(125)
@frozen
class RemoveToasts(Message):
    """An app removes toasts: that with an id, or those with a tag and a group where they are not None; all where none is given."""

    request: int
    id: int | None
    tag: str | None
    group: str | None


@tagged(126)
@frozen
class ListToasts(Message):
    """An app asks for its toasts that are kept."""

    request: int


@tagged(127)
@frozen
class ToastList(Message):
    """Them, the oldest first."""

    request: int
    rows: tuple[ToastRow, ...]


@tagged(128)
@frozen
class TakeActivations(Message):
    """A session takes the clicks on its app's toasts from now on; ``command``, packed, starts the app where none does, or is empty."""

    request: int
    command: bytes


@tagged(129)
@frozen
class LeaveActivations(Message):
    """The session takes no more of them; the command is kept."""


@tagged(130)
@frozen
class ToastActivated(Message):
    """A toast was clicked: ``number`` names the click, ``request`` is the claim of a launched process that it answers, or 0."""

    number: int
    request: int
    attempt: int
    toast: int
    tag: str
    group: str
    kind: ToastActivationType
    argument: str
    inputs: tuple[TextPair, ...]


@tagged(131)
@frozen
class ActivationDone(Message):
    """The app is through with a click; ``failure`` is what its handler has raised, in words, or empty."""

    number: int
    attempt: int
    failure: str


@tagged(132)
@frozen
class ToastDismissed(Message):
    """A toast has gone without a click."""

    toast: int
    tag: str
    group: str
    reason: ToastDismissalReason


@tagged(133)
@frozen
class SetBadge(Message):
    """An app sets its badge; empty content clears it."""

    request: int
    content: bytes


@tagged(134)
@frozen
class SetTile(Message):
    """An app sets one of its tiles; empty content clears it."""

    request: int
    tile: str
    tag: str
    content: bytes


@tagged(135)
@frozen
class AskTiles(Message):
    """An app asks for its badge and its tiles."""

    request: int


@tagged(136)
@frozen
class TileList(Message):
    """They; ``badge`` is XML, or empty."""

    request: int
    badge: bytes
    rows: tuple[TileRow, ...]
