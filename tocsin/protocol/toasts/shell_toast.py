"""What the shell knows of a toast, and who has asked for it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, define, field, frozen

from tocsin.protocol.messages import ToastDismissalReason
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle
from tocsin.protocol.toasts.toast_life import Phase
from tocsin.protocol.values import DropReason


@frozen
class PayloadAsker:
    """A payload that is to be shown, by its number, its attempt and its id."""

    sequence: int
    attempt: int
    payload: str


@frozen
class SessionAsker:
    """A session that has asked for a toast, and the number of its question."""

    session: str
    request: int


Asker = PayloadAsker | SessionAsker


@frozen
class ToastWishes:
    """What is wanted of a toast beside its content; times in seconds since the epoch.

    ``sequence_number`` orders the updates of ``data``, the values that are bound to it.
    """

    tag: str = ""
    group: str = ""
    expires: float | None = None
    suppress_display: bool = False
    expires_on_reboot: bool = False
    sequence_number: int = 0
    data: Mapping[str, str] = field(factory=dict)


@define(eq=False)
class ShellToast:
    """A toast, and where it stands.

    ``slot`` is its number for as long as it lives, ``id`` that of the toast that it is now: another may take its place.
    ``seconds`` is how long it is on the screen, ``deadline`` when it leaves, on the loop's clock; None where it stays.
    """

    slot: int
    id: int
    app: str
    content: bytes
    wishes: ToastWishes
    payload: str = ""
    is_urgent: bool = False
    is_quiet: bool = False
    """Whether it is to come without a sound: the user has seen it before."""
    phase: Phase = Phase.WAITING
    shown: float = 0.0
    until: float | None = 0.0
    """When it leaves the screen, in seconds since the epoch; 0 where it is not there, None where it stays."""
    seconds: float | None = None
    deadline: float | None = None
    handle: Handle | None = None
    asked: bytes = b""
    """The content that the desktop was asked for last."""
    seen: bytes = b""
    """The content that it has, of which a click is."""
    is_second_try: bool = False
    reason: DropReason | None = None
    detail: str = ""
    dismissal: ToastDismissalReason = ToastDismissalReason.APPLICATION_HIDDEN
    key: str = DEFAULT_KEY
    """What was pressed."""
    inputs: tuple[tuple[str, str], ...] = ()
    askers: list[Asker] = Factory(list)

    @property
    def place(self) -> tuple[str, str, str] | None:
        """Where another toast takes its place; None where it has no tag."""
        return (self.app, self.wishes.tag, self.wishes.group) if self.wishes.tag else None
