"""Frames that no actor could take: kept, bounded, and counted by mailbox."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from attrs import frozen

from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.text import encodable
from tocsin.traces import MAX_TRACE


@frozen
class BadFrame:
    """A frame, 64 KiB of it at most, the mailbox it was in, and why it died there."""

    mailbox: str
    frame: bytes
    reason: str


class BadFrames:
    """The newest dead letters, ``keep`` at most, and the count of all."""

    def __init__(self, keep: int = 256) -> None:
        self._letters: deque[BadFrame] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()

    def add(self, mailbox: str, frame: bytes, reason: str) -> None:
        """Keep a frame that died."""
        self._letters.append(BadFrame(mailbox, frame[:MAX_FRAME], encodable(reason, MAX_TRACE)))
        self.counts[mailbox] += 1

    def __iter__(self) -> Iterator[BadFrame]:
        return iter(self._letters)
