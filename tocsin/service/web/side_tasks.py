"""The tasks of a connection: none while nothing of it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import anyio


class Owner(Protocol):
    """The connection that tasks belong to."""

    def tasks_ended(self) -> None:
        """Learn that none runs any more."""
        ...

    def task_failed(self, failure: BaseException) -> None:
        """Learn that one has failed."""
        ...


class SideTasks:
    """Tasks that are cancelled together; it weighs nothing while there are none.

    :param among: where each is noted while it runs.
    """

    __slots__ = ("_among", "_are_cancelled", "_owner", "_scopes")

    def __init__(self, owner: Owner, among: set[asyncio.Task[None]]) -> None:
        self._owner = owner
        self._among = among
        self._scopes: dict[asyncio.Task[None], anyio.CancelScope | None] | None = None
        self._are_cancelled = False

    @property
    def are_running(self) -> bool:
        """Whether there are any."""
        return self._scopes is not None

    def start_soon(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task."""
        task = asyncio.get_running_loop().create_task(self._run(run))
        if self._scopes is None:
            self._scopes = {}
        self._scopes[task] = None
        self._among.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel all tasks, and those that they start yet, but for what they shield."""
        self._are_cancelled = True
        for scope in (self._scopes or {}).values():
            if scope is not None:  # else it looks when it begins
                scope.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._among.discard(task)
        assert self._scopes is not None  # noqa: S101  # the task was there
        del self._scopes[task]
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._owner.task_failed(failure)
        if not self._scopes:
            self._scopes = None
            self._owner.tasks_ended()

    async def _run(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # it runs in one
        assert self._scopes is not None  # noqa: S101  # the task is among them
        # A callback of the loop, which starts tasks, is none: anyio would not know by what to make a scope there.
        with anyio.CancelScope() as scope:
            self._scopes[task] = scope
            if self._are_cancelled:
                scope.cancel()
            await run()
