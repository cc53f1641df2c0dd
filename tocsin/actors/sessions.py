"""The sessions of apps: who is there to be answered."""

from __future__ import annotations

from tocsin.actors.mailbox import Mailbox
from tocsin.protocol.messages import Message


class Sessions:
    """The mailboxes of the apps that are connected to this platform, by the name of their session."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, Mailbox] = {}
        self.unanswered = 0

    def add(self, mailbox: Mailbox) -> None:
        """Let a session in."""
        self._mailboxes[mailbox.name] = mailbox

    def remove(self, name: str) -> None:
        """Forget a session."""
        self._mailboxes.pop(name, None)

    def find(self, name: str) -> Mailbox | None:
        """Return the mailbox of a session, or None when it has gone."""
        return self._mailboxes.get(name)

    def names(self) -> list[str]:
        """Return the names of all sessions."""
        return list(self._mailboxes)

    def send(self, name: str, message: Message) -> None:
        """Answer a session; an answer to one that has gone is counted."""
        mailbox = self._mailboxes.get(name)
        if mailbox is None:
            self.unanswered += 1
        else:
            mailbox.send_urgent(message)

    def send_to_all(self, message: Message) -> None:
        """Tell every session."""
        for mailbox in self._mailboxes.values():
            mailbox.send_urgent(message)
