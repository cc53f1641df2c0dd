"""A mailbox: frames wait in it for one reader.

What is put waits for room: a full mailbox is back-pressure. A reply has a lane of its own and never waits, since its
room was paid for when the question was sent: that is what keeps a ring of actors free of deadlock. The number of
replies is bounded by the number of questions that are out.
"""

from __future__ import annotations

from collections import deque
from typing import Self

from anyio import BrokenResourceError, ClosedResourceError, EndOfStream, WouldBlock, create_memory_object_stream
from attrs import frozen

from tocsin.protocol.codec import encode
from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages import Message

BATCH = 256
"""Frames that one batch has at most, so that no reader keeps the loop from the others."""

_WAKE = b""  # no frame: tells a reader that waits that there is a reply


@frozen
class MailboxStatistics:
    """What has gone through a mailbox: ``depth`` now, the deepest so far, frames handled, frames that died."""

    name: str
    capacity: int
    depth: int
    high_water: int
    handled: int
    dead: int


class Mailbox:
    """A bounded queue of frames with one reader and many writers; ``capacity`` is in frames."""

    def __init__(self, name: str, capacity: int = 1024) -> None:
        self.name = name
        self._capacity = capacity
        self._send, self._receive = create_memory_object_stream[bytes](capacity)
        self._replies: deque[bytes] = deque()
        self._high_water = 0
        self._handled = 0
        self.dead = 0

    def put_nowait(self, frame: bytes) -> None:
        """Put a frame.

        :raises Busy: the mailbox is full.
        :raises PlatformUnavailable: the mailbox is closed.
        """
        try:
            self._send.send_nowait(frame)
        except WouldBlock:
            raise Busy(f"the mailbox {self.name} is full ({self._capacity} frames)") from None
        except (ClosedResourceError, BrokenResourceError):
            raise PlatformUnavailable(f"the mailbox {self.name} is closed") from None

    async def put(self, frame: bytes) -> None:
        """Put a frame, waiting for room.

        :raises PlatformUnavailable: the mailbox is closed.
        """
        try:
            self.put_nowait(frame)
        except Busy:
            try:
                await self._send.send(frame)
            except (ClosedResourceError, BrokenResourceError):
                raise PlatformUnavailable(f"the mailbox {self.name} is closed") from None

    def tell_nowait(self, message: Message) -> None:
        """Put a message, as :meth:`put_nowait`."""
        self.put_nowait(encode(message))

    async def tell(self, message: Message) -> None:
        """Put a message, as :meth:`put`."""
        await self.put(encode(message))

    def reply(self, frame: bytes) -> None:
        """Put an answer, which never waits; one that comes after the end is counted as dead."""
        try:
            self._send.send_nowait(_WAKE)
        except WouldBlock:
            pass  # whoever has a full mailbox is not asleep
        except (ClosedResourceError, BrokenResourceError):
            self.dead += 1
            return
        self._replies.append(frame)

    def answer(self, message: Message) -> None:
        """Put a message as an answer, as :meth:`reply`."""
        self.reply(encode(message))

    async def batch(self) -> list[bytes]:
        """Wait until there is something, and take what is there: all replies, then frames up to ``BATCH``.

        :raises EndOfStream: the mailbox is closed and empty, or abandoned.
        """
        while True:
            try:
                first = await self._receive.receive()
            except ClosedResourceError:
                raise EndOfStream from None
            depth = self._receive.statistics().current_buffer_used + len(self._replies) + 1
            self._high_water = max(self._high_water, depth)
            frames = list(self._replies)
            self._replies.clear()
            if first:
                frames.append(first)
            self._drain(frames)
            if frames:
                self._handled += len(frames)
                return frames

    def _drain(self, frames: list[bytes]) -> None:
        while len(frames) < BATCH:
            try:
                frame = self._receive.receive_nowait()
            except (WouldBlock, EndOfStream, ClosedResourceError):
                return
            if frame:
                frames.append(frame)

    def purge(self) -> int:
        """Throw away what waits, because nobody is there to take it, and return how many frames died."""
        count = len(self._replies)
        self._replies.clear()
        while True:
            frames: list[bytes] = []
            self._drain(frames)
            if not frames:
                break
            count += len(frames)
        self.dead += count
        return count

    def close(self) -> None:
        """Take nothing more; what is there can still be read."""
        self._send.close()

    def abandon(self) -> None:
        """Close it, and throw away what waits: nobody will read it."""
        self.close()
        self.purge()
        self._receive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def statistics(self) -> MailboxStatistics:
        """Return the counters."""
        depth = self._receive.statistics().current_buffer_used + len(self._replies)
        return MailboxStatistics(self.name, self._capacity, depth, self._high_water, self._handled, self.dead)
