"""What waits to go to one agent: bounded, in order, and kept until it was sent."""

from __future__ import annotations

from collections import deque
from typing import Final

from tocsin.tasks import Signal

MAX_BYTES: Final = 64 * 1024
"""Bytes that a chunk has before its last frame at most."""


class AgentOutbox:
    """One connection's way out.

    :param backlog: frames that may wait.
    """

    __slots__ = ("_backlog", "_filled", "_frames", "_going")

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._frames: deque[bytes] = deque()
        self._going = 0  # frames of the chunk that is being sent
        self._filled = Signal()

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._frames) >= self._backlog

    def put(self, frame: bytes) -> None:
        """Queue a frame, whether there is room or not."""
        self._frames.append(frame)
        self._filled.set()

    async def chunk(self) -> bytes:
        """Wait until there is something to send, and return it; it stays here until :meth:`sent`."""
        while not self._frames:
            await self._filled.wait()
        return self.rest(MAX_BYTES)

    def rest(self, limit: int | None = None) -> bytes:
        """Return what waits, in order: all of it, or up to the frame with which it has as many bytes."""
        frames: list[bytes] = []
        size = 0
        for frame in self._frames:
            if limit is not None and size >= limit:
                break
            frames.append(frame)
            size += len(frame)
        self._going = len(frames)
        return b"".join(frames)

    def sent(self) -> None:
        """Forget what was returned last: it has gone."""
        for _ in range(self._going):
            self._frames.popleft()
        self._going = 0
