"""What tasks are grouped and woken with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Open a task group; if exactly one error leaves it, that error is raised as it is, even if it is a group."""
    single: BaseException | None = None
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        single = group.exceptions[0]
    if single is not None:
        raise single


class Signal:
    """Wakes one task, as often as it is set: who was woken waits for the next time.

    An event serves once, and finding out for which event loop to make it takes longer than all else about it.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._make: Callable[[], anyio.Event] = anyio.Event
        self._waited_for: anyio.Event | None = None

    def set(self) -> None:
        """Wake who waits, or who will wait next."""
        self._is_set = True
        if self._waited_for is not None:
            self._waited_for.set()

    async def wait(self) -> None:
        """Wait until it is set, unless it was set since the last time."""
        if not self._is_set:
            self._waited_for = self._make()
            self._make = type(self._waited_for)
            try:
                await self._waited_for.wait()
            finally:
                self._waited_for = None
        self._is_set = False
