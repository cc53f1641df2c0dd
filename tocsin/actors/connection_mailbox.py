"""What the connection reads in place of its mailbox: frames are counted, and sent right behind the turn that has put them."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.actors.turn_line import TurnLine
from tocsin.mailbox import Mailbox


class ConnectionMailbox:
    """The mailbox of the connection.

    :param count: hears of the frames that are taken.
    """

    def __init__(self, mailbox: Mailbox, line: TurnLine, count: Callable[[list[bytes]], None]) -> None:
        self.send_now: Callable[[], bool] = bool
        """Sends what waits, and tells whether it has; what it has not is waited for by :meth:`batch`."""
        self._mailbox, self._line, self._count = mailbox, line, count
        self._is_due = False
        self._wake, mailbox.on_filled = mailbox.on_filled, self._filled

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

    def take_turn(self) -> None:
        """Have sent what waits."""
        self._is_due = False
        if self._mailbox.is_closed or not self.send_now():
            self._wake()

    def wake(self) -> None:
        """Leave it to :meth:`batch`."""
        self._is_due = False
        self._wake()

    def _filled(self) -> None:
        if not self._is_due:
            self._is_due = self._line.join(self)
            if not self._is_due:
                self._wake()
