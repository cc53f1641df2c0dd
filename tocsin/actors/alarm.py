"""One alarm per actor, whatever number of deadlines it has: set for the earliest, it puts a message when it rings."""

from __future__ import annotations

import math

import anyio

from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import AlarmRang
from tocsin.tasks import Signal


class Alarm:
    """Rings by a reply in the mailbox of its actor."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._at = math.inf
        self._wakes_at = math.inf
        self._earlier = Signal()

    def set(self, at: float | None) -> None:
        """Ring at that moment of the loop's time, instead of any moment set before; None: not at all."""
        self._at = math.inf if at is None else at
        if self._at < self._wakes_at:
            self._wakes_at = self._at
            self._earlier.set()

    async def run(self) -> None:
        """Wait and ring, until cancelled; a moment that was put off is looked at again when it comes."""
        while True:
            self._wakes_at = self._at
            await self._earlier.wait_until(self._at)
            if anyio.current_time() >= self._at:
                self._at = math.inf
                self._mailbox.send_urgent(AlarmRang())
