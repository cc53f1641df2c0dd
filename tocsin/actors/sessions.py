"""The sessions of apps: who is there to be answered, and of which app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from attrs import frozen

from tocsin.actors.payload_watch import PayloadWatch
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.work_record import WorkRecord
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages import Message, Stamped
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.tasks import Signal


@frozen
class Stamp:
    """What the door knows of a session, and writes on what comes from it."""

    session: str
    app: str

    def put_on(self, frame: bytes) -> bytes:
        """Return a frame with this stamp on it."""
        return encode(Stamped(self.session, self.app, frame))


class Sessions:
    """The mailboxes of the apps that are connected to this platform, by the name of their session."""

    def __init__(self, watch: PayloadWatch | None = None, returning: ReturningProcesses | None = None) -> None:
        self.watch = watch
        """Hears of what is handed over to sessions."""
        self._returning = returning
        self._mailboxes: dict[str, Mailbox] = {}
        self._apps: dict[str, str] = {}
        self._commands: dict[str, str] = {}
        self._clicks: dict[str, int] = {}
        self._retired: set[str] = set()
        self.work = WorkRecord()
        """What runs and what is being stopped, as the supervisor says it."""
        self._numbers = count(1)
        self.changed = Signal()
        """Set when a session came or went."""
        self.arrivals = 0
        """How many sessions have come."""
        self.expected = 0
        """How many peers are being greeted."""
        self.unanswered = 0

    def new_name(self, app: str) -> str:
        """Return a name for another session of an app: no two have the same, as long as this runs."""
        return f"{app}/{next(self._numbers)}"

    def add(self, app: str, mailbox: Mailbox) -> None:
        """Let a session of an app in; it is called as its mailbox is."""
        self._mailboxes[mailbox.name] = mailbox
        self._apps[mailbox.name] = app
        self.arrivals += 1
        self.changed.set()

    @contextmanager
    def greeting(self) -> Iterator[None]:
        """Expect a session while the block runs."""
        self.expected += 1
        try:
            yield
        finally:
            self.expected -= 1
            self.changed.set()

    def remove(self, name: str) -> None:
        """Forget a session."""
        self._mailboxes.pop(name, None)
        self._apps.pop(name, None)
        self._commands.pop(name, None)
        self._clicks.pop(name, None)
        self.changed.set()
        self.work.look_again()

    def __contains__(self, name: str) -> bool:
        return name in self._mailboxes

    def app_of(self, name: str) -> str | None:
        """Return the app of a session; None where it has gone."""
        return self._apps.get(name)

    def note_launched(self, name: str, command: str, click: int = 0) -> None:
        """Note that a session is that of a process that was launched, by a command in words, and for which click on a toast."""
        if name in self._mailboxes:
            self._commands[name] = command
            self._clicks[name] = click

    def click_of(self, name: str) -> int:
        """Return the number of the click that the process of a session was launched for; 0 where it was not for one."""
        return self._clicks.get(name, 0)

    def command_of(self, name: str) -> str | None:
        """Return the command by which the process of a session was launched; None where it has another origin, or has gone."""
        return self._commands.get(name)

    def retire(self, name: str) -> None:
        """Let a session have no more work; its end is then held against no payload."""
        self._retired.add(name)

    def is_retired(self, name: str) -> bool:
        """Tell whether a session is to have no more work."""
        return name in self._retired

    def forget_retired(self, name: str) -> None:
        """Note that the supervisor has heard of the end of a session."""
        self._retired.discard(name)

    def awaits(self, purpose: LaunchPurpose, app: str) -> bool:
        """Tell whether a process of an app is still to come back, so that nothing of that purpose is begun with."""
        return self._returning is not None and self._returning.awaits(purpose, app)

    def resumed(self, purpose: LaunchPurpose, name: str, *, has_ended: bool = False) -> None:
        """Note that all has been taken in that a session has told of what counts for a purpose, and its end where it has ended."""
        if self._returning is not None:
            self._returning.resumed(purpose, name, has_ended=has_ended)

    def apps(self) -> set[str]:
        """Return the apps that have a session."""
        return set(self._apps.values())

    def names(self) -> list[str]:
        """Return the names of all sessions."""
        return list(self._mailboxes)

    def hand_over(self, name: str, frame: bytes) -> bool:
        """Put a frame into the mailbox of a session, and tell whether it is there to take it.

        It never waits: the windows bound how many payloads an app has out, and a session that reads nothing is none.
        """
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            return False
        try:
            mailbox.send_frame_nowait(frame)
        except (Busy, PlatformUnavailable):  # it reads nothing, or is leaving
            return False
        if self.watch is not None and self.watch.active:
            self.watch.handed_over(name, frame)
        return True

    def send(self, name: str, message: Message) -> None:
        """Answer a session; an answer to one that has gone is counted."""
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            self.unanswered += 1
        else:
            mailbox.send_urgent(message)

    def send_to_app(self, app: str, message: Message) -> None:
        """Tell every session of an app."""
        for name, mailbox in self._mailboxes.items():
            if self._apps[name] == app:
                mailbox.send_urgent(message)

    def dismiss(self, app: str, word: Message) -> None:
        """Tell every session of an app a last word, behind which nothing comes."""
        for name, mailbox in self._mailboxes.items():
            if self._apps[name] == app:
                mailbox.send_urgent(word)
                mailbox.close()

    def send_to_all(self, message: Message) -> None:
        """Tell every session."""
        for mailbox in self._mailboxes.values():
            mailbox.send_urgent(message)

    def send_state_to_all(self, message: Message) -> None:
        """Tell every session how something stands, in the place of what it was told of it before and has not read."""
        for mailbox in self._mailboxes.values():
            mailbox.send_state(message)
