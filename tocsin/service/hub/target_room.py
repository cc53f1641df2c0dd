"""Room for so many targets at a time, of all messages together, in the order in which they ask for it."""

from __future__ import annotations

import asyncio
from collections import deque


class TargetRoom:
    """Gives room for several targets at once: a wait for each of them would cost as much as to try it.

    :param limit: targets at a time.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, count: int) -> None:
        """Wait until there is room for so many, and for all who have asked before.

        :param count: no more than the limit.
        """
        if self._left >= count and not self._waiting:
            self._left -= count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            self.give_back(0 if turn.cancelled() else count)  # the turn may have come just before
            raise

    def give_back(self, count: int = 1) -> None:
        """Give room for so many to who has waited longest."""
        self._left += count
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= self._left):
            wanted, turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                self._left -= wanted
                turn.set_result(None)
