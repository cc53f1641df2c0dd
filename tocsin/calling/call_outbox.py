"""What goes out to a calling service over the connection that there is."""

from __future__ import annotations

from collections import deque
from typing import Final

from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.codec import encode
from tocsin.tasks import Signal

_AT_ONCE: Final = 64
"""Frames in one chunk at most."""


class CallOutbox:
    """The frames that wait for the task that sends them."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._came = Signal()

    def put(self, message: Message) -> None:
        """Let a message go out."""
        self._frames.append(encode(message))
        self._came.set()

    async def chunk(self) -> bytes:
        """Wait for frames, and take them: one chunk of the wire."""
        while not self._frames:
            await self._came.wait()
        return b"".join(self._frames.popleft() for _ in range(min(len(self._frames), _AT_ONCE)))

    def clear(self) -> None:
        """Throw away what was for a connection that is gone."""
        self._frames.clear()
