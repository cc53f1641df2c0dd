"""The tasks that run an app's handlers: as many as wait in a handler, not as many as there are channels."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from tocsin.api.callbacks import absorb, cancel_requests, is_cancelled
from tocsin.tasks import Signal

_SPARE = 32  # tasks that stay when there is nothing to do


class Work(Protocol):
    """What a worker does, such as the payloads of one channel."""

    async def do(self, scope: anyio.CancelScope) -> None:
        """Do what there is to do now; cancelling the scope cuts it off."""
        ...


class Workers:
    """Work stands in one line; a worker takes from it until it has to wait, then the next worker goes on.

    So handlers that do not wait cost no switch of tasks, and none ever keeps another channel waiting.

    :param tasks: where the workers run; the task that makes them is the one that has opened it.
    """

    def __init__(self, tasks: TaskGroup) -> None:
        self.tasks = tasks
        self._host_cancels = cancel_requests()
        self._line: deque[Work] = deque()
        self._spare: list[Signal] = []
        self._called = False
        """Whether a worker was called that has not come yet."""
        self._busy = 0
        self._all_done: anyio.Event | None = None  # while somebody waits for it

    def add(self, work: Work) -> None:
        """Have something done, behind what stands in line."""
        self._line.append(work)
        self._call()

    async def done(self) -> None:
        """Wait until nothing is being done."""
        while self._busy:
            if self._all_done is None:
                self._all_done = anyio.Event()
            await self._all_done.wait()

    def ending(self) -> bool:
        """Tell whether a cancellation in a worker is ours: a scope around it is cancelled, or the task that has made us.

        At its end an event loop cancels all tasks, ours too; an app that cancels a worker's task cancels that one only.
        """
        return is_cancelled() or self._host_cancels() > 0

    def _call(self) -> None:
        """Let a worker come."""
        if not self._called:
            self._called = True
            if self._spare:
                self._spare.pop().set()
            else:
                self.tasks.start_soon(self._run, name="handlers")

    async def _run(self) -> None:
        called = Signal()
        while True:
            try:
                # One scope for as long as nothing is cut off, rather than one for each piece of work.
                with anyio.CancelScope() as scope:
                    while True:
                        self._called = False
                        await self._work_off(scope)
                        if scope.cancel_called:
                            break
                        if len(self._spare) >= _SPARE:
                            return
                        self._spare.append(called)
                        await called.wait()
            except anyio.get_cancelled_exc_class():
                if self.ending():
                    raise
                # A handler has kept this task and cancelled it behind its own call.
                await absorb()
                if called in self._spare:
                    self._spare.remove(called)

    async def _work_off(self, scope: anyio.CancelScope) -> None:
        """Take from the line until it is empty."""
        while self._line and not scope.cancel_called:
            work = self._line.popleft()
            if self._line:
                self._call()  # whoever comes goes on, should we have to wait
            self._busy += 1
            try:
                await work.do(scope)
            finally:
                self._busy -= 1
                if not self._busy and self._all_done is not None:
                    self._all_done.set()
                    self._all_done = None
