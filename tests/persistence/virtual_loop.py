"""An event loop of asyncio on virtual time: its clock jumps to the next timer when nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing that takes time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; else it is as late as the loop would have waited."""
        found = super().select(0)
        if not found:
            assert timeout is not None, "all wait for ever"
            self.now += max(timeout, 0.0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock is its selector's."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._jumping.now
