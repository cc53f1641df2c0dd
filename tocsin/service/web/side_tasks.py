"""The tasks of a connection: none while nothing of it waits."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

import anyio


class SideTasks(ABC):
    """A connection with tasks that are cancelled together; while there are none, they weigh nothing.

    :param among: where each task is noted while it runs.
    """

    __slots__ = ("_among", "_are_cancelled", "_scopes")

    def __init__(self, among: set[asyncio.Task[None]]) -> None:
        self._among = among
        self._are_cancelled = False
        self._scopes: dict[asyncio.Task[None], anyio.CancelScope | None] | None = None  # none before a task begins

    @abstractmethod
    def tasks_ended(self) -> None:
        """Learn that no task runs any more."""

    @abstractmethod
    def task_failed(self, failure: BaseException) -> None:
        """Learn that a task has failed."""

    @property
    def has_tasks(self) -> bool:
        """Whether there are any."""
        return self._scopes is not None

    def start_soon(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, from a task or from a callback of the event loop."""
        task = asyncio.get_running_loop().create_task(self._run_one(run))
        if self._scopes is None:
            self._scopes = {}
        self._scopes[task] = None
        self._among.add(task)
        task.add_done_callback(self._one_ended)

    def cancel_tasks(self) -> None:
        """Cancel all tasks, and those that they start yet, but for what they shield."""
        self._are_cancelled = True
        for scope in (self._scopes or {}).values():
            if scope is not None:
                scope.cancel()

    async def _run_one(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None  # noqa: S101  # this one
        assert self._scopes is not None  # noqa: S101  # in which it is
        with anyio.CancelScope() as scope:
            self._scopes[task] = scope
            if self._are_cancelled:
                scope.cancel()
            await run()

    def _one_ended(self, task: asyncio.Task[None]) -> None:
        self._among.discard(task)
        assert self._scopes is not None  # noqa: S101  # the task was there
        del self._scopes[task]
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.task_failed(failure)
        if not self._scopes:
            self._scopes = None
            self.tasks_ended()
