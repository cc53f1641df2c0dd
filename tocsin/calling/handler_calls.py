"""Calls the handlers of an app in tasks of the client's: each for one thing after the other, and none keeps another waiting."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from tocsin.api.callbacks import call, contain

logger = logging.getLogger(__name__)

T = TypeVar("T")

MOST_WAITING: Final = 1_024
"""What may wait for one handler; where a handler hangs, the oldest is dropped."""


class HandlerCalls:
    """The handlers that are being called, as long as the client's block runs; before and after it none is."""

    def __init__(self) -> None:
        self._tasks: TaskGroup | None = None
        self.running: list[str] = []
        """The handlers that are being called, in words."""
        self._all_done: anyio.Event | None = None

    def start(self, tasks: TaskGroup) -> None:
        """Call handlers in tasks of this group."""
        self._tasks = tasks

    def end(self) -> None:
        """Call nothing any more."""
        self._tasks = None

    async def done(self) -> None:
        """Wait until no handler is being called or waits for that."""
        while self.running:
            if self._all_done is None:
                self._all_done = anyio.Event()
            await self._all_done.wait()

    def lane(self, what: str, handler: Callable[[T], Awaitable[Any] | Any], width: int = 1) -> Lane[T]:
        """Return the lane in which a handler is called, for so many things at a time."""
        return Lane(self, f"a handler of {what}", handler, width)

    def run(self, what: str, function: Callable[[], Awaitable[None]]) -> None:
        """Run a lane in a task."""
        if self._tasks is not None:
            self.running.append(what)
            self._tasks.start_soon(self._run, what, function, name=what)

    @property
    def is_open(self) -> bool:
        """Whether handlers are called."""
        return self._tasks is not None

    async def _run(self, what: str, function: Callable[[], Awaitable[None]]) -> None:
        try:
            await function()
        finally:
            self.running.remove(what)
            if not self.running and self._all_done is not None:
                self._all_done.set()
                self._all_done = None


class Lane(Generic[T]):
    """What waits for one handler."""

    def __init__(
        self, calls: HandlerCalls, what: str, handler: Callable[[T], Awaitable[Any] | Any], width: int
    ) -> None:
        self._calls = calls
        self._what = what
        self._handler = handler
        self._waiting: deque[T] = deque()
        self._width = width
        self._running = 0
        self._overflowed = False

    def call(self, args: T) -> None:
        """Call the handler when it has done with what was before."""
        if not self._calls.is_open:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            if not self._overflowed:
                self._overflowed = True
                logger.warning("%s has not returned, and misses what came since", self._what)
        self._waiting.append(args)
        if self._running < self._width:
            self._running += 1
            self._calls.run(self._what, self._work_off)

    def close(self) -> None:
        """Call the handler no more; where it is being called, it comes to its end."""
        self._waiting.clear()

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                # In a task and a group of its own each: what the handler does to the task ends with it.
                await contain(self._what, call, self._what, self._handler, self._waiting.popleft())
        finally:
            self._running -= 1
