"""A mailbox whose reader has turns in the line too, beside the task in which it waits for the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tocsin.actors.turn_line import TurnLine
from tocsin.mailbox import Mailbox


class MailboxInLine(ABC):
    """Has what a turn puts into a mailbox taken right behind that turn; a subclass says by :meth:`_take_now` what takes it.

    What is left, and what fails, is for the task that reads the mailbox: it is woken.
    """

    def __init__(self, mailbox: Mailbox, line: TurnLine) -> None:
        self._mailbox, self._line = mailbox, line
        self._is_due = False
        """Whether it stands in the line."""
        self._wake, mailbox.on_filled = mailbox.on_filled, self._filled

    @abstractmethod
    def _take_now(self) -> None:
        """Take what can be taken without a task."""

    def take_turn(self) -> None:
        """Have its turn in the line."""
        self._is_due = False
        self._take_now()
        if self._mailbox.is_to_be_read and not self._is_due:
            self._wake()

    def fail(self, failure: Exception) -> None:
        """Have a failure raised in the task that reads the mailbox."""
        self._mailbox.fail(failure)

    def wake(self) -> None:
        """Leave it to the task."""
        self._is_due = False
        self._wake()

    def _filled(self) -> None:
        if not self._is_due:
            self._is_due = self._line.join(self)
            if not self._is_due:
                self._wake()
