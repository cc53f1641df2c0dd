"""Deferrals: work on a payload that goes on after its handler has returned."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from types import FrameType
from typing import Self

from tocsin.tasks import running_loop


class Deferral:
    """Keeps an activation open until it is completed; a context manager, also for ``async with``.

    It does not extend the activation's budget. It may be completed in any thread.

    Example::

        async def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            with args.get_deferral():  # the work goes on when the handler has returned
                await asyncio.sleep(0.1)
    """

    __slots__ = ("_code", "_done", "_line", "_loop", "_thread")

    def __init__(self, done: Callable[[Deferral], None], taker: FrameType) -> None:
        self._done: Callable[[Deferral], None] | None = done
        self._thread = get_ident()
        self._loop = running_loop()
        self._code = taker.f_code
        self._line = taker.f_lineno

    @property
    def creator(self) -> str:
        """Who took it: function, file and line, for the report of a leak."""
        return f"{self._code.co_qualname} ({self._code.co_filename}:{self._line})"

    def complete(self) -> None:
        """Say that the work is done; saying it again changes nothing."""
        if self._done is not None:
            done, self._done = self._done, None
            if self._loop is None or self._thread == get_ident():
                done(self)
            else:
                with suppress(RuntimeError):  # the event loop has ended, and the work with it
                    self._loop.call_soon_threadsafe(done, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.complete()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.complete()
