"""An event loop whose time is its own: it goes on to the next alarm when there is nothing to do."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's, with nothing from outside."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Tell the virtual time, in seconds."""
        return self.now


class _Jumping(selectors.SelectSelector):
    """Waits for nothing."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "all wait, and nothing will ever happen"
        self._loop.now += max(timeout, 0.0)
        return super().select(0)
