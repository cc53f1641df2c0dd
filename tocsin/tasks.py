"""What tasks are grouped and woken with."""

from __future__ import annotations

import logging
import math
from asyncio import AbstractEventLoop, Future, Task, current_task, get_running_loop
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import anyio
from anyio.abc import TaskGroup

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


def running_loop() -> AbstractEventLoop | None:
    """Return asyncio's event loop of this thread; None where it is another library's."""
    try:
        return get_running_loop()
    except RuntimeError:
        return None


def running_task() -> Task[Any] | None:
    """Return asyncio's task that runs just now; None where it is another library's."""
    return current_task() if running_loop() else None


def is_in_callback() -> bool:
    """Tell whether no task runs just now, but a callback of asyncio's event loop: only a task may start others."""
    loop = running_loop()
    return loop is not None and current_task(loop) is None


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


def apart(  # a life, and the block around which it is
    opening: Callable[P, AbstractAsyncContextManager[T]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Let a context live in a task of its own, so that it ends in order however the task that enters it is cancelled.

    A cancellation while it is being opened cuts the opening off. A later one ends the block, and when the block has
    ended the context is left as always. asyncio's own cancellation (``Task.cancel``, hence ``asyncio.timeout``,
    ``wait_for`` and Ctrl-C) goes through anyio's shields, and would go through those in the context too.

    What fails in the context ends the block and is raised behind it, unless the block has failed before: then it is
    logged. Where the task that has entered ends without leaving, the context ends with the event loop.
    """

    @wraps(opening)
    @asynccontextmanager
    async def entering(*arguments: P.args, **keywords: P.kwargs) -> AsyncIterator[T]:
        life, owner = anyio.CancelScope(shield=True), running_task()
        opened, ended = anyio.Event(), anyio.Event()
        values: list[T] = []
        cut_off = left = False

        def take(value: T) -> None:
            values.append(value)
            opened.set()

        async def hold() -> None:
            try:
                with life:
                    await _keep(opening(*arguments, **keywords), take, ended, tasks.cancel_scope.cancel, owner)
            except Exception:
                if not cut_off:
                    raise
                logger.warning("%s failed when it was left", opening.__name__, exc_info=True)

        async with task_group() as tasks:
            tasks.start_soon(hold, name=opening.__name__)
            try:
                await opened.wait()
                yield values[0]
                left = True
            except BaseException:
                cut_off = not tasks.cancel_scope.cancel_called
                raise
            finally:
                ended.set()
                if not opened.is_set():
                    life.cancel()
        if not left:
            raise RuntimeError(f"{opening.__name__} was ended from outside, and what ran on it with it")

    return entering


async def _keep(
    context: AbstractAsyncContextManager[T],
    take: Callable[[T], None],
    ended: anyio.Event,
    end_block: Callable[[], None],
    owner: Task[Any] | None,
) -> None:
    """Open a context, and leave it when its block has ended, also where it is the context that fails."""
    async with context as value:
        take(value)
        try:
            await ended.wait()
        finally:
            if not ended.is_set():
                end_block()
                # A task that has ended, as the main task at the loop's end, has no block any more.
                if owner is not None:
                    owner.add_done_callback(lambda _: ended.set())
                with anyio.CancelScope(shield=True):
                    await ended.wait()


class Signal:
    """Wakes one task, as often as it is set: who was woken waits for the next time.

    An event serves once, and finding out for which event loop to make it takes longer than all else about it.
    """

    __slots__ = ("_is_set", "_wake")

    def __init__(self) -> None:
        self._is_set = False
        self._wake: Callable[[], object] | None = None

    def set(self) -> None:
        """Wake who waits, or who will wait next."""
        self._is_set = True
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake()

    async def wait(self) -> None:
        """Wait until it is set, unless it was set since the last time."""
        if not self._is_set:
            loop = running_loop()
            try:
                if loop is None:
                    event = anyio.Event()
                    self._wake = event.set
                    await event.wait()
                else:
                    future = loop.create_future()
                    self._wake = partial(_wake, future)
                    await future
            finally:
                self._wake = None
        self._is_set = False

    async def wait_until(self, moment: float) -> None:
        """Wait as :meth:`wait`, until a moment of the loop's time at most."""
        loop = running_loop()
        if loop is None or moment == math.inf:
            with anyio.CancelScope(deadline=moment):
                await self.wait()
        else:  # a scope takes several times as long to enter, and a cancellation to end it
            timer = loop.call_at(moment, self.set)
            try:
                await self.wait()
            finally:
                timer.cancel()


class Completion:
    """The end of what has begun, such as a commit: awaited, or heard of by one callback in the very turn in which it comes.

    Awaiting it and being cancelled withdraws it.
    """

    __slots__ = ("_failure", "_hear", "is_over")

    def __init__(self) -> None:
        self.is_over = False
        """Whether it has come, or was withdrawn: then it is not waited for any more."""
        self._failure: Exception | None = None
        self._hear: Callable[[], object] | None = None

    def complete(self, failure: Exception | None = None) -> None:
        """Let it come, as a failure where that is given, unless it is over."""
        if not self.is_over:
            self._failure, self.is_over = failure, True
            if self._hear is not None:
                self._hear()

    def withdraw(self) -> None:
        """Wait for it no more."""
        self.is_over = True
        self._hear = None

    def then(self, hear: Callable[[], object]) -> None:
        """Call this when it comes, or now where it is there."""
        if self.is_over:
            hear()
        else:
            self._hear = hear

    def check(self) -> None:
        """Raise what it has failed with, where it has."""
        if self._failure is not None:
            raise self._failure

    def __await__(self) -> Generator[Any, Any, None]:
        if not self.is_over:
            came = Signal()
            self._hear = came.set
            try:
                yield from came.wait().__await__()
            finally:
                if not self.is_over:
                    self.withdraw()
        self.check()


def _wake(future: Future[None]) -> None:
    """Let a future be done, unless who waits for it was cancelled."""
    if not future.done():
        future.set_result(None)
