"""Work that no connection and no sender waits for itself: so much of it at a time, each piece in its turn."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class Crew:
    """Tasks that end when there is nothing to do.

    :param size: how many there are at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._work: deque[Callable[[], Awaitable[None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    def give(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have something done, also from a callback of the event loop."""
        self._work.append(work)
        if len(self._tasks) < self._size:
            task = asyncio.get_running_loop().create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def aclose(self, patience: float) -> None:
        """Wait so many seconds for what is yet to be done, and give up the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        self._work.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while self._work:
            try:
                await self._work.popleft()()
            except Exception:  # one device's trouble
                logger.exception("a device's row could not be dealt with")
