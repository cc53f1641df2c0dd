"""The tasks beside the one that serves a connection: none while it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class SideTasks:
    """A task group that weighs nothing while it is empty; its owner closes it before it ends.

    :param on_failure: called when a task has failed; :meth:`aclose` raises what failed.
    """

    __slots__ = ("_failure", "_on_failure", "_tasks")

    def __init__(self, on_failure: Callable[[], object]) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] | None = None
        self._failure: BaseException | None = None

    def start_soon(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(run())
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Cancel all tasks, and wait for their end."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        if self._failure is not None:
            raise self._failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
            if not self._tasks:
                self._tasks = None
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._on_failure()
