"""Deferrals: work on a payload that goes on after its handler has returned."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Self


class Deferral:
    """Keeps an activation open until it is completed; a context manager, also for ``async with``.

    It does not extend the activation's budget.
    """

    __slots__ = ("_done", "creator")

    def __init__(self, done: Callable[[Deferral], None], creator: str) -> None:
        self._done: Callable[[Deferral], None] | None = done
        self.creator = creator
        """Who took it: function, file and line, for the report of a leak."""

    def complete(self) -> None:
        """Say that the work is done; saying it again changes nothing."""
        if self._done is not None:
            done, self._done = self._done, None
            done(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.complete()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.complete()


def caller(depth: int) -> str:
    """Name the function that is that many calls up, with its file and line."""
    frame = sys._getframe(depth + 1)  # noqa: SLF001  # walking the stack by inspect costs a hundred times as much
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"
