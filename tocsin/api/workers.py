"""The tasks that run an app's handlers: as many as wait in a handler, not as many as there are channels."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import get_ident
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from tocsin.api.callbacks import InDoubt, call, cancel_requests, contain, let_go
from tocsin.tasks import Signal, is_in_callback, running_loop

_SPARE = 32  # tasks that stay when there is nothing to do


class Work(Protocol):
    """What a worker does, such as the payloads of one channel."""

    async def do(self, scope: anyio.CancelScope, requests: Callable[[], int]) -> None:
        """Do what there is to do now; cancelling the scope cuts it off, and ``requests`` counts those to cancel the task.

        :raises InDoubt: the task was cancelled, and it is not known by whom.
        """
        ...


class Workers:
    """Work waits in one queue; a worker takes from it until it has to wait, then the next worker goes on.

    So handlers that do not wait cost no switch of tasks, and none ever keeps another channel waiting.

    :param tasks: where the workers run.
    :param at_rest: called when a worker has no more to do; it is told whether others have.
    """

    def __init__(self, tasks: TaskGroup, at_rest: Callable[[bool], None]) -> None:
        self._tasks = tasks
        self._at_rest = at_rest
        self._thread = get_ident()
        self._loop = running_loop()
        self._ended = False
        self._from_threads: deque[tuple[str, Callable[..., Any], tuple[Any, ...]]] = deque()
        self._from_elsewhere = Signal()
        self._is_wanted = False
        """Whether a callback has called a worker that is yet to be started."""
        self.calls: list[str] = []
        """What is being called in tasks of its own."""
        self._line: deque[Work] = deque()
        self._spare: list[Signal] = []
        self._called = False
        """Whether a worker was called that has not come yet."""
        self._busy = 0
        self._all_done: anyio.Event | None = None  # while a task waits for it

    def enqueue(self, work: Work) -> None:
        """Queue work, behind what is queued already."""
        self._line.append(work)
        self._call()

    def call(self, what: str, function: Callable[..., Awaitable[Any] | Any], *arguments: Any) -> None:
        """Call a function of the app in a task of its own: what it raises is logged, and ends nothing else.

        With asyncio it may be asked for in any thread; when the app has left, nothing is called.
        """
        if self._loop is not None and self._thread != get_ident():
            self._from_threads.append((what, function, arguments))
            with suppress(RuntimeError):  # the event loop has ended
                self._loop.call_soon_threadsafe(self._from_elsewhere.set)
        else:
            self._call_soon(what, function, *arguments)

    async def start_for_others(self) -> None:
        """Call what other threads have asked for, and start a worker for a callback: only a task may start others."""
        while True:
            await self._from_elsewhere.wait()
            if self._is_wanted:
                self._is_wanted = False
                self._start_worker()
            while self._from_threads:
                what, function, arguments = self._from_threads.popleft()
                self._call_soon(what, function, *arguments)

    def _call_soon(self, what: str, function: Callable[..., Awaitable[Any] | Any], *arguments: Any) -> None:
        if not self._ended:
            self.calls.append(what)
            self._tasks.start_soon(contain, what, self._call_apart, what, function, *arguments, name=what)

    async def _call_apart(self, what: str, function: Callable[..., Awaitable[Any] | Any], *arguments: Any) -> None:
        try:
            await call(what, function, *arguments)
        finally:
            self.calls.remove(what)
            self._tell_when_done()

    def end(self) -> None:
        """Call nothing any more: the tasks have ended."""
        self._ended = True

    def _tell_when_done(self) -> None:
        if not self._busy and not self.calls and self._all_done is not None:
            self._all_done.set()
            self._all_done = None

    async def done(self) -> None:
        """Wait until nothing is being done or called."""
        while self._busy or self.calls:
            if self._all_done is None:
                self._all_done = anyio.Event()
            await self._all_done.wait()

    def _call(self) -> None:
        """Wake a spare worker, or start one."""
        if not self._called:
            self._called = True
            if self._spare:
                self._spare.pop().set()
            elif is_in_callback():
                self._is_wanted = True
                self._from_elsewhere.set()
            else:
                self._start_worker()

    def _start_worker(self) -> None:
        self._tasks.start_soon(contain, "a task that runs handlers", self._run, name="handlers")

    async def _run(self) -> None:
        """Take from the queue until there is too little to do, or the task is cancelled: then another goes on.

        So what an app does to the task ends with it. That it was cancelled is not passed on: where it was the group, that
        is cancelled anyway, and where it was not, it must not be.
        """
        called = Signal()
        try:
            # One scope for as long as nothing is cut off, rather than one for each piece of work.
            with anyio.CancelScope() as scope:
                await self._serve(called, scope)
        except (anyio.get_cancelled_exc_class(), InDoubt):
            pass
        finally:
            if called in self._spare:
                self._spare.remove(called)
            else:  # it may have been called, and not have come to it
                self._called = False
            if self._line:
                self._call()
        await let_go()

    async def _serve(self, called: Signal, scope: anyio.CancelScope) -> None:
        requests = cancel_requests()
        while True:
            self._called = False
            await self._work_off(scope, requests)
            if scope.cancel_called or len(self._spare) >= _SPARE:
                return
            self._spare.append(called)
            await called.wait()

    async def _work_off(self, scope: anyio.CancelScope, requests: Callable[[], int]) -> None:
        """Take from the queue until it is empty."""
        while self._line and not scope.cancel_called:
            work = self._line.popleft()
            if self._line:
                self._call()  # the next worker goes on, should this one have to wait
            self._busy += 1
            try:
                await work.do(scope, requests)
            finally:
                self._busy -= 1
                if self._all_done is not None:
                    self._tell_when_done()
        self._at_rest(self._busy > 0)
