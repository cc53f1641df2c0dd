"""A context that is left by the task that entered it, and by no other."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tocsin.protocol.errors import IllegalCall, NotEntered
from tocsin.protocol.kernel.async_block import AsyncBlock
from tocsin.tasks import running_task

P = ParamSpec("P")
T = TypeVar("T")


class _InOneTask(AsyncBlock, AbstractAsyncContextManager[T]):
    """A context that its own task leaves; one that is taken for the manager that it gives says how that is had."""

    _name = ""

    def __init__(self, name: str, context: AbstractAsyncContextManager[T]) -> None:
        self._name = name
        self._context = context
        self._owner: Task[Any] | None = None
        self._entered_by = f"'async with tocsin.{name}(...) as manager:'"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> None:
            raise NotEntered(f"only the block that is entered has a manager with {name}: write {self._entered_by}")

    async def __aenter__(self) -> T:
        if self._owner is not None:
            raise IllegalCall(f"this was entered before, and each is entered once: write {self._entered_by} again")
        self._owner = running_task()
        return await self._context.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._owner is not None and running_task() is not self._owner and not self._owner.done():
            raise IllegalCall(
                f"only the task that entered {self._name}() can leave it: let its block wait for an event,"
                " and set that here"
            )
        return await self._context.__aexit__(kind, error, trace)


def in_one_task(
    opening: Callable[P, AbstractAsyncContextManager[T]],
) -> Callable[P, AbstractAsyncContextManager[T]]:
    """Let a context be left by no other task than the one that entered it, which could wait for itself.

    Such as a handler: leaving waits for its end. The other gets IllegalCall, and the context goes on.
    """

    @wraps(opening)
    def entering(*arguments: P.args, **keywords: P.kwargs) -> AbstractAsyncContextManager[T]:
        return _InOneTask(opening.__name__, opening(*arguments, **keywords))

    return entering
