"""What the shell knows of a toast, and which toasts have their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from attrs import Factory, define, field, frozen

from tocsin.protocol.messages import ToastDismissalReason
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle
from tocsin.protocol.toasts.toast_life import MAX_WAITING, Phase
from tocsin.protocol.values import DropReason


@frozen
class PayloadAsker:
    """A payload that is to be shown, by its number and its attempt."""

    sequence: int
    attempt: int


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


@define
class ToastTurns:
    """The toasts that wait for their turn: urgent ones first, and each kind in its order."""

    _urgent: deque[ShellToast] = Factory(deque)
    _ordinary: deque[ShellToast] = Factory(deque)
    _waiting: set[ShellToast] = Factory(set)

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) >= MAX_WAITING

    def add(self, toast: ShellToast) -> None:
        """Let a toast wait; one that waits already keeps its place."""
        if toast not in self._waiting:
            self._waiting.add(toast)
            (self._urgent if toast.is_urgent else self._ordinary).append(toast)

    def next(self) -> ShellToast | None:
        """Return the toast whose turn it is, and keep it there; what no longer waits is let go on the way."""
        for queue in (self._urgent, self._ordinary):
            while queue:
                if queue[0].phase is Phase.WAITING:
                    return queue[0]
                self._waiting.discard(queue.popleft())
        return None

    def take(self, toast: ShellToast) -> None:
        """Let the toast go whose turn it is."""
        (self._urgent if toast.is_urgent else self._ordinary).popleft()
        self._waiting.discard(toast)

    def __iter__(self) -> Iterator[ShellToast]:
        return iter(self._waiting)
