"""What the connection reads in place of its mailbox: frames are counted, and sent right behind the turn that has put them."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.actors.mailbox_in_line import MailboxInLine
from tocsin.actors.turn_line import TurnLine
from tocsin.mailbox import Mailbox


def _leave_it() -> None:
    """Send nothing: as long as there is no connection, all is left to the task that writes."""


class ConnectionMailbox(MailboxInLine):
    """The mailbox of the connection.

    :param count: hears of the frames that are taken.
    """

    def __init__(self, mailbox: Mailbox, line: TurnLine, count: Callable[[list[bytes]], None]) -> None:
        super().__init__(mailbox, line)
        self.send_now: Callable[[], None] = _leave_it
        """Sends what waits, as far as there is room; the rest is waited for by :meth:`batch`."""
        self._count = count

    async def batch(self) -> list[bytes]:
        """Wait for frames and take them, as ``Mailbox.batch``."""
        frames = await self._mailbox.batch()
        self._count(frames)
        return frames

    def take(self) -> list[bytes]:
        """Take the frames that wait, as ``Mailbox.take``."""
        frames = self._mailbox.take()
        self._count(frames)
        return frames

    @property
    def depth(self) -> int:
        """How many frames wait in it."""
        return self._mailbox.depth

    def purge(self) -> int:
        """Throw away what was meant for a connection that is gone."""
        return self._mailbox.purge()

    def _take_now(self) -> None:
        self.send_now()
